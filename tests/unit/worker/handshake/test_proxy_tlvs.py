"""The extensions of a PROXY header: what each means, and which are refused."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import pytest
from hypothesis import given, strategies

from reactorhost.api.proxy_facts import ProxyFacts, ProxyTls
from reactorhost.worker.handshake.proxy_tlvs import ProxyExtensionError, crc32c, facts

HEAD = b"a fixed part and addresses"


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def parsed(extensions: bytes) -> ProxyFacts:
    return facts(HEAD + extensions, len(HEAD))


def tls(client: int, unverified: int, extensions: bytes = b"") -> bytes:
    return tlv(0x20, struct.pack("!BI", client, unverified) + extensions)


SESSION = (
    tlv(0x21, b"TLSv1.3") + tlv(0x22, "Zoë".encode()) + tlv(0x23, b"TLS_AES_256_GCM_SHA384") + tlv(0x25, b"RSA2048")
)


@pytest.mark.parametrize(
    ("extensions", "expected"),
    [
        (b"", {}),
        (tlv(0x01, b"h2"), {"alpn": "h2"}),
        (tlv(0x02, "bücher.example".encode()), {"authority": "bücher.example"}),
        (tlv(0x02, b"b\xfccher"), {"authority": "b\\xfccher"}),
        (tlv(0x02, b"first") + tlv(0x02, b"last"), {"authority": "last"}),
        (tlv(0x05, bytes(128)), {"unique_id": bytes(128)}),
        (tlv(0x30, b"blue") + tlv(0xEA, b"vpce-1") + tlv(0xE0, b""), {}),
        (tls(0, 0, tlv(0x21, b"none")), {"tls": None}),
        (tls(1, 1), {"tls": ProxyTls()}),
        # "verify" is 0 also for a client that has presented no certificate.
        (tls(1, 0), {"tls": ProxyTls()}),
        (tls(1 | 2, 0), {"tls": ProxyTls(verified=True)}),
        (tls(1 | 4, 0), {"tls": ProxyTls(verified=True)}),
        (tls(1 | 2, 19), {"tls": ProxyTls(verified=False)}),
    ],
)
def test_each_extension_has_its_meaning(extensions: bytes, expected: dict[str, Any]) -> None:
    found = parsed(extensions)
    names = ("alpn", "authority", "unique_id", "tls")
    assert {name: getattr(found, name) for name in names} == dict.fromkeys(names) | expected


def test_the_facts_of_a_tls_session_are_complete() -> None:
    session = parsed(tls(7, 0, SESSION)).tls
    assert session is not None
    assert (session.version, session.cipher) == ("TLSv1.3", "TLS_AES_256_GCM_SHA384")
    assert (session.common_name, session.verified) == ("Zoë", True)
    assert session.values[0x25] == b"RSA2048"


def test_the_values_are_those_that_were_sent_without_padding() -> None:
    extensions = tlv(0x30, b"blue") + tlv(0x04, bytes(40)) + tlv(0xEA, b"\x01vpce-1") + tlv(0x01, b"h2")
    assert parsed(extensions).values == {0x30: b"blue", 0xEA: b"\x01vpce-1", 0x01: b"h2"}


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_checksum_is_verified_wherever_it_stands(at: int) -> None:
    others = [tlv(0x01, b"h2"), tlv(0x02, b"chat")]
    before, behind = HEAD + b"".join(others[:at]) + b"\x03\x00\x04", b"".join(others[at:])
    checksum = struct.pack("!I", crc32c(before + bytes(4) + behind))
    assert facts(before + checksum + behind, len(HEAD)).authority == "chat"
    for broken in (b"b" + before[1:] + checksum + behind, before + bytes(4) + behind):
        with pytest.raises(ProxyExtensionError, match="a wrong checksum"):
            facts(broken, len(HEAD))


@pytest.mark.parametrize(
    ("data", "expected"),
    # RFC 3720, appendix B.4, and the check value of the catalogues.
    [(b"", 0), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (b"123456789", 0xE3069283)],
)
def test_the_checksum_is_the_one_of_the_rfc(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected


@pytest.mark.parametrize(
    ("extensions", "reason"),
    [
        (b"\x02", "an extension that is cut off"),
        (b"\x02\x00", "an extension that is cut off"),
        (b"\x02\x00\x01", "an extension that is cut off"),
        (tlv(0x01, b"h2") + b"\x02\xff\xffchat", "an extension that is cut off"),
        (tls(1, 0, b"\x21\x00\x09TLSv1.3"), "an extension that is cut off"),
        (tlv(0x20, b"\x01\0\0\0"), "an extension 0x20 of 4 bytes"),
        (tlv(0x05, bytes(129)), "an extension 0x05 of 129 bytes"),
        (tlv(0x03, bytes(3)), "an extension 0x03 of 3 bytes"),
        (tlv(0x03, b"abcd"), "a wrong checksum"),
    ],
)
def test_malformed_extensions_are_refused_with_a_reason(extensions: bytes, reason: str) -> None:
    with pytest.raises(ProxyExtensionError, match=f"^{reason}$"):
        parsed(extensions)


@given(strategies.dictionaries(strategies.integers(0x31, 0xFF), strategies.binary(max_size=300), max_size=5))
def test_extensions_are_read_as_they_were_written(values: dict[int, bytes]) -> None:
    assert parsed(b"".join(tlv(kind, value) for kind, value in values.items())).values == values


@given(strategies.binary(max_size=300))
def test_any_bytes_are_extensions_or_refused(data: bytes) -> None:
    # Any other exception would end the worker.
    with contextlib.suppress(ProxyExtensionError):
        assert isinstance(parsed(data), ProxyFacts)
