"""Accept a connection as a bare descriptor.

`socket.accept()` also makes a `socket.socket` and looks up two enums, which is most of its cost. CPython's
`socket.socket._accept()` does without, but it is private and may be gone in a later version: then the plain way is
taken.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

Accept = Callable[[socket.socket], tuple[int, Any]]
"""Returns the new descriptor, which may be blocking, and the peer's address. Raises `OSError` as `accept` does."""


def accept_plainly(listener: socket.socket) -> tuple[int, Any]:
    """Accept by what Python documents."""
    sock, peer = listener.accept()
    return sock.detach(), peer


def fastest_accept(kind: type[object]) -> Accept:
    """Return `_accept` of a class of sockets, or `accept_plainly` where it has none."""
    fast: Accept = getattr(kind, "_accept", accept_plainly)
    return fast


accept_descriptor = fastest_accept(socket.socket)
