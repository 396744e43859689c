"""Certificates and keys that cannot be used, and the error for each."""

from __future__ import annotations

import datetime as dt
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from reactorhost.config.service import Tls
from reactorhost.errors import ConfigError
from reactorhost.system.ownership import user_name
from reactorhost.tls import certificates
from reactorhost.tls.context import ServerNames, ServerTls

AUTHORITY = trustme.CA()
GOOD = AUTHORITY.issue_cert("localhost", "*.Example.org", "127.0.0.1")
OTHER = AUTHORITY.issue_cert("other.example.org")
NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


def valid(begins: dt.timedelta, ends: dt.timedelta) -> trustme.LeafCert:
    return AUTHORITY.issue_cert("localhost", not_before=NOW + begins, not_after=NOW + ends)


Made = Callable[[str, trustme.LeafCert | bytes], Path]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Return a function that writes a certificate with its chain, or a key after a name in `.key`, or just bytes."""

    def make(name: str, thing: trustme.LeafCert | bytes) -> Path:
        if isinstance(thing, trustme.LeafCert):
            blobs = [thing.private_key_pem] if name.endswith(".key") else thing.cert_chain_pems
            thing = b"".join(blob.bytes() for blob in blobs)
        path = tmp_path / name
        path.write_bytes(thing)
        return path

    return make


def encrypted(key: bytes) -> bytes:
    from cryptography.hazmat.primitives import serialization

    loaded = serialization.load_pem_private_key(key, None)
    return loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )


def refused(path: Path, key: Path) -> str:
    with pytest.raises(certificates.CertificateError) as caught:
        certificates.load(path, key)
    return str(caught.value)


def test_a_valid_certificate_has_names_and_an_expiry_date(made: Made) -> None:
    loaded = certificates.load(made("a.pem", GOOD), made("a.key", GOOD))
    assert loaded.names == ("localhost", "*.example.org")
    assert loaded.days_left(loaded.not_after - 7.5 * 86400) is None
    assert loaded.days_left(loaded.not_after - 6.5 * 86400) == 6
    assert loaded.days_left(loaded.not_after + 5) == 0


def test_a_certificate_and_its_key_may_be_one_file(made: Made) -> None:
    path = made("both.pem", GOOD.private_key_and_cert_chain_pem.bytes())
    assert certificates.load(path, path).names[0] == "localhost"


def test_files_that_cannot_be_read_are_errors(made: Made, tmp_path: Path) -> None:
    path = made("a.pem", GOOD)
    assert (
        refused(tmp_path / "none", path)
        == f"cannot read the certificate {tmp_path / 'none'}: No such file or directory"
    )
    assert refused(path, tmp_path) == f"cannot read the key {tmp_path}: Is a directory"


def test_a_file_that_this_user_cannot_read_has_a_hint(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    path, key = made("a.pem", GOOD), made("a.key", GOOD)
    read_bytes = Path.read_bytes

    def read(path: Path) -> bytes:
        if path == key:
            raise PermissionError(errno.EACCES, "Permission denied")
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", read)
    with pytest.raises(certificates.CertificateError) as caught:
        certificates.load(path, key)
    assert str(caught.value) == f"cannot read the key {key}: Permission denied"
    user = user_name(os.geteuid())
    assert caught.value.problem.hint == f"give user {user} the right to read it, and to enter each folder of its path"


def test_a_file_that_is_not_pem_is_an_error(made: Made) -> None:
    path, key = made("a.pem", GOOD), made("a.key", GOOD)
    der = made("der", b"\x30\x82\x01\x00")
    assert refused(der, key) == f"the certificate {der} is not PEM"
    assert refused(path, der) == f"the key {der} is not PEM"


def test_interchanged_certificate_and_key_are_an_error(made: Made) -> None:
    path, key = made("a.pem", GOOD), made("a.key", GOOD)
    assert refused(key, path).startswith(f"the certificate {key} contains no certificate, but ")
    assert refused(path, path) == f"the key {path} contains no private key, but certificate"


def test_a_trusted_certificate_of_openssl_is_an_error(made: Made, tmp_path: Path) -> None:
    pem = tmp_path / "trusted.pem"
    pem.write_text("-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----\n")
    with pytest.raises(certificates.CertificateError, match="contains no certificate, but trusted certificate"):
        certificates._read_pem(pem, "certificate", "CERTIFICATE")


def test_damaged_pem_is_an_error(made: Made) -> None:
    key = made("a.key", GOOD)
    path = made("a.pem", b"-----BEGIN CERTIFICATE-----\nabcd\n-----END CERTIFICATE-----\n")
    assert refused(path, key).startswith(f"OpenSSL cannot use {path} with {key}: ")


def test_a_key_of_another_certificate_is_an_error(made: Made) -> None:
    path, key = made("a.pem", GOOD), made("b.key", OTHER)
    assert refused(path, key) == f"the key {key} does not belong to the certificate {path}"


def test_an_encrypted_key_is_an_error_without_a_prompt(made: Made) -> None:
    path, key = made("a.pem", GOOD), made("a.key", encrypted(GOOD.private_key_pem.bytes()))
    assert refused(path, key) == f"the key {key} is encrypted"


@pytest.mark.parametrize(
    ("begins", "ends", "words"), [(-2 * DAY, -DAY, "has expired"), (DAY, 2 * DAY, "is not valid yet")]
)
def test_an_expired_or_future_certificate_is_an_error(
    made: Made, begins: dt.timedelta, ends: dt.timedelta, words: str
) -> None:
    leaf = valid(begins, ends)
    path = made("a.pem", leaf)
    assert refused(path, made("a.key", leaf)) == f"the certificate {path} {words}"


def test_all_problems_of_a_service_are_listed_with_their_place(made: Made, tmp_path: Path) -> None:
    old = valid(-2 * DAY, -DAY)
    paths = (made("a.pem", GOOD), made("old.pem", old))
    keys = (made("a.key", OTHER), made("old.key", old))
    with pytest.raises(ConfigError) as caught:
        ServerTls(Tls(paths, keys, client_ca=tmp_path / "none"), "host.toml:7")
    assert [problem.where for problem in caught.value.problems] == ["host.toml:7"] * 3
    assert "cannot read the client_ca" in caught.value.problems[2].what


def test_an_authority_file_without_a_certificate_is_an_error(made: Made) -> None:
    path, key = made("a.pem", GOOD), made("a.key", GOOD)
    with pytest.raises(ConfigError, match=r"the client_ca .* contains no certificate"):
        ServerTls(Tls((path,), (key,), client_ca=key))


def test_a_name_is_found_exactly_or_else_by_wildcard_and_the_first_entry_wins() -> None:
    names = ServerNames([(("*.example.org", "example.org"), 1), (("a.example.org", "example.org"), 2)])
    found = {name: names.find(name) for name in ("EXAMPLE.org", "a.example.org", "b.Example.org", "a.b.example.org")}
    assert found == {"EXAMPLE.org": 1, "a.example.org": 2, "b.Example.org": 1, "a.b.example.org": None}
    assert names.find("org") is None
