"""Show what plugins print at once: where standard output leads, or under -d as lines of the log.

Python writes to a standard output that is not a terminal in blocks of 8 KiB. A print would be seen late, and what a
crash finds in the buffer never.
"""

from __future__ import annotations

import io
import logging
import sys
from typing import TYPE_CHECKING, TextIO

from reactorhost.logs import AppendHandler

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# A program may write without ever ending a line.
_LONGEST_LINE = 65_536


def print_at_once() -> None:
    """Write standard output and standard error line by line, and drop what cannot be written."""
    sys.stdout = _line_buffered(sys.stdout, "stdout")
    sys.stderr = _line_buffered(sys.stderr, "stderr")


def print_to_log(log_file: AppendHandler) -> None:
    """Let standard output and standard error of this process write lines of the log, whatever its level.

    Only of Python: what C libraries and child processes write goes to the descriptors.
    """
    sys.stdout = _stream(PrintedLines(log_file, "stdout", logging.INFO, 1))
    sys.stderr = _stream(PrintedLines(log_file, "stderr", logging.WARNING, 2))


def _line_buffered(stream: TextIO, name: str) -> TextIO:
    # It is None if the process was started without one, and of another class if it was replaced.
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    output = io.BufferedWriter(Output(stream.fileno(), name))
    return io.TextIOWrapper(output, encoding=stream.encoding, errors=stream.errors, line_buffering=True)


class Output(io.FileIO):
    """The binary layer of a standard stream of a host: a print into a pipe without a reader must not fail a hook."""

    def __init__(self, descriptor: int, name: str) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.name = f"<{name}>"

    def write(self, data: ReadableBuffer, /) -> int:
        """Write bytes; if that fails, they are dropped."""
        size = len(memoryview(data).cast("B"))
        try:
            # None if the descriptor is non-blocking, as its other users may have set it, and the pipe is full.
            return super().write(data) or size
        except OSError:
            return size


def _stream(lines: PrintedLines) -> io.TextIOWrapper:
    # Unbuffered, as with `python -u`: `PrintedLines` collects the parts of a line.
    return io.TextIOWrapper(lines, encoding="utf-8", errors="backslashreplace", write_through=True)


class PrintedLines(io.RawIOBase):
    """The binary layer of a standard stream: each line becomes a record of the logger `stdout` or `stderr`."""

    def __init__(self, log_file: AppendHandler, logger: str, level: int, descriptor: int) -> None:
        super().__init__()
        self.name = f"<{logger}>"
        self._log_file = log_file
        self._logger = logger
        self._level = level
        self._descriptor = descriptor
        self._incomplete = b""

    def fileno(self) -> int:
        """Return the descriptor of the stream, for programs that are started with it."""
        return self._descriptor

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Log the lines that are complete now; returns the number of bytes."""
        written = bytes(data)
        # Threads print too.
        self._log_file.acquire()
        try:
            *lines, self._incomplete = (self._incomplete + written).split(b"\n")
            for line in lines:
                self._log(line)
        finally:
            self._log_file.release()
        if len(self._incomplete) > _LONGEST_LINE:
            self.flush()
        return len(written)

    def flush(self) -> None:
        """Log what was written since the last line end, as `print(end="", flush=True)` requests."""
        incomplete, self._incomplete = self._incomplete, b""
        self._log(incomplete)

    def _log(self, line: bytes) -> None:
        text = line.decode(errors="backslashreplace").rstrip("\r")
        if text:
            fields = {"name": self._logger, "levelno": self._level, "levelname": logging.getLevelName(self._level)}
            self._log_file.handle(logging.makeLogRecord({**fields, "msg": text}))
