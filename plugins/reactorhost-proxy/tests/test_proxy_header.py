"""PROXY headers, byte for byte as the specification has them."""

from __future__ import annotations

import pytest

from reactorhost import Endpoint, ProxyFacts, TlsFacts
from reactorhost_proxy.proxy_header import CHECK_2, extensions, version_1, version_2

SIGNATURE = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"
V4 = Endpoint("10.1.2.3", 4660), Endpoint("192.168.0.1", 443)
V6 = Endpoint("2001:db8::1", 1), Endpoint("fe80::2%eth0", 65535)
UNIX = Endpoint("unix", 0), Endpoint("unix:/run/a.sock", 0)
MIXED = Endpoint("10.1.2.3", 1), Endpoint("::1", 2)


@pytest.mark.parametrize(
    ("ends", "header"),
    [
        (V4, b"PROXY TCP4 10.1.2.3 192.168.0.1 4660 443\r\n"),
        (V6, b"PROXY TCP6 2001:db8::1 fe80::2 1 65535\r\n"),
        (MIXED, b"PROXY TCP6 ::ffff:10.1.2.3 ::1 1 2\r\n"),
        (UNIX, b"PROXY UNKNOWN\r\n"),
    ],
)
def test_version_1(ends: tuple[Endpoint, Endpoint], header: bytes) -> None:
    assert version_1(*ends) == header


@pytest.mark.parametrize(
    ("ends", "rest"),
    [
        (V4, "21 11 000c 0a010203 c0a80001 1234 01bb"),
        (
            V6,
            "21 21 0024 20010db8000000000000000000000001 fe800000000000000000000000000002 0001 ffff",
        ),
        (UNIX, "21 00 0000"),
    ],
)
def test_version_2(ends: tuple[Endpoint, Endpoint], rest: str) -> None:
    assert version_2(*ends, {}) == SIGNATURE + bytes.fromhex(rest)


def test_extensions_follow_the_addresses() -> None:
    header = version_2(*V4, {2: b"a.example", 5: b"id"})
    assert header.endswith(b"\x02\x00\x09a.example\x05\x00\x02id")
    assert header[14:16] == (12 + 12 + 5).to_bytes(2)


def test_a_check_is_local() -> None:
    assert CHECK_2 == SIGNATURE + b"\x20\x00\x00\x00"


def test_the_tls_session_is_described() -> None:
    certificate = {"subject": ((("countryName", "DE"),), (("commonName", "joe"),))}
    tls = TlsFacts("TLSv1.3", "AES", alpn="h2", server_name="a.example", certificate=certificate)
    found = extensions(tls, "a.example", None)
    assert found[1] == b"h2"
    assert found[2] == b"a.example"
    assert found[0x20] == b"\x03\0\0\0\0" + b"\x21\0\x07TLSv1.3" + b"\x22\0\x03joe" + b"\x23\0\x03AES"


def test_without_a_client_certificate_nothing_is_verified() -> None:
    assert extensions(TlsFacts("TLSv1.2", "AES"), None, None)[0x20].startswith(b"\x01\0\0\0\x01\x21")


def test_what_an_earlier_proxy_has_said_is_passed_on_but_for_its_checksum() -> None:
    earlier = ProxyFacts(values={0x03: b"\0\0\0\0", 0x04: b"\0", 0x05: b"id", 0xE0: b"own"})
    assert extensions(None, "b.example", earlier) == {0x05: b"id", 0xE0: b"own", 0x02: b"b.example"}
