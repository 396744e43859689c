"""The log of a host: lines `time level event key=value`, or one JSON object a line, from all processes to one file.

The file is opened for appending and every line is one write, so lines of several processes do not mix. A line that
cannot be written (disk full, terminal closed, pipe full) is dropped: logging must not block or fail the host.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from reactorhost.printable import printable
from reactorhost.system import journal
from reactorhost.system.append_file import open_for_append
from reactorhost.system.terminal_echo import echoes_signals
from reactorhost.system.unblocked_write import write_without_waiting

LogFormat = Literal["auto", "text", "json"]
"""`auto` is for people on a terminal, has priorities in the journal of systemd, and is `text` elsewhere."""

HOST_LOGGER = "reactorhost"
"""Name of the logger of the host's own events."""

_FIELDS = "reactorhost_fields"
# From which level on lines have a priority of the journal (syslog(3)).
_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, journal.ERROR),
    (logging.WARNING, journal.WARNING),
    (logging.INFO, 6),
    (0, 7),
)


class EventLog:
    """Logs events with fields; every line also has the fields of its context, for example worker and slot."""

    def __init__(self, logger: logging.Logger, **context: object) -> None:
        self.logger = logger
        self._context = context

    def bind(self, **context: object) -> EventLog:
        """Return a log with these fields added to the context."""
        return EventLog(self.logger, **{**self._context, **context})

    def debug(self, event: str, **fields: object) -> None:
        """Log an event that helps to find the cause of a problem."""
        self._log(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Log an event of normal operation."""
        self._log(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Log a problem that the host can handle and an operator should know."""
        self._log(logging.WARNING, event, fields)

    def error(self, event: str, *, details: str | None = None, **fields: object) -> None:
        """Log a failure; `details` is a traceback or another text of several lines."""
        self._log(logging.ERROR, event, fields, details)

    def _log(self, level: int, event: str, fields: Mapping[str, object], details: str | None = None) -> None:
        if self.logger.isEnabledFor(level):
            extra = {_FIELDS: {**self._context, **fields}, "reactorhost_details": details}
            self.logger.log(level, event, extra=extra)


class ContextFormatter(logging.Formatter):
    """Adds the fields of the process to every record, also to those that a plugin logs with `logging`."""

    def __init__(self, context: Mapping[str, object]) -> None:
        super().__init__()
        self._context = context

    def fields_of(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the fields of a record: of the process, the logger if it is not the host's, those of the event."""
        logger = {} if record.name == HOST_LOGGER else {"logger": record.name}
        return {**self._context, **logger, **getattr(record, _FIELDS, {})}

    def details_of(self, record: logging.LogRecord) -> str | None:
        """Return the traceback or details of a record, if it has any."""
        if record.exc_info:
            return self.formatException(record.exc_info)
        details: str | None = getattr(record, "reactorhost_details", None)
        return details


class TextFormatter(ContextFormatter):
    """Formats `2026-11-23T06:52:53.123Z info worker_ready slot=1 pid=4243`, then the traceback, indented."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, and the lines of its traceback."""
        level, fields = record.levelname.lower(), self.fields_of(record)
        return text_line(timestamp(record.created), level, record.getMessage(), fields, self.details_of(record))


class JournalFormatter(ContextFormatter):
    """Formats `<4>warning worker_blocked slot=1`: the journal has the time, and the number is the priority."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, and the lines of its traceback, with the same priority."""
        level, fields = record.levelname.lower(), self.fields_of(record)
        text = _event_text(level, record.getMessage(), fields, self.details_of(record))
        return journal.with_priority(text, next(number for least, number in _PRIORITIES if record.levelno >= least))


class JsonFormatter(ContextFormatter):
    """Formats one object a line: `time`, `level`, `event`, the fields, and `details` if there is a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line: dict[str, object] = {
            "time": timestamp(record.created),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line.update((key, _json_value(value)) for key, value in self.fields_of(record).items())
        details = self.details_of(record)
        if details:
            line["details"] = details
        return json.dumps(line)


class AppendHandler(logging.Handler):
    """Appends each line by one write to a file, or to standard error if `path` is None.

    Attributes:
        descriptor: the open file, also after it was renamed; one that is passed is used in place of the path.
    """

    def __init__(self, path: Path | None, *, capture_output: bool = False, descriptor: int | None = None) -> None:
        super().__init__()
        self._path = path
        self._capture_output = capture_output
        if descriptor is None:
            descriptor = 2 if path is None else open_for_append(path)
        self.descriptor = descriptor
        self._held: list[bytes] | None = None
        self._capture()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; if that fails it is dropped."""
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001 - plugin code: the arguments of its record may not fit, or raise
            self.handleError(record)
            return
        # backslashreplace: a file name that is not UTF-8 is text with lone surrogates, which cannot be encoded.
        data = f"{text}\n".encode(errors="backslashreplace")
        if self._held is not None:
            self._held.append(data)
        else:
            self._write(data)

    def hold(self) -> None:
        """Keep lines back until `write_held`, so that other output comes first on a terminal."""
        self._held = []

    def write_held(self) -> None:
        """Write the lines that were kept back."""
        held, self._held = self._held, None
        for data in held or ():
            self._write(data)

    def discard_held(self) -> None:
        """Drop the lines that were kept back, in a forked process: its parent writes them."""
        self._held = None

    def is_terminal(self) -> bool:
        """Return whether people read the lines: they go to standard error, and that is a terminal."""
        return self._path is None and os.isatty(self.descriptor)

    def end_echoed_line(self) -> None:
        """Begin a new line on a terminal that has written `^C` where the next line of the log would begin."""
        if self.is_terminal() and echoes_signals(self.descriptor):
            self._write(b"\n")

    def is_journal(self) -> bool:
        """Return whether the lines become entries of the journal of systemd."""
        return self._path is None and journal.leads_to_journal(self.descriptor, os.environ)

    def was_removed(self) -> bool:
        """Say whether the file has no name any more, so that its lines are lost; one that was renamed still has one."""
        if self._path is None:
            return False
        status = os.fstat(self.descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink:
            return False
        try:
            # A path such as /dev/stdout leads to a file without a name, and opening it again changes nothing.
            return not os.path.samestat(os.stat(self._path), status)
        except OSError:
            return True

    def reopen(self) -> int | None:
        """Open the file at the path again, after the old one was rotated away.

        Returns its descriptor, for `write_to` in other processes, or None if the log is not a file.

        Raises:
            OSError: it cannot be opened; the old one stays in use.
        """
        if self._path is None:
            return None
        self.write_to(open_for_append(self._path))
        return self.descriptor

    def write_to(self, fresh: int) -> None:
        """Write to another open file from now on; `fresh` is closed, and lines of other threads go to either file."""
        os.dup2(fresh, self.descriptor, inheritable=False)
        os.close(fresh)
        self._capture()

    def _write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            # A write to a regular file never waits for a reader, so only other files need the poll.
            if stat.S_ISREG(os.fstat(self.descriptor).st_mode):
                os.write(self.descriptor, data)
            else:
                write_without_waiting(self.descriptor, data)

    def _capture(self) -> None:
        # Descriptors and not sys.stdout: C libraries and child processes of plugins print too.
        if self._capture_output:
            # dup2 makes them inheritable (PEP 446), as programs that a plugin starts need them.
            for standard in (1, 2):
                os.dup2(self.descriptor, standard)


def text_line(time: str, level: str, event: str, fields: Mapping[str, object], details: str | None) -> str:
    """Return an event in the format `text`, with its details on lines of their own."""
    return f"{time} {_event_text(level, event, fields, details)}"


def _event_text(level: str, event: str, fields: Mapping[str, object], details: str | None) -> str:
    pairs = "".join(f" {key}={text_value(value)}" for key, value in fields.items())
    line = f"{printable(f'{level} {event}')}{pairs}"
    if details:
        line += "".join(f"\n    {printable(text)}" for text in details.rstrip().splitlines())
    return line


def timestamp(seconds: float) -> str:
    """Return a Unix time as it is written in the log."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"


def _json_value(value: object) -> object:
    # An endpoint is a tuple, which would be written as a list: as text it has the form that it has everywhere.
    return value if value is None or isinstance(value, int | float) else str(value)


def text_value(value: object) -> str:
    """Return the value of a field as text: in quotes, as JSON, if it would otherwise be ambiguous."""
    text = str(value)
    if text and text.isprintable() and not any(character in text for character in ' "=\\'):
        return text
    # A value stays JSON: `printable` escapes in the same way.
    return printable(json.dumps(text, ensure_ascii=False))
