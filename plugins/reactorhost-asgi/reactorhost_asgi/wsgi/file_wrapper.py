"""`wsgi.file_wrapper`: the file of an answer, as PEP 3333 has it."""

from __future__ import annotations

import io
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

_BLOCK_BYTES = 65_536


class FileWrapper:
    """A file that is an answer, or a part of one: in blocks for whatever iterates over it."""

    def __init__(self, file: Any, block_size: int = _BLOCK_BYTES) -> None:
        self._file = file
        # Applications name the small sizes of their examples.
        self._block_size = max(block_size, _BLOCK_BYTES)
        # `close` is called at the end of a response if there is one.
        if hasattr(file, "close"):
            self.close: Callable[[], object] = file.close

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self._file.read(self._block_size), b"")

    def regular_file(self) -> tuple[BinaryIO, int, int] | None:
        """Return a regular file, its position, and how many bytes are left behind that; None for anything else."""
        file = self._file
        if isinstance(file, tempfile._TemporaryFileWrapper):  # noqa: SLF001  it has no public name
            file = file.file
        # Only of these the descriptor is known to have the bytes that `read` returns: that of a GzipFile has others.
        raw = file.raw if type(file) in (io.BufferedReader, io.BufferedRandom) else file
        if type(raw) is not io.FileIO or not file.readable():
            return None
        # What was written to it may still be in its buffer.
        file.flush()
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            return None
        position = file.tell()
        return file, position, max(status.st_size - position, 0)


class OwnFile(io.FileIO):
    """A descriptor of the server. It is closed with the object, because the message with it may never be sent."""

    def __del__(self) -> None:
        self.close()
