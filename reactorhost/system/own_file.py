"""A file that this process made at a path where others can remove it, or put another file in its place."""

from __future__ import annotations

import contextlib
import enum
import os
from dataclasses import dataclass
from pathlib import Path


class FileState(enum.Enum):
    """What is at the path of a file."""

    PRESENT = "present"
    MISSING = "missing"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class OwnFile:
    """The identity of a file.

    It holds while this process has the file open, or a socket bound to it: the kernel gives the inode number of a file
    that was removed and closed to the next one.
    """

    path: Path
    identity: tuple[int, int]

    @classmethod
    def at(cls, path: Path) -> OwnFile:
        """Return the file that is at a path now.

        Raises:
            OSError: there is none.
        """
        return cls(path, _identity(path.lstat()))

    def state(self) -> FileState:
        """Return what is at the path; what cannot be looked at counts as missing."""
        try:
            found = _identity(self.path.lstat())
        except OSError:
            return FileState.MISSING
        return FileState.PRESENT if found == self.identity else FileState.REPLACED

    def remove(self) -> None:
        """Remove the file if it is still this one; a failure is ignored."""
        if self.state() is FileState.PRESENT:
            with contextlib.suppress(OSError):
                self.path.unlink()


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
