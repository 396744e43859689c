"""A classic BPF program that steers new connections away from some listeners of a SO_REUSEPORT group.

The program returns the index of the socket that gets the connection; sockets are indexed in the order in which they
joined the group. Attaching it needs no privilege. Source: socket(7), SO_ATTACH_REUSEPORT_CBPF; net/core/filter.c for
the random number at SKF_AD_OFF + SKF_AD_RANDOM.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Sequence

_SO_ATTACH_REUSEPORT_CBPF = 51
_SO_DETACH_REUSEPORT_BPF = 68

_LOAD_ABSOLUTE = 0x20
_MODULO = 0x94
_JUMP_IF_AT_LEAST = 0x35
_ADD = 0x04
_RETURN_A = 0x16
_RANDOM = 0xFFFFF000 + 56


def program(sockets: int, leaving: Sequence[int]) -> bytes:
    """Return the instructions that choose evenly among `sockets` indexes except those in `leaving`."""
    # Draw a number below the count of the sockets that stay, then add one for every excluded index at or below it.
    # Excluded indexes must come in ascending order for that.
    instructions = [(_LOAD_ABSOLUTE, 0, 0, _RANDOM), (_MODULO, 0, 0, sockets - len(leaving))]
    for index in sorted(leaving):
        instructions += [(_JUMP_IF_AT_LEAST, 0, 1, index), (_ADD, 0, 0, 1)]
    instructions.append((_RETURN_A, 0, 0, 0))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)


def attach(sock: socket.socket, sockets: int, leaving: Sequence[int]) -> bool:
    """Steer the group of `sock`; returns False, with nothing changed, where the kernel refuses."""
    code = program(sockets, leaving)
    buffer = ctypes.create_string_buffer(code, len(code))
    return _set(sock, _SO_ATTACH_REUSEPORT_CBPF, struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer)))


def detach(sock: socket.socket) -> bool:
    """Let the kernel choose by its hash again; returns False where it refuses."""
    return _set(sock, _SO_DETACH_REUSEPORT_BPF, struct.pack("i", 0))


def _set(sock: socket.socket, option: int, value: bytes) -> bool:
    try:
        sock.setsockopt(socket.SOL_SOCKET, option, value)
    except OSError:
        return False
    return True
