"""What the log page shows: the end of the host's log file and what is added to it, if this user may read it.

Only regular files are read, a bounded part of them, so that nothing waits for long.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from reactorhost.dashboard.model.log_file import LogTail, last_records, open_log
from reactorhost.dashboard.model.log_records import ANY, LogRecord, records
from reactorhost.errors import ReactorhostError
from reactorhost.ipc.status import StatusDocument

_MOST = 1000
# More than this at once is not read: the page begins at the end again.
_MOST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class LogLines:
    """The newest records of a log file, each with its number.

    Attributes:
        instead: why there are none, and the events of the document are shown in their place.
    """

    records: tuple[tuple[int, LogRecord], ...] = ()
    instead: str = ""


class LogReader:
    """Reads the log of a host while its page is shown."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._tail: LogTail | None = None
        self._lines = LogLines()
        self._kept: deque[tuple[int, LogRecord]] = deque(maxlen=_MOST)
        self._count = 0
        self._size = 0

    def advance(self, document: StatusDocument) -> LogLines:
        """Return the newest records; the same object as before if nothing was added."""
        path = None if document["log_file"] is None else Path(document["log_file"])
        if path is None:
            self.close()
            return self._without("the host logs to its standard error")
        try:
            size = path.stat().st_size
            if self._tail is None or path != self._path or size - self._size > _MOST_BYTES:
                self._open(path)
            self._size = size
        except (OSError, ReactorhostError) as error:
            if self._tail is None:
                return self._without(error.what if isinstance(error, ReactorhostError) else f"{path}: {error.strerror}")
        if self._tail is not None and (added := list(records(self._tail.lines(time.monotonic())))):
            self._add(added)
        return self._lines

    def close(self) -> None:
        """Close the file, while another page is shown."""
        if self._tail is not None:
            self._tail.close()
            self._tail = None

    def _open(self, path: Path) -> None:
        self.close()
        self._kept.clear()
        with open_log(path) as file:
            found = list(last_records(file, _MOST, ANY))
            self._path, self._tail = path, LogTail(path, file)
        self._add(found)

    def _add(self, added: list[LogRecord]) -> None:
        for record in added:
            self._count += 1
            self._kept.append((self._count, record))
        self._lines = LogLines(tuple(self._kept))

    def _without(self, why: str) -> LogLines:
        if self._lines.instead != why:
            self._lines = LogLines(instead=why)
        return self._lines
