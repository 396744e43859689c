"""What waits at a socket until a worker takes it, and what the kernel threw away, as the kernel tells."""

from __future__ import annotations

import socket
import struct
import sys

_TCP_INFO_BYTES = 32
_TCP_INFO_UNACKED = 24
_SO_MEMINFO = 55
_MEMINFO_BYTES = 36


def connections(sock: socket.socket) -> tuple[int, int]:
    """Return length and limit of an accept queue: of a TCP listener, tcpi_unacked and tcpi_sacked."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    depth, limit = struct.unpack_from("II", info, _TCP_INFO_UNACKED)
    return depth, limit


def has_datagrams(sock: socket.socket) -> bool:
    """Tell whether a datagram waits that nobody has read."""
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    return True


def dropped(sock: socket.socket) -> int | None:
    """Return how many connections or datagrams the kernel turned away; it says so since 4.12."""
    try:
        info = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO_BYTES)
    except OSError:
        return None
    return int.from_bytes(info[-4:], sys.byteorder) if len(info) == _MEMINFO_BYTES else None
