"""The process at the other end of a unix socket."""

from __future__ import annotations

from typing import NamedTuple


class PeerCredentials(NamedTuple):
    """What the kernel knows of the peer of a unix socket (SO_PEERCRED, unix(7)).

    Attributes:
        pid: process id, as it was when the peer connected; 0 for a process of another pid namespace.
        uid: its effective user id.
        gid: its effective group id.
    """

    pid: int
    uid: int
    gid: int
