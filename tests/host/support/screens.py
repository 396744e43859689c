"""A program on its own pseudo-terminal, with its screen emulated."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import pyte

from reactorhost.testing import DEADLINE_SECONDS, LiveHost

ENTER = b"\x1b[?1049h"
LEAVE = b"\x1b[?1049l"
KEY_LINE = "q quit"
"""The beginning of the last line of `top`."""
_MODES = slice(0, 4)
# pyte would treat these as text.
_UNKNOWN_TO_PYTE = re.compile(rb"\x1b\[\?(?:1049|7)[hl]")


class ScreenProgram:
    """A program with a controlling terminal.

    Attributes:
        written: everything written to the terminal.
    """

    def __init__(
        self,
        command: Sequence[str],
        columns: int = 120,
        rows: int = 40,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.written = b""
        self._command = command
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        usual = {"TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "", "TZ": "UTC", "NO_COLOR": ""}
        self._environment = {**os.environ, **usual, **(environment or {})}

    def __enter__(self) -> Self:
        self._terminal, self._theirs = os.openpty()
        self.resize(self._screen.columns, self._screen.lines)
        self._before = termios.tcgetattr(self._theirs)
        self.process = subprocess.Popen(
            self._command,
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509  no test has a thread
            env=self._environment,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE_SECONDS)
        self.hang_up()
        with contextlib.suppress(OSError):
            os.close(self._theirs)

    @property
    def lines(self) -> list[str]:
        """The lines of the screen, without trailing spaces."""
        return [line.rstrip() for line in self._screen.display]

    def type(self, keys: str | bytes) -> None:
        """Write to the terminal as a keyboard would."""
        os.write(self._terminal, keys.encode() if isinstance(keys, str) else keys)

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the terminal; the program gets SIGWINCH."""
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._screen.resize(rows, columns)

    def until(self, holds: Callable[[list[str]], object], what: str = "the condition") -> list[str]:
        """Read output until `holds(lines)` is true; return the lines.

        Raises:
            TimeoutError: it was not within the deadline.
        """
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not holds(self.lines):
            if not self._read(max(0.0, deadline - time.monotonic())):
                raise TimeoutError(f"{what} did not come\n" + "\n".join(self.lines))
        return self.lines

    def until_text(self, *texts: str) -> list[str]:
        """Read output until all these texts are on the screen; return its lines."""
        return self.until(lambda lines: all(any(text in line for line in lines) for text in texts), f"{texts}")

    def until_gone(self, text: str) -> list[str]:
        """Read output until `text` is no longer on the screen; return its lines."""
        return self.until(lambda lines: not any(text in line for line in lines), f"the end of {text!r}")

    def until_written(self, data: bytes, count: int = 1) -> None:
        """Read output until `data` was written `count` times."""
        self.until(lambda _: self.written.count(data) >= count, f"{data!r}")

    def signal(self, number: signal.Signals) -> None:
        """Send the program a signal."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait until the program exits, reading its output; return its exit status."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            self._read(0.02)
        status = self.process.wait(0)
        while self._read(0.0):
            pass
        return status

    def is_restored(self) -> bool:
        """Return whether modes, main screen, cursor and mouse of the terminal are restored."""
        modes = termios.tcgetattr(self._theirs)[_MODES] == self._before[_MODES]
        last = self.written.rfind
        mouse = last(b"\x1b[?1000l") >= last(b"\x1b[?1000h")
        return modes and mouse and last(LEAVE) > last(ENTER) and last(b"\x1b[?25h") > last(b"\x1b[?25l")

    def hang_up(self) -> None:
        """Close the terminal."""
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1

    def _read(self, seconds: float) -> bool:
        if not select.select([self._terminal], (), (), seconds)[0]:
            return False
        try:
            data = os.read(self._terminal, 65536)
        except OSError:
            return False
        self.written += data
        self._stream.feed(_UNKNOWN_TO_PYTE.sub(b"", data))
        return bool(data)


def reactorhost(*arguments: str) -> list[str]:
    """Return the command line of a command."""
    return [sys.executable, "-m", "reactorhost", *arguments]


def top(
    host: LiveHost,
    *arguments: str,
    columns: int = 120,
    rows: int = 40,
    environment: dict[str, str] | None = None,
) -> ScreenProgram:
    """Return `top` for a host."""
    command = reactorhost("top", "--run-dir", str(host.run_dir), *arguments)
    return ScreenProgram(command, columns, rows, environment)


def row_of(lines: list[str], text: str) -> str:
    """Return the first line with a text."""
    return next(line for line in lines if text in line)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
