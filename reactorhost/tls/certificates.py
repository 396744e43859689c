"""Load certificates and check them before they are used.

Every error names the file. Python has no public parser of certificates, so each one is checked by a handshake in
memory, whose client trusts this certificate only. That shows what real clients would see: its names and dates, and
whether it can be used at all.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reactorhost.errors import ConfigError, Problem
from reactorhost.system.ownership import user_name

SOON_SECONDS = 7 * 86400.0

_EXPIRED = 10
_NOT_YET_VALID = 9
_BEGIN = "-----BEGIN "
_END = "-----END CERTIFICATE-----"


class CertificateError(Exception):
    """A certificate or its key cannot be used."""

    def __init__(self, what: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.problem = Problem(what, hint=hint)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that clients can use.

    Attributes:
        names: its host names in lower case; the first label of a name may be `*`.
        not_after: when it expires, Unix time in seconds.
    """

    path: Path
    key: Path
    names: tuple[str, ...]
    not_after: float

    def days_left(self, now: float) -> int | None:
        """Return the whole days until it expires, or None if there are more than seven; `now` is Unix time."""
        left = self.not_after - now
        return max(0, int(left // 86400)) if left < SOON_SECONDS else None


def load_all(pairs: list[tuple[Path, Path]], client_ca: Path | None, where: str | None) -> list[Certificate]:
    """Check the certificates of a service, each with its key; `where` names the settings in errors.

    Raises:
        ConfigError: at least one cannot be used; all problems are listed.
    """
    problems, found = [], []
    for path, key in pairs:
        try:
            found.append(load(path, key))
        except CertificateError as error:
            problems.append(Problem(error.problem.what, where, error.problem.hint))
    if client_ca is not None:
        try:
            _read_pem(client_ca, "client_ca", "CERTIFICATE")
            trust(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), client_ca)
        except CertificateError as error:
            problems.append(Problem(error.problem.what, where, error.problem.hint))
    if problems:
        raise ConfigError(problems)
    return found


def load(path: Path, key: Path) -> Certificate:
    """Check one certificate and its key.

    Raises:
        CertificateError: it cannot be read, or clients cannot use it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    use(context, path, key)
    leaf = _first(_read_pem(path, "certificate", "CERTIFICATE"))
    try:
        seen = _seen_by_client(context, leaf)
    except ssl.SSLCertVerificationError as error:
        raise _rejected(path, error) from None
    except ssl.SSLError as error:
        raise CertificateError(f"the certificate {path} cannot be used: {_reason(error)}") from None
    names = tuple(value.lower() for kind, value in seen.get("subjectAltName", ()) if kind == "DNS")
    return Certificate(path, key, names, ssl.cert_time_to_seconds(seen["notAfter"]))


def use(context: ssl.SSLContext, path: Path, key: Path) -> None:
    """Load a certificate and its key into a context.

    Raises:
        CertificateError: the files cannot be read or do not belong together.
    """
    _read_pem(path, "certificate", "CERTIFICATE")
    _read_pem(key, "key", "PRIVATE KEY")
    encrypted = False

    def no_passphrase() -> str:
        # Without a callback OpenSSL would prompt at the terminal.
        nonlocal encrypted
        encrypted = True
        return ""

    try:
        context.load_cert_chain(path, key, no_passphrase)
    except ssl.SSLError as error:
        if encrypted:
            hint = f"a host cannot prompt for a passphrase; remove it with: openssl pkey -in {key} -out NEW"
            raise CertificateError(f"the key {key} is encrypted", hint) from None
        if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
            raise CertificateError(
                f"the key {key} does not belong to the certificate {path}",
                "certificates and keys are paired in the order in which they are given; "
                "a certificate file begins with the certificate itself, then its chain",
            ) from None
        raise CertificateError(f"OpenSSL cannot use {path} with {key}: {_reason(error)}") from None


def trust(context: ssl.SSLContext, authorities: Path) -> None:
    """Make a context trust the authorities in a file.

    Raises:
        CertificateError: the file cannot be read or used.
    """
    try:
        context.load_verify_locations(authorities)
    except ssl.SSLError as error:
        raise CertificateError(f"OpenSSL cannot use {authorities}: {_reason(error)}") from None
    except OSError as error:
        raise CertificateError(f"cannot read {authorities}: {error.strerror}") from None


def _read_pem(path: Path, setting: str, kind: str) -> str:
    """Return the text of a PEM file with a block of this kind.

    Raises:
        CertificateError: it cannot be read or has no such block.
    """
    try:
        text = path.read_bytes().decode("latin-1")
    except OSError as error:
        hint = None
        if isinstance(error, PermissionError):
            # Not the one of the setting `user`: workers read it before they change to that.
            hint = f"give user {user_name(os.geteuid())} the right to read it, and to enter each folder of its path"
        raise CertificateError(f"cannot read the {setting} {path}: {error.strerror}", hint) from None
    if _BEGIN not in text:
        raise CertificateError(f"the {setting} {path} is not PEM", "a PEM file is text with a line -----BEGIN ...-----")
    inside = [part.partition("-----")[0] for part in text.split(_BEGIN)[1:]]
    # A key's label may name its type, such as EC PRIVATE KEY. A TRUSTED CERTIFICATE is a format of OpenSSL's own.
    if not any(each == kind or (each.endswith(kind) and kind != "CERTIFICATE") for each in inside):
        what = f"the {setting} {path} contains no {kind.lower()}, but {', '.join(dict.fromkeys(inside)).lower()}"
        raise CertificateError(what, "are certificate and key interchanged?" if setting != "client_ca" else None)
    return text


def _first(text: str) -> str:
    """Return the first certificate of a PEM file, which is the server's own; its chain follows."""
    start = text.index(_BEGIN + "CERTIFICATE")
    return text[start : text.index(_END, start) + len(_END)] + "\n"


def _seen_by_client(server: ssl.SSLContext, leaf: str) -> Mapping[str, Any]:
    """Return a certificate as `getpeercert()` shows it to a client that trusts it.

    Raises:
        ssl.SSLCertVerificationError: clients would reject it.
        ssl.SSLError: it cannot be used.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Which names a certificate has is the result of this; there is none to compare with.
    client.check_hostname = False
    # Otherwise OpenSSL trusts only a self-signed certificate, and would want the issuer of this one.
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(cadata=leaf)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_end = client.wrap_bio(to_client, to_server)
    server_end = server.wrap_bio(to_server, to_client, server_side=True)
    while True:
        try:
            client_end.do_handshake()
        except ssl.SSLWantReadError:
            try:
                server_end.do_handshake()
            except ssl.SSLWantReadError:
                continue
        else:
            return client_end.getpeercert() or {}


def _rejected(path: Path, error: ssl.SSLCertVerificationError) -> CertificateError:
    hint = f"see its dates with: openssl x509 -in {path} -noout -dates"
    if error.verify_code == _EXPIRED:
        return CertificateError(f"the certificate {path} has expired", hint)
    if error.verify_code == _NOT_YET_VALID:
        return CertificateError(f"the certificate {path} is not valid yet", f"{hint}; is the clock right?")
    return CertificateError(f"clients would reject the certificate {path}: {error.verify_message}")


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or error.strerror or str(error)).replace("_", " ").lower()
