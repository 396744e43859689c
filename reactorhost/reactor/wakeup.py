"""Wake a loop from another thread.

An eventfd where there is one, else a pipe: of both, a write of 8 bytes makes the descriptor readable, and one read
empties it.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable

from reactorhost.reactor.poller import READ
from reactorhost.reactor.reactor import Reactor

_ONE = struct.pack("=Q", 1)
_READ_BYTES = 4096


class WakeUp:
    """Calls `callback` from the loop soon after `wake()`, once for many that come before the call."""

    def __init__(self, reactor: Reactor, callback: Callable[[], object]) -> None:
        """Register with the reactor.

        Raises:
            OSError: there is no descriptor left.
        """
        self._callback = callback
        self._requested = False
        self._reader, self._writer = _descriptors()
        reactor.register(self._reader, READ, self._ready)

    def wake(self) -> None:
        """Request the call, from any thread."""
        if not self._requested:
            # Two threads may both come here: the second write adds to the first, and there is still one call.
            self._requested = True
            os.write(self._writer, _ONE)

    def close_inherited(self) -> None:
        """Close a forked child's copy; nothing is unregistered, because the epoll set is shared with the parent."""
        # A child that forks again comes here again, when another file may have the number.
        descriptors, self._reader, self._writer = {self._reader, self._writer} - {-1}, -1, -1
        for descriptor in descriptors:
            os.close(descriptor)

    def _ready(self, events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._reader, _READ_BYTES)
        # Before the call: what comes after this needs another one.
        self._requested = False
        self._callback()


def _descriptors() -> tuple[int, int]:
    """Return where to read and where to write, which are one for an eventfd."""
    if hasattr(os, "eventfd"):
        descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        return descriptor, descriptor
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    return reader, writer
