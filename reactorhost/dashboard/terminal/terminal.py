"""The terminal in cbreak mode on its alternate screen, restored afterwards.

A terminal keeps its modes when a program ends: without `leave` the shell would be on the wrong screen, without echo and
without a cursor. `leave` therefore stands in a `finally`, may be called more than once, and raises nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import termios
from typing import Any

from reactorhost.dashboard.text.line import Size

# Alternate screen; no cursor; no automatic wrap, because terminals disagree about the width of some characters and a
# line that is one cell too long would otherwise shift everything below it; erase.
_ENTER = b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
# Set back one by one: what `?1049l` restores beside the position of the cursor differs between terminals. It comes
# last, so that the cursor is visible as soon as the shell's screen is.
_LEAVE = b"\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
# Clicks and the wheel (1000), as numbers in decimal (1006): the older form ends at column 223.
_MOUSE_ON = b"\x1b[?1006h\x1b[?1000h"
_MOUSE_OFF = b"\x1b[?1000l\x1b[?1006l"
_DEFAULT_SIZE = Size(80, 24)
# Indexes into the list of termios.tcgetattr.
_LOCAL_FLAGS = 3
_CONTROL_CHARACTERS = 6


class Terminal:
    """A keyboard and a screen, in use between `enter` and `leave`; both may be called repeatedly.

    Args:
        keyboard: the descriptor to read keys from.
        screen: the descriptor to draw on.
        mouse: whether clicks and the wheel are reported; the terminal then selects text only with Shift.
    """

    def __init__(self, keyboard: int, screen: int, *, mouse: bool = False) -> None:
        self.keyboard = keyboard
        self._mouse = mouse
        self._screen = screen
        self._before: list[Any] | None = None

    def enter(self) -> None:
        """Switch to cbreak mode and the alternate screen.

        ISIG stays set, so that Ctrl-C and Ctrl-Z still arrive as signals even if the program hangs.

        Raises:
            OSError: the terminal was hung up.
        """
        try:
            attributes = termios.tcgetattr(self.keyboard)
        except termios.error as error:
            raise OSError(*error.args) from None
        if self._before is None:
            # The control characters are a list inside the list, and are changed in place below.
            self._before = [*attributes[:_CONTROL_CHARACTERS], list(attributes[_CONTROL_CHARACTERS])]
        attributes[_LOCAL_FLAGS] &= ~(termios.ECHO | termios.ICANON)
        # Set in any case: POSIX lets VMIN and VTIME share their places with VEOF and VEOL, which mean something else.
        attributes[_CONTROL_CHARACTERS][termios.VMIN] = 1
        attributes[_CONTROL_CHARACTERS][termios.VTIME] = 0
        self._set_modes(attributes)
        self.write(_ENTER + _MOUSE_ON if self._mouse else _ENTER)

    def leave(self) -> None:
        """Restore the screen and the modes."""
        if self._before is None:
            return
        before, self._before = self._before, None
        # Two separate attempts: the modes are restored even if the screen cannot be written. On a terminal that was
        # hung up both fail, and neither is needed.
        with contextlib.suppress(OSError):
            self.write(_MOUSE_OFF + _LEAVE if self._mouse else _LEAVE)
        with contextlib.suppress(OSError):
            self._set_modes(before)

    def _set_modes(self, attributes: list[Any]) -> None:
        while True:
            try:
                # TCSADRAIN, not TCSAFLUSH: keys typed before the program was ready are kept.
                termios.tcsetattr(self.keyboard, termios.TCSADRAIN, attributes)
            except termios.error as error:
                # In the background, after `bg`, the call stops the process with SIGTTOU, as it should: the terminal
                # belongs to the shell. The SIGCONT of `fg` has a handler, so the call fails; Python does not repeat it.
                if error.args[0] != errno.EINTR:
                    raise OSError(*error.args) from None
            else:
                return

    def write(self, data: bytes) -> None:
        """Write all of the data.

        Raises:
            OSError: the terminal was hung up.
        """
        # A write that a signal interrupts returns the number of the bytes before it. One without any is repeated by
        # Python (PEP 475).
        while data:
            data = data[os.write(self._screen, data) :]

    def read(self) -> bytes:
        """Return the bytes that were typed; empty if the terminal was hung up."""
        try:
            return os.read(self.keyboard, 4096)
        except OSError:
            # EIO: the shell is gone and left this process in the background. After a hangup `read` returns no bytes.
            return b""

    def size(self) -> Size:
        """Return the current size, or 80x24 if the terminal does not know it."""
        try:
            columns, rows = os.get_terminal_size(self._screen)
        except OSError:
            return _DEFAULT_SIZE
        # A pseudo-terminal whose size was never set reports 0 x 0.
        return Size(columns or _DEFAULT_SIZE.columns, rows or _DEFAULT_SIZE.rows)
