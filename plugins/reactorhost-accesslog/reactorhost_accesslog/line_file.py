"""A file that takes whole lines from several processes, and that may be moved away at any time.

A line is one `write` on a descriptor opened for appending: the kernel puts it behind what is there, so lines of
several workers never mix.
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

# A named pipe that nobody reads is an error then, not a worker that hangs; files do not mind.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
_MODE = 0o640
_STANDARD_OUTPUT = 1
_CHECK_SECONDS = 1.0


class LineFile:
    """Where lines go: the file at `path`, or standard output for `-`."""

    def __init__(self, path: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._clock = clock
        self._descriptor: int | None = None
        self._checked_at = 0.0
        self._torn = False

    def open(self) -> None:
        """Open the file, made when it is missing.

        Raises:
            OSError: it cannot be opened for appending.
        """
        self.close()
        self._descriptor = self._opened()
        self._checked_at = self._clock()
        self._torn = False

    def close(self) -> None:
        """Close the file; nothing happens when it is closed already."""
        if self._descriptor is not None and self.path != "-":
            os.close(self._descriptor)
        self._descriptor = None

    def write(self, line: bytes) -> None:
        """Append one line that ends with a newline.

        Raises:
            OSError: the line is not in the file, or only its beginning.
        """
        self._follow()
        if self._descriptor is None:
            raise OSError(errno.EBADF, "the log is closed")
        if self.path == "-" and not _takes_more(self._descriptor):
            raise OSError(errno.EAGAIN, "nobody reads standard output")
        # After a line that was cut short (a disk that filled up) the next one begins on a line of its own.
        whole = b"\n" + line if self._torn else line
        taken = os.write(self._descriptor, whole)
        self._torn = taken < len(whole) if taken else self._torn
        if taken < len(whole):
            raise OSError(errno.ENOSPC, "the line was cut short")

    def _opened(self) -> int:
        if self.path == "-":
            # Without this the lines of a process that was started with it closed would go to whatever is number 1 now.
            if sys.__stdout__ is None:
                raise OSError(errno.EBADF, "standard output is closed")
            return _STANDARD_OUTPUT
        return os.open(self.path, _FLAGS, _MODE)

    def _follow(self) -> None:
        """Open the file anew when the path names another one now, as after a rotation of logs."""
        if self.path == "-" or self._descriptor is None:
            return
        now = self._clock()
        if now - self._checked_at < _CHECK_SECONDS:
            return
        self._checked_at = now
        if self._is_at_path(self._descriptor):
            return
        # When the new file cannot be opened the moved one still takes the lines: late beats lost.
        with contextlib.suppress(OSError):
            moved, self._descriptor = self._descriptor, self._opened()
            os.close(moved)
            self._torn = False

    def _is_at_path(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(descriptor))
        except OSError:
            return False


def _takes_more(descriptor: int) -> bool:
    """Tell whether a line can be written without waiting; the descriptor is shared, so its own mode must stay."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(0))
