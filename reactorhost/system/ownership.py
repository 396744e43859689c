"""Which users this process trusts with its files and sockets, and how messages name them: its own user, and root."""

from __future__ import annotations

import os
import pwd
import socket
import struct
from typing import Protocol

# struct ucred: pid, uid, gid.
_PEER_CREDENTIALS = struct.Struct("iII")


def is_trusted(uid: int) -> bool:
    """Return whether files and sockets of this user are used: root's and this process's own.

    For root this means root's only. What another user answers, or keeps in a directory, can name any program, process
    or file, and root must not act on it.
    """
    return uid in (0, os.geteuid())


class SocketWithOptions(Protocol):
    """The part of `socket.socket` that `peer` uses."""

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes:
        """Return an option as bytes."""


def peer(connection: SocketWithOptions) -> tuple[int, int, int]:
    """Return process, user and group id at the other end of a unix socket: at the client's end, of the listener."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
    pid, uid, gid = _PEER_CREDENTIALS.unpack(credentials)
    return pid, uid, gid


def user_name(uid: int) -> str:
    """Return a user's name in quotes, or the number of a user without a name."""
    try:
        return repr(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return str(uid)
