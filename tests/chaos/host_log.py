"""Read the JSON log of a host as it grows, across rotations and removals of the file."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the log; `moment` is its time on the monotonic clock."""

    moment: float
    level: str
    name: str
    fields: dict[str, Any]


class HostLog:
    """Follows every file that the path has led to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack = ExitStack()
        self._files: dict[int, BinaryIO] = {}
        self._rest: dict[int, bytes] = {}

    def close(self) -> None:
        """Close the files."""
        self._stack.close()

    def note_file(self) -> None:
        """Open the file that is there now, so that a rotation cannot hide its last lines."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        inode = os.fstat(file.fileno()).st_ino
        if inode in self._files:
            file.close()
        else:
            self._files[inode] = self._stack.enter_context(file)
            self._rest[inode] = b""

    def events(self) -> Iterator[Event]:
        """Yield the lines since the last call.

        Raises:
            ValueError: one is not a JSON object.
        """
        self.note_file()
        offset = time.time() - time.monotonic()
        for inode, file in self._files.items():
            *lines, self._rest[inode] = (self._rest[inode] + file.read()).split(b"\n")
            for line in lines:
                record = json.loads(line)
                moment = datetime.fromisoformat(record["time"]).timestamp() - offset
                yield Event(moment, record["level"], record["event"], record)
