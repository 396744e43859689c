"""Clients of an echo service."""

from __future__ import annotations

import socket


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


def ended(sock: socket.socket) -> bool:
    """Wait for EOF or a reset; return False if data arrives instead."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True
