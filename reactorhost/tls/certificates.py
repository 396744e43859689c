"""Certificates: read from their files, and looked at before anybody depends on them.

What is wrong is told with the file that it is in. Python has no public reader of certificates, so a handshake in
memory, whose client trusts this one certificate and no other, tells what clients will find.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reactorhost.errors import ConfigError, Problem

SOON_SECONDS = 7 * 86400.0

_EXPIRED = 10
_NOT_YET_VALID = 9
_BEGIN = "-----BEGIN "
_END = "-----END CERTIFICATE-----"


class CertificateError(Exception):
    """One thing that is wrong with a certificate or its key."""

    def __init__(self, what: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.problem = Problem(what, hint=hint)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that clients can use.

    Attributes:
        names: host names that it is for, in small letters; the first label of one may be `*`.
        not_after: when it expires, Unix time in seconds.
    """

    path: Path
    key: Path
    names: tuple[str, ...]
    not_after: float

    def days_left(self, now: float) -> int | None:
        """Return how many whole days it is still valid if these are few, else None; `now` is Unix time."""
        left = self.not_after - now
        return max(0, int(left // 86400)) if left < SOON_SECONDS else None


def load_all(pairs: list[tuple[Path, Path]], client_ca: Path | None, where: str | None) -> list[Certificate]:
    """Look at the certificates of a service, each with its key; `where` is the place in the settings.

    Raises:
        ConfigError: something is wrong with one of them; everything found is told.
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
    """Look at one certificate and its key.

    Raises:
        CertificateError: clients could not use it, or nobody can read it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    use(context, path, key)
    leaf = _first(_read_pem(path, "certificate", "CERTIFICATE"))
    try:
        seen = _as_a_client_sees_it(context, leaf)
    except ssl.SSLCertVerificationError as error:
        raise _not_accepted(path, error) from None
    except ssl.SSLError as error:
        raise CertificateError(f"the certificate {path} cannot be used: {_reason(error)}") from None
    names = tuple(value.lower() for kind, value in seen.get("subjectAltName", ()) if kind == "DNS")
    return Certificate(path, key, names, ssl.cert_time_to_seconds(seen["notAfter"]))


def use(context: ssl.SSLContext, path: Path, key: Path) -> None:
    """Let a context show a certificate.

    Raises:
        CertificateError: the files cannot be read, or do not belong together.
    """
    _read_pem(path, "certificate", "CERTIFICATE")
    _read_pem(key, "key", "PRIVATE KEY")
    asked = False

    def refuse() -> str:
        nonlocal asked
        asked = True
        return ""

    try:
        context.load_cert_chain(path, key, refuse)
    except ssl.SSLError as error:
        if asked:
            hint = f"nobody is there to type its passphrase; take it off: openssl pkey -in {key} -out NEW"
            raise CertificateError(f"the key {key} is encrypted", hint) from None
        if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
            raise CertificateError(
                f"the key {key} does not belong to the certificate {path}",
                "certificates and keys go together in the order in which they are given; "
                "the file of a certificate begins with its own, the chain follows",
            ) from None
        raise CertificateError(f"OpenSSL cannot use {path} with {key}: {_reason(error)}") from None


def trust(context: ssl.SSLContext, authorities: Path) -> None:
    """Let a context trust the authorities in a file.

    Raises:
        CertificateError: they cannot be read.
    """
    try:
        context.load_verify_locations(authorities)
    except ssl.SSLError as error:
        raise CertificateError(f"OpenSSL cannot use {authorities}: {_reason(error)}") from None
    except OSError as error:
        raise CertificateError(f"cannot read {authorities}: {error.strerror}") from None


def _read_pem(path: Path, setting: str, kind: str) -> str:
    """Return the text of a file that has something of this kind inside."""
    try:
        text = path.read_bytes().decode("latin-1")
    except OSError as error:
        hint = "workers read it before they become another user" if isinstance(error, PermissionError) else None
        raise CertificateError(f"cannot read the {setting} {path}: {error.strerror}", hint) from None
    if _BEGIN not in text:
        raise CertificateError(f"the {setting} {path} is not PEM", "a PEM file is text with a line -----BEGIN ...-----")
    inside = [part.partition("-----")[0] for part in text.split(_BEGIN)[1:]]
    # A key may be of some kind; OpenSSL's trusted certificate is another thing than a certificate.
    if not any(each == kind or (each.endswith(kind) and kind != "CERTIFICATE") for each in inside):
        what = f"the {setting} {path} has no {kind.lower()} inside, but {', '.join(dict.fromkeys(inside)).lower()}"
        raise CertificateError(what, "are certificate and key interchanged?" if setting != "client_ca" else None)
    return text


def _first(text: str) -> str:
    """Return the first certificate of a PEM file: the one that is shown, before its chain."""
    start = text.index(_BEGIN + "CERTIFICATE")
    return text[start : text.index(_END, start) + len(_END)] + "\n"


def _as_a_client_sees_it(server: ssl.SSLContext, leaf: str) -> Mapping[str, Any]:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(cadata=leaf)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    while True:
        try:
            asking.do_handshake()
        except ssl.SSLWantReadError:
            try:
                answering.do_handshake()
            except ssl.SSLWantReadError:
                continue
        else:
            return asking.getpeercert() or {}


def _not_accepted(path: Path, error: ssl.SSLCertVerificationError) -> CertificateError:
    hint = f"see its dates with: openssl x509 -in {path} -noout -dates"
    if error.verify_code == _EXPIRED:
        return CertificateError(f"the certificate {path} has expired", hint)
    if error.verify_code == _NOT_YET_VALID:
        return CertificateError(f"the certificate {path} is not valid yet", f"{hint}; is the clock right?")
    return CertificateError(f"the certificate {path} would be accepted by no client: {error.verify_message}")


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or error.strerror or str(error)).replace("_", " ").lower()
