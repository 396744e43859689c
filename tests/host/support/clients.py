"""What a client of an echo service does and sees."""

from __future__ import annotations

import socket


def answers(sock: socket.socket, data: bytes = b"still there?") -> bool:
    """Say whether a client that sends something gets the same back."""
    sock.sendall(data)
    return read_exactly(sock, len(data)) == data


def read_exactly(sock: socket.socket, count: int) -> bytes:
    """Read so many bytes, or fewer if the connection ends before."""
    data = b""
    while len(data) < count and (more := sock.recv(count - len(data))):
        data += more
    return data


def ended(sock: socket.socket) -> bool:
    """Wait for the end of a connection; False if something comes instead."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True
