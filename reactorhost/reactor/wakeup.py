"""Wake a loop from another thread."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from reactorhost.reactor.reactor import READ, Reactor


class WakeUp:
    """Calls `callback` from the loop, soon after any thread asked for it, once for many who ask."""

    def __init__(self, reactor: Reactor, callback: Callable[[], object]) -> None:
        self._callback = callback
        self._asked = False
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        reactor.register(self._descriptor, READ, self._ready)

    def wake(self) -> None:
        """Ask for the call, from any thread."""
        if not self._asked:
            # Two threads may both come here: the second write adds to the first and wakes nobody twice.
            self._asked = True
            os.eventfd_write(self._descriptor, 1)

    def close_inherited(self) -> None:
        """Close a forked child's copy: the reactor that it is registered in belongs to the parent."""
        # A child that forks again comes here again, and the number may be somebody else's by then.
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor != -1:
            os.close(descriptor)

    def _ready(self, events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._descriptor)
        # Before the call: whoever has something new from now on asks again.
        self._asked = False
        self._callback()
