"""The server name is found in whatever pieces a ClientHello comes, and nothing else is mistaken for one."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_hellos import hello_of
from reactorhost_proxy.client_hello import Hello, HelloReader

NAMED = hello_of("Api.Example.com")


def block(length_bytes: int, data: bytes) -> bytes:
    return len(data).to_bytes(length_bytes) + data


def records(message: bytes, size: int = 1 << 14) -> bytes:
    """Return a handshake message in records of at most `size` bytes."""
    pieces = (message[at : at + size] for at in range(0, len(message), size))
    return b"".join(b"\x16\x03\x01" + block(2, piece) for piece in pieces)


def made(extensions: bytes | None) -> bytes:
    """Return a ClientHello message with these extensions, or without any."""
    body = b"\x03\x03" + bytes(32) + block(1, b"") + block(2, b"\x13\x01") + block(1, b"\0")
    if extensions is not None:
        body += block(2, extensions)
    return b"\x01" + block(3, body)


def extension(kind: int, data: bytes) -> bytes:
    return struct.pack("!H", kind) + block(2, data)


def server_name(name: bytes, kind: int = 0) -> bytes:
    return extension(0, block(2, bytes([kind]) + block(2, name)))


def read(data: bytes) -> str | Hello:
    return HelloReader().feed(data)


def test_the_name_is_in_lower_case() -> None:
    assert read(NAMED) == "api.example.com"


def test_every_split_finds_the_name_at_the_last_byte() -> None:
    for at in range(len(NAMED)):
        reader = HelloReader()
        assert reader.feed(NAMED[:at]) is Hello.INCOMPLETE
        assert reader.feed(NAMED[at:]) == "api.example.com"
        assert bytes(reader.received) == NAMED


@given(st.integers(1, 300), st.integers(1, 70), st.binary(max_size=20))
def test_records_and_reads_may_be_of_any_size(record: int, piece: int, behind: bytes) -> None:
    data = records(NAMED[5:], record) + behind
    reader = HelloReader()
    found = [reader.feed(data[at : at + piece]) for at in range(0, len(data), piece)]
    names = [each for each in found if each is not Hello.INCOMPLETE]
    # A reader that has its answer is not fed again; bytes behind the hello come with its last piece only.
    assert names[0] == "api.example.com"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (records(made(None)), Hello.NAMELESS),
        (records(made(b"")), Hello.NAMELESS),
        (hello_of(None), Hello.NAMELESS),
        (records(made(extension(0x0A0A, b"") + extension(0xFAFA, b"\0") + server_name(b"a.b"))), "a.b"),
        (records(made(server_name(b"a.b") + extension(0x1A1A, b"x"))), "a.b"),
        (records(made(server_name(b"other", kind=9))), Hello.NAMELESS),
        (records(made(server_name(b"a.b."))), "a.b"),
        (records(made(server_name(b""))), Hello.NOT_TLS),
        (records(made(server_name("ä.de".encode()))), Hello.NOT_TLS),
        (records(made(server_name(b"a\nb"))), Hello.NOT_TLS),
        (records(made(server_name(b"a" * 256))), Hello.NOT_TLS),
        (records(made(extension(0, b"\0"))), Hello.NOT_TLS),
        (records(made(server_name(b"a.b") + b"\0")), "a.b"),
        (records(made(b"\0\0\0")), Hello.NOT_TLS),
        (records(b"\x02" + block(3, b"x" * 40)), Hello.NOT_TLS),
        (records(b"\x01" + (1 << 16).to_bytes(3)), Hello.NOT_TLS),
        (b"GET / HTTP/1.1\r\n", Hello.NOT_TLS),
        (b"G", Hello.NOT_TLS),
        (b"\x16\x02\x00\x00\x05hello", Hello.NOT_TLS),
        (b"\x16\x03\x01\x00\x00", Hello.NOT_TLS),
        (b"\x16\x03\x01\x40\x01", Hello.NOT_TLS),
        (b"\x16", Hello.INCOMPLETE),
        (b"", Hello.INCOMPLETE),
        (records(made(server_name(b"a.b")))[:-1], Hello.INCOMPLETE),
    ],
)
def test_other_first_bytes(data: bytes, found: str | Hello) -> None:
    assert read(data) == found


@given(st.binary(max_size=60), st.integers(0, 59))
def test_damage_never_raises_and_a_split_changes_nothing(noise: bytes, at: int) -> None:
    data = NAMED[:at] + noise + NAMED[at + len(noise) :]
    reader = HelloReader()
    found: str | Hello = Hello.INCOMPLETE
    for byte in data:
        found = reader.feed(bytes([byte]))
        if found is not Hello.INCOMPLETE:
            break
    assert found == read(data)
