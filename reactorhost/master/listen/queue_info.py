"""The queue of a listening socket as the kernel reports it: its length, its limit, and what was dropped."""

from __future__ import annotations

import socket
import struct
import sys

_TCP_INFO_BYTES = 32
_TCP_INFO_UNACKED = 24
_SO_MEMINFO = 55
_MEMINFO_BYTES = 36


def connections(sock: socket.socket) -> tuple[int, int]:
    """Return length and limit of the accept queue of a TCP listener."""
    # Of a listener, the kernel reports them in fields that mean something else otherwise: tcpi_unacked, tcpi_sacked.
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    depth, limit = struct.unpack_from("II", info, _TCP_INFO_UNACKED)
    return depth, limit


def has_datagrams(sock: socket.socket) -> bool:
    """Say whether a datagram waits to be read."""
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    return True


def dropped(sock: socket.socket) -> int | None:
    """Return how many connections or datagrams the kernel dropped, or None before Linux 4.12."""
    try:
        info = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO_BYTES)
    except OSError:
        return None
    return int.from_bytes(info[-4:], sys.byteorder) if len(info) == _MEMINFO_BYTES else None
