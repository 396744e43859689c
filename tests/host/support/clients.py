"""Clients that are plain sockets."""

from __future__ import annotations

import http.client
import socket
from contextlib import closing
from pathlib import Path

from reactorhost.testing import DEADLINE_SECONDS


def connect_unix(path: Path) -> socket.socket:
    """Return a client of a unix socket; its calls time out."""
    client = socket.socket(socket.AF_UNIX)
    try:
        client.settimeout(DEADLINE_SECONDS)
        client.connect(str(path))
    except BaseException:
        client.close()
        raise
    return client


def http_client(address: tuple[str, int]) -> closing[http.client.HTTPConnection]:
    """Return a context manager with an HTTP client; its calls time out."""
    return closing(http.client.HTTPConnection(*address, timeout=DEADLINE_SECONDS))


def answers(sock: socket.socket, data: bytes = b"still there?") -> bool:
    """Return whether the service echoes `data`."""
    sock.sendall(data)
    return read_exactly(sock, len(data)) == data


def read_exactly(sock: socket.socket, count: int) -> bytes:
    """Read `count` bytes, or fewer if the connection ends first."""
    data = b""
    while len(data) < count and (more := sock.recv(count - len(data))):
        data += more
    return data


def read_to_eof(sock: socket.socket) -> bytes:
    """Read up to the end, which is not a reset."""
    return b"".join(iter(lambda: sock.recv(65536), b""))


def ended(sock: socket.socket) -> bool:
    """Wait for EOF or a reset; return False if data arrives instead."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True
