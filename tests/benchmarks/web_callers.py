"""Connections of the web figures: persistent HTTP connections and WebSockets, made before the load takes them over."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from servers import Server, ServerError

_PATIENCE_SECONDS = 10.0
_REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"
_UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Callers:
    """Connections on which the same call is made again and again.

    Attributes:
        call: the bytes of a call.
        answer_bytes: the size of its answer.
    """

    socks: Sequence[socket.socket]
    call: bytes
    answer_bytes: int

    @property
    def descriptors(self) -> list[int]:
        """The descriptors of the connections."""
        return [sock.fileno() for sock in self.socks]


@contextlib.contextmanager
def http_callers(server: Server, count: int) -> Iterator[Callers]:
    """Connect, and make one request on each connection.

    Raises:
        ServerError: an answer is not 200, or the answers differ in size.
    """
    with _connected(server, count) as socks:
        sizes = {len(_requested(sock)) for sock in socks}
        if len(sizes) != 1:
            raise ServerError(f"answers have {sizes} bytes")
        yield _handed_over(socks, _REQUEST, sizes.pop())


@contextlib.contextmanager
def websocket_callers(server: Server, count: int, path: str, size: int) -> Iterator[Callers]:
    """Connect WebSockets; a call is a binary message of so many bytes.

    Raises:
        ServerError: the server does not accept the WebSocket.
    """
    with _connected(server, count) as socks:
        for sock in socks:
            sock.sendall(_UPGRADE.format(path=path).encode())
            if not _head(sock).startswith(b"HTTP/1.1 101 "):
                raise ServerError("the server does not accept the WebSocket")
        yield _handed_over(socks, _masked(os.urandom(size)), len(_unmasked_head(size)) + size)


def _handed_over(socks: Sequence[socket.socket], call: bytes, answer_bytes: int) -> Callers:
    for sock in socks:
        sock.setblocking(False)
    return Callers(socks, call, answer_bytes)


@contextlib.contextmanager
def _connected(server: Server, count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        socks = []
        for _ in range(count):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=_PATIENCE_SECONDS))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            socks.append(sock)
        yield socks


def _requested(sock: socket.socket) -> bytes:
    sock.sendall(_REQUEST)
    head, separator, body = _head(sock).partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise ServerError(f"the server answers {head[:40]!r}")
    length = next(
        int(value)
        for name, _, value in (line.partition(b":") for line in head.split(b"\r\n"))
        if name.lower() == b"content-length"
    )
    return head + separator + body + _exactly(sock, length - len(body))


def _head(sock: socket.socket) -> bytes:
    """Return the head of an answer, and what has come with it."""
    head = b""
    while b"\r\n\r\n" not in head:
        data = sock.recv(65536)
        if not data:
            raise ServerError("the server closed a connection")
        head += data
    return head


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = sock.recv(count, socket.MSG_WAITALL) if count else b""
    if len(data) < count:
        raise ServerError("the server closed a connection")
    return data


def _unmasked_head(size: int) -> bytes:
    return struct.pack("!BB", 0x82, size) if size < 126 else struct.pack("!BBH", 0x82, 126, size)


def _masked(payload: bytes) -> bytes:
    head = bytearray(_unmasked_head(len(payload)))
    head[1] |= 0x80
    mask = os.urandom(4)
    return bytes(head) + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
