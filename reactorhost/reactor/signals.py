"""Signals for a loop that waits for descriptors.

A signal handler only notes the number and writes a byte to a socket pair, so the loop calls back as for any descriptor.

The pair is also Python's wake-up descriptor (`signal.set_wakeup_fd`), because a signal may arrive just before a wait,
which then is not interrupted. Other code of the process may claim that descriptor, as event loops do. Then the byte of
the handler ends the wait, and only a signal that arrives in that very moment is called back as late as the next timer.
"""

from __future__ import annotations

import contextlib
import signal
import socket
from collections import deque
from collections.abc import Callable, Mapping
from types import FrameType


class SignalWatch:
    """Signals that are noted by their handler and called back from the loop."""

    def __init__(
        self, callbacks: Mapping[signal.Signals, Callable[[], object]], on_number: Callable[[int], object] | None
    ) -> None:
        self._on_number = on_number
        self._callbacks = {int(number): callback for number, callback in callbacks.items()}
        self._noted: deque[int] = deque()
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        # A full buffer wakes the loop anyway.
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in self._callbacks:
            signal.signal(number, self._note)
        self.descriptor = self._reader.fileno()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted.append(number)
        # Python has written a byte too, but maybe to the wake-up descriptor of another loop.
        with contextlib.suppress(BlockingIOError):
            self._writer.send(b"\0")

    def ready(self, events: int) -> None:
        """Call back for each signal that was noted; Python notes one that arrives twice at once only once."""
        # Before the callbacks: a signal that is noted later has a byte of its own.
        numbers = self._reader.recv(4096)
        if self._on_number is not None:
            for number in numbers:
                self._on_number(number)
        while self._noted:
            self._callbacks[self._noted.popleft()]()

    def flush(self) -> None:
        """Call back now for each signal that was noted, without the loop."""
        with contextlib.suppress(BlockingIOError):
            self.ready(0)

    def close(self) -> None:
        """Close the descriptors, those of a parent's loop in a forked child too."""
        signal.set_wakeup_fd(-1)
        self._reader.close()
        self._writer.close()
