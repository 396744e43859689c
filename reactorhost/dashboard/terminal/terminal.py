"""The terminal: keys one by one, a screen of its own, its size, its signals, and everything as it was afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import termios
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any

from reactorhost.dashboard.model.view import Size

# The alternate screen, without cursor; no line wraps, whatever a terminal takes for the width of a letter.
_ENTER = b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
_LEAVE = b"\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
_USUAL = Size(80, 24)
_LOCAL = 3
_CONTROL = 6

HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT)


class Terminal:
    """A terminal that belongs to a live view between `enter` and `leave`; both may be called again and again."""

    def __init__(self, keyboard: int, screen: int) -> None:
        self.keyboard = keyboard
        self._screen = screen
        self._before: list[Any] | None = None

    def enter(self) -> None:
        """Take every key as it is pressed, unseen, and an empty screen. Ctrl-C and Ctrl-Z stay signals."""
        attributes = termios.tcgetattr(self.keyboard)
        if self._before is None:
            self._before = [*attributes[:_CONTROL], list(attributes[_CONTROL])]
        attributes[_LOCAL] &= ~(termios.ECHO | termios.ICANON)
        attributes[_CONTROL][termios.VMIN] = 1
        attributes[_CONTROL][termios.VTIME] = 0
        termios.tcsetattr(self.keyboard, termios.TCSADRAIN, attributes)
        self.write(_ENTER)

    def leave(self) -> None:
        """Put everything back; a terminal that is gone needs nothing."""
        if self._before is None:
            return
        before, self._before = self._before, None
        with contextlib.suppress(OSError, termios.error):
            self.write(_LEAVE)
        with contextlib.suppress(OSError, termios.error):
            termios.tcsetattr(self.keyboard, termios.TCSADRAIN, before)

    def write(self, data: bytes) -> None:
        """Write all of it.

        Raises:
            OSError: the terminal is gone.
        """
        while data:
            data = data[os.write(self._screen, data) :]

    def read(self) -> bytes:
        """Return what was typed; empty when the terminal is gone."""
        try:
            return os.read(self.keyboard, 4096)
        except OSError:
            return b""

    def size(self) -> Size:
        """Return the size now; a terminal that does not know it is taken for a usual one."""
        try:
            columns, rows = os.get_terminal_size(self._screen)
        except OSError:
            return _USUAL
        return Size(columns or _USUAL.columns, rows or _USUAL.rows)


class Signals:
    """Signals as bytes on a socket that a loop waits for; handlers do nothing."""

    def __init__(self) -> None:
        self.socket, self._wake_up = socket.socketpair()
        for sock in (self.socket, self._wake_up):
            sock.setblocking(False)

    def read(self) -> list[signal.Signals]:
        """Return which came."""
        try:
            return [signal.Signals(number) for number in self.socket.recv(4096)]
        except BlockingIOError:
            return []

    @contextlib.contextmanager
    def heard(self, numbers: Iterable[signal.Signals] = HEARD) -> Iterator[None]:
        """Hear of signals while the context lasts."""
        before = {number: signal.signal(number, _nothing) for number in numbers}
        old = signal.set_wakeup_fd(self._wake_up.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(old)
            for number, handler in before.items():
                signal.signal(number, handler)
            self.socket.close()
            self._wake_up.close()


def take_default(number: signal.Signals) -> None:
    """Do to this process what a signal does by default: stop it until it is continued, or end it."""
    before = signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    signal.signal(number, before)


def _nothing(number: int, frame: FrameType | None) -> None:
    """Let the wake-up socket tell."""
