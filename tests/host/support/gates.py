"""A gate that a plugin waits at until the test opens it: something that takes exactly as long as a test wants."""

from __future__ import annotations

import os
from pathlib import Path


class Gate:
    """A gate in a directory; while it is there, whoever runs `code` waits at it."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "gate"

    @property
    def code(self) -> str:
        """Return a line of Python that waits while there is a gate."""
        return f"__import__('os').path.exists({str(self._path)!r}) and open({str(self._path)!r}).close()"

    def shut(self) -> None:
        """Let whoever comes wait."""
        os.mkfifo(self._path)

    def open(self) -> None:
        """Wait until somebody waits, then let everybody through."""
        # Opening for writing returns when a reader is there, closing lets it go on.
        with self._path.open("w"):
            self._path.unlink()
