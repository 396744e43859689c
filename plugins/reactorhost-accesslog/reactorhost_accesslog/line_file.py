"""Append lines to a file that several processes write to, and that may be rotated away at any time.

A line is one `write` to a descriptor opened with O_APPEND: the kernel appends it as a whole, so lines of several
workers do not mix.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# O_NONBLOCK: opening a FIFO without a reader fails instead of blocking the worker; regular files ignore it.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
_MODE = 0o640
_STANDARD_OUTPUT = 1
_CHECK_SECONDS = 1.0


class LineFile:
    """Appends lines to the file at `path`, or to standard output if that is `-`."""

    def __init__(self, path: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._clock = clock
        self._descriptor: int | None = None
        self._checked_at = 0.0
        self._torn = False

    def open(self) -> None:
        """Open the file, and create it if it is missing.

        Raises:
            OSError: it cannot be opened for appending.
        """
        self.close()
        self._descriptor = self._opened()
        self._checked_at = self._clock()
        self._torn = False

    @property
    def is_terminal(self) -> bool:
        """Whether lines go to a terminal that is standard output."""
        return self.path == "-" and self._descriptor is not None and os.isatty(self._descriptor)

    @property
    def width(self) -> int:
        """The columns of the terminal, 0 if they are not known."""
        if self._descriptor is not None:
            # It may have hung up.
            with contextlib.suppress(OSError):
                return os.get_terminal_size(self._descriptor).columns
        return 0

    def close(self) -> None:
        """Close the file if it is open."""
        if self._descriptor is not None and self.path != "-":
            os.close(self._descriptor)
        self._descriptor = None

    def write(self, line: bytes) -> None:
        """Append one line that ends with a newline.

        Raises:
            OSError: the line was not written, or only its beginning.
        """
        self._follow()
        if self._descriptor is None:
            raise OSError(errno.EBADF, "the log is closed")
        if self.path == "-" and not _is_writable(self._descriptor):
            raise OSError(errno.EAGAIN, "standard output is full")
        # After a line that was written in part (disk full), start a new line.
        whole = b"\n" + line if self._torn else line
        taken = os.write(self._descriptor, whole)
        self._torn = taken < len(whole) if taken else self._torn
        if taken < len(whole):
            raise OSError(errno.ENOSPC, "the line was written only in part")

    def _opened(self) -> int:
        if self.path == "-":
            # If the process was started with descriptor 1 closed, any other file may have that number now.
            if sys.__stdout__ is None:
                raise OSError(errno.EBADF, "standard output is closed")
            return _STANDARD_OUTPUT
        return os.open(self.path, _FLAGS, _MODE)

    def _follow(self) -> None:
        """Open the file again if the path names another file now, as after a rotation."""
        if self.path == "-" or self._descriptor is None:
            return
        now = self._clock()
        if now - self._checked_at < _CHECK_SECONDS:
            return
        self._checked_at = now
        if self._is_at_path(self._descriptor):
            return
        # If the new file cannot be opened, keep writing to the moved one.
        with contextlib.suppress(OSError):
            moved, self._descriptor = self._descriptor, self._opened()
            os.close(moved)
            self._torn = False

    def _is_at_path(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(descriptor))
        except OSError:
            return False


def _is_writable(descriptor: int) -> bool:
    """Return whether a write would not block; O_NONBLOCK is no way, because other programs share the open file."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(0))
