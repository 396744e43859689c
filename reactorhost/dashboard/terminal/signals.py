"""Signals as bytes on a socket, for a loop that waits for sockets."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterable, Iterator
from types import FrameType

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT)


class SignalReader:
    """Delivers signals to a loop that waits for `socket` to become readable.

    The handlers do nothing; CPython's C handler writes the signal number to the wake-up descriptor. So a signal never
    interrupts drawing half-way, and one that arrives just before `select` is not missed: its byte is waiting already.
    """

    def __init__(self) -> None:
        self.socket, self._wake_up = socket.socketpair()
        for sock in (self.socket, self._wake_up):
            # CPython requires a non-blocking wake-up descriptor: a full one must not block the C handler.
            sock.setblocking(False)

    def read(self) -> list[signal.Signals]:
        """Return the signals that have arrived."""
        try:
            return [signal.Signals(number) for number in self.socket.recv(4096)]
        except BlockingIOError:
            return []

    @contextlib.contextmanager
    def installed(self, numbers: Iterable[signal.Signals] = HANDLED) -> Iterator[None]:
        """Receive signals while the context lasts; the handlers from before are restored at its end."""
        # First the descriptor: a signal that arrives after its handler is set must find where to write its byte.
        old = signal.set_wakeup_fd(self._wake_up.fileno(), warn_on_full_buffer=False)
        before = {number: signal.signal(number, _ignore) for number in numbers}
        try:
            yield
        finally:
            # First the descriptor: a signal that arrives in between must not be written to a closed socket.
            signal.set_wakeup_fd(old)
            for number, handler in before.items():
                signal.signal(number, handler)
            self.socket.close()
            self._wake_up.close()


def raise_with_default_action(number: signal.Signals) -> None:
    """Let a signal have its default action on this process: stop it until it is continued, or end it.

    Parents see the true cause in the wait status, which `sys.exit(128 + number)` would not show.
    """
    before = signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    # Reached after a stop only: the process was continued.
    signal.signal(number, before)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing: SIG_IGN would also keep the byte from being written."""
