"""Read a log file: its end, and what is added to it, also while it is rotated."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import IO

from reactorhost.dashboard.model.log_records import LogFilter, LogRecord, records
from reactorhost.errors import ReactorhostError, error_from_os

_FIRST_WINDOW_BYTES = 1 << 16
_GROWTH = 4
# Every worker writes to the new file by then: `reopen` waits 2 s for each.
_ROTATED_SECONDS = 10.0


def open_log(path: Path) -> IO[bytes]:
    """Open a log file.

    Raises:
        ReactorhostError: it cannot be read, or is not a regular file.
    """
    try:
        # Opening a FIFO would wait for its writer.
        file = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")  # noqa: SIM115  the caller closes it
    except OSError as error:
        raise error_from_os(error, f"cannot read the log file {path}", hint=None) from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ReactorhostError(f"cannot read the log {path}: it is not a regular file")
    return file


def last_records(file: IO[bytes], count: int | None, wanted: LogFilter) -> Iterator[LogRecord]:
    """Yield the last `count` records that a filter admits, or all; the file is then at the end of what was read."""
    if count is None:
        yield from filter(wanted.admits, records(_lines(file, 0), wanted))
        return
    end = os.fstat(file.fileno()).st_size
    window = _FIRST_WINDOW_BYTES
    while True:
        start = max(0, end - window)
        found: deque[LogRecord] = deque(maxlen=count)
        oldest = ""
        for record in records(_lines(file, start), wanted):
            oldest = oldest or record.time
            if wanted.admits(record):
                found.append(record)
        is_too_old = wanted.since is not None and bool(oldest) and oldest < wanted.since
        # The window can begin within the details of a record: one of the first ones is then cut.
        if start == 0 or len(found) == count or is_too_old:
            yield from found
            return
        window *= _GROWTH


def _lines(file: IO[bytes], start: int) -> Iterator[str]:
    file.seek(max(0, start - 1))
    if start:
        # Up to the end of the line before.
        file.readline()
    for line in file:
        yield _decoded(line.removesuffix(b"\n"))


def _decoded(line: bytes) -> str:
    # What plugins and libraries print need not be UTF-8.
    return line.decode(errors="backslashreplace")


class LogTail:
    """What is added to a log file from the position of `file` on.

    After a rotation the host writes to the old file until `reopen`, so both are read for a while.
    """

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        self._newest = _Tail(FileIO(os.dup(file.fileno())), file.tell())
        self._rotated: list[tuple[_Tail, float]] = []

    def close(self) -> None:
        """Close the files."""
        for tail in (self._newest, *(each for each, _ in self._rotated)):
            tail.file.close()

    def lines(self, now: float) -> list[str]:
        """Return the lines that were completed since the last call; `now` is monotonic seconds."""
        found = [line for tail, _ in self._rotated for line in tail.lines()]
        found += self._newest.lines()
        for tail, since in tuple(self._rotated):
            if now - since > _ROTATED_SECONDS:
                tail.file.close()
                self._rotated.remove((tail, since))
        fresh = self._fresh()
        if fresh is not None:
            self._rotated.append((self._newest, now))
            self._newest = _Tail(fresh, 0)
            found += self._newest.lines()
        return found

    def _fresh(self) -> FileIO | None:
        """Return the file that is at the path now if it is another one; an empty one may not be in use yet."""
        try:
            status = self._path.stat()
            if os.path.samestat(status, os.fstat(self._newest.file.fileno())) or not status.st_size:
                return None
            return FileIO(self._path)
        except OSError:
            return None


class _Tail:
    """One file, and its last line while that is not complete."""

    def __init__(self, file: FileIO, position: int) -> None:
        self.file = file
        self._position = position
        self._rest = b""

    def lines(self) -> list[str]:
        if os.fstat(self.file.fileno()).st_size < self._position:
            # Truncated, as `copytruncate` of logrotate does.
            self._position, self._rest = 0, b""
        self.file.seek(self._position)
        data = self.file.read()
        self._position += len(data)
        *complete, self._rest = (self._rest + data).split(b"\n")
        return [_decoded(line) for line in complete]
