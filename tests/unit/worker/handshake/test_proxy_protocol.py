"""PROXY headers: parsing in pieces of any size, and refusing what is not one."""

from __future__ import annotations

import ipaddress
import itertools
import struct

import pytest
from hypothesis import given, settings, strategies

from reactorhost.address import Endpoint
from reactorhost.api.proxy_facts import ProxyFacts
from reactorhost.worker.handshake.proxy_protocol import ProxyHeader, ProxyHeaderError, ProxyHeaderParser

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V4 = ipaddress.ip_address("10.1.2.3").packed + ipaddress.ip_address("10.0.0.1").packed + struct.pack("!HH", 4711, 443)
V6 = ipaddress.ip_address("fe80::1").packed + ipaddress.ip_address("::1").packed + struct.pack("!HH", 1, 2)
UNIX = b"/run/client".ljust(108, b"\0") + b"\0abstract".ljust(108, b"\0")


def binary(command: int, kind: int, block: bytes) -> bytes:
    return SIGNATURE + bytes([0x20 | command, kind]) + struct.pack("!H", len(block)) + block


TOLD = ProxyHeader(Endpoint("10.1.2.3", 4711), Endpoint("10.0.0.1", 443))
NOTHING = ProxyHeader()
LONGEST = b"PROXY UNKNOWN ".ljust(105, b"x") + b"\r\n"
HEADERS = {
    b"PROXY TCP4 10.1.2.3 10.0.0.1 4711 443\r\n": TOLD,
    b"PROXY TCP6 fe80::1 ::1 1 65535\r\n": ProxyHeader(Endpoint("fe80::1", 1), Endpoint("::1", 65535)),
    b"PROXY UNKNOWN\r\n": NOTHING,
    LONGEST: NOTHING,
    binary(1, 0x11, V4): ProxyHeader(TOLD.source, TOLD.destination, ProxyFacts()),
    binary(1, 0x11, V4 + b"\x02\x00\x04chat" + b"\xe0\x0b\xb8" + bytes(3000)): ProxyHeader(
        Endpoint("10.1.2.3", 4711),
        Endpoint("10.0.0.1", 443),
        ProxyFacts(authority="chat", values={2: b"chat", 0xE0: bytes(3000)}),
    ),
    binary(1, 0x21, V6): ProxyHeader(Endpoint("fe80::1", 1), Endpoint("::1", 2), ProxyFacts()),
    binary(1, 0x31, UNIX): ProxyHeader(Endpoint("unix:/run/client", 0), Endpoint("unix:@abstract", 0), ProxyFacts()),
    binary(1, 0x31, bytes(216)): ProxyHeader(Endpoint("unix", 0), Endpoint("unix", 0), ProxyFacts()),
    binary(0, 0x00, b""): NOTHING,
    binary(0, 0x11, V4): NOTHING,
    binary(0, 0xFF, b"anything"): NOTHING,
    binary(1, 0x00, b"extensions"): NOTHING,
    binary(1, 0x12, V4): NOTHING,
}


def parsed(pieces: list[bytes]) -> tuple[ProxyHeader | None, bytes]:
    """Return the parsed header and the bytes left over, feeding the parser as `read_header` does: by peeking."""
    parser, rest = ProxyHeaderParser(), b""
    for piece in pieces:
        rest += piece
        if parser.header is None and rest:
            rest = rest[parser.feed(rest) :]
    return parser.header, rest


@settings(max_examples=60)
@given(
    strategies.sampled_from(sorted(HEADERS)),
    strategies.binary(max_size=40),
    strategies.lists(strategies.integers(0, 3300), max_size=6),
)
def test_a_header_in_any_pieces_is_parsed_and_what_follows_is_left(
    header: bytes, follows: bytes, cuts: list[int]
) -> None:
    stream = header + follows
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    pieces = [stream[start:end] for start, end in itertools.pairwise(edges)]
    assert parsed(pieces) == (HEADERS[header], follows)


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_is_complete_with_its_last_byte(header: bytes) -> None:
    parser = ProxyHeaderParser()
    for byte in header:
        assert parser.header is None
        assert parser.feed(bytes([byte])) == 1
    assert parser.header == HEADERS[header]


REFUSED = {
    b"GET / HTTP/1.1\r\n": "no PROXY header",
    b"proxy TCP4 ": "no PROXY header",
    b"PROXX": "no PROXY header",
    b"\r\n\r\n\0\r\nQUIX": "no PROXY header",
    b"PROXY TCP4 10.1.2.3 10.0.0.1 4711\r\n": "malformed",
    b"PROXY TCP5 10.1.2.3 10.0.0.1 4711 443\r\n": "malformed",
    b"PROXY \r\n": "malformed",
    b"PROXY TCP4  10.1.2.3 10.0.0.1 4711 443\r\n": "malformed",
    b"PROXY TCP4 10.1.2 10.0.0.1 4711 443\r\n": "wrong address or port",
    b"PROXY TCP4 ::1 ::1 4711 443\r\n": "wrong address or port",
    b"PROXY TCP6 10.1.2.3 10.0.0.1 4711 443\r\n": "wrong address or port",
    b"PROXY TCP4 10.1.2.3 10.0.0.1 65536 443\r\n": "wrong address or port",
    b"PROXY TCP4 10.1.2.3 10.0.0.1 -1 443\r\n": "wrong address or port",
    b"PROXY TCP4 10.1.2.3 10.0.0.1 \xb2 443\r\n": "wrong address or port",
    b"PROXY UNKNOWN ".ljust(107, b"x"): "no end within 107 bytes",
    b"PROXY UNKNOWN ".ljust(106, b"x") + b"\r\n": "no end within 107 bytes",
    SIGNATURE + b"\x11\x11\x00\x0c": "version 1",
    SIGNATURE + b"\x22\x11\x00\x0c": "unknown command 2",
    SIGNATURE + b"\x21\x41\x00\x0c": "unknown kind of address 0x41",
    SIGNATURE + b"\x21\x13\x00\x0c": "unknown kind of address 0x13",
    SIGNATURE + b"\x21\x11\x00\x0b": "11 bytes, too few",
    SIGNATURE + b"\x21\x21\x00\x23": "35 bytes, too few",
    binary(1, 0x11, V4 + b"\x02\x00\x05chat"): "^its PROXY header has an extension that is cut off$",
}


@pytest.mark.parametrize("header", REFUSED)
def test_other_bytes_are_refused_with_a_reason(header: bytes) -> None:
    with pytest.raises(ProxyHeaderError, match=REFUSED[header]):
        parsed([header])


@settings(max_examples=100)
@given(strategies.binary(max_size=200))
def test_any_bytes_are_a_header_or_its_beginning_or_refused(data: bytes) -> None:
    parser = ProxyHeaderParser()
    try:
        size = parser.feed(data)
    except ProxyHeaderError:
        return
    assert size <= len(data)
    assert parser.header is not None or size == len(data)
