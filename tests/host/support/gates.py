"""A gate that blocks a plugin until the test opens it."""

from __future__ import annotations

import os
from pathlib import Path


class Gate:
    """A FIFO in a directory; code of a plugin that runs `code` blocks while it exists."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "gate"

    @property
    def code(self) -> str:
        """Return a line of Python that blocks while the gate is shut."""
        return f"__import__('os').path.exists({str(self._path)!r}) and open({str(self._path)!r}).close()"

    def shut(self) -> None:
        """Block from now on."""
        os.mkfifo(self._path)

    def open(self) -> None:
        """Wait until one reader is blocked, then let all through."""
        # open() for writing returns once a reader has opened the FIFO; closing gives the reader EOF.
        with self._path.open("w"):
            self._path.unlink()
