"""The hooks of the access log, which write a line when a connection closes.

A write that fails does not affect connections. It is logged once when writing starts to fail, and once when it works
again, with the number of lost lines.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

from reactorhost import Option, SetupError, hookimpl
from reactorhost_accesslog.entry import FORMATS, Entry, for_people
from reactorhost_accesslog.line_file import LineFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reactorhost import CloseReason, Connection, Worker


class AccessLog:
    """The access log of one worker, for all services that use the plugin."""

    def __init__(self) -> None:
        self.format = "text"
        self.file = LineFile("-")
        self.lost = 0
        """Lines lost since the last successful write."""
        self._log = logging.getLogger(__name__)
        self._pid = 0
        self._slot = 0
        self._on_terminal = False

    @hookimpl
    def options(self) -> list[Option]:
        """Declare the keys of `[plugin.accesslog]`."""
        return [
            Option("format", str, default="text", help="text or json"),
            Option("file", str, default="-", help="absolute path of the log; - is standard output"),
        ]

    @hookimpl
    def configure(self, config: Mapping[str, object]) -> None:
        """Set the options.

        Raises:
            ExceptionGroup: of a `SetupError` for each option with an invalid value.
        """
        problems = []
        chosen, path = str(config["format"]), str(config["file"])
        if chosen not in FORMATS:
            problems.append(SetupError(f"it must be {' or '.join(FORMATS)}, not {chosen!r}", option="format"))
        if path != "-" and not os.path.isabs(path):
            what = f"it must be an absolute path, or - for standard output, not {path!r}"
            problems.append(SetupError(what, option="file"))
        if problems:
            raise ExceptionGroup("options", problems)
        self.format = chosen
        self.file = LineFile(path)

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        """Open the file; if it cannot be opened, the worker fails to boot."""
        self.file.open()
        self._log = worker.log
        self._pid, self._slot = worker.pid, worker.slot
        # Programs read a pipe or a file, people a terminal.
        self._on_terminal = self.format == "text" and self.file.is_terminal

    @hookimpl
    def close(self, connection: Connection, reason: CloseReason) -> None:
        """Write the line of a closed connection."""
        entry = Entry(
            ended_at=time.time(),
            service=connection.service,
            id=connection.id,
            pid=self._pid,
            peer=str(connection.peer),
            seconds=connection.age,
            bytes_in=connection.bytes_in,
            bytes_out=connection.bytes_out,
            reason=reason.value,
        )
        if self._on_terminal:
            self._write(for_people(entry, self._slot, self.file.width))
        else:
            self._write(FORMATS[self.format](entry))

    @hookimpl
    def worker_stop(self) -> None:
        """Close the file."""
        self.file.close()

    def _write(self, line: bytes) -> None:
        try:
            self.file.write(line)
        except OSError as error:
            if not self.lost:
                self._log.warning("accesslog_write_failed file=%s error=%r", self.file.path, str(error))
            self.lost += 1
            return
        if self.lost:
            self._log.warning("accesslog_write_recovered file=%s lost=%d", self.file.path, self.lost)
            self.lost = 0
