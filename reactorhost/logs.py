"""The log: `time level event key=value` or one JSON object a line, from every process of a host to one file.

A log file is opened for appending and every line is one write, so lines of several processes never mix. A line
that cannot be written (disk full, terminal gone) is dropped: logging never disturbs what it tells about.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

LogFormat = Literal["text", "json"]

_FIELDS = "reactorhost_fields"


class EventLog:
    """Says what happened as an event with fields, always with the process that says it."""

    def __init__(self, logger: logging.Logger, **context: object) -> None:
        self.logger = logger
        self._context = context

    def bind(self, **context: object) -> EventLog:
        """Return a log whose every line has these fields too."""
        return EventLog(self.logger, **{**self._context, **context})

    def debug(self, event: str, **fields: object) -> None:
        """Tell something for whoever looks for the cause of something else."""
        self._tell(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Tell something that is as it should be."""
        self._tell(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Tell something that the host copes with and an operator should know."""
        self._tell(logging.WARNING, event, fields)

    def error(self, event: str, *, details: str | None = None, **fields: object) -> None:
        """Tell a failure; `details` is a traceback or another text of several lines."""
        self._tell(logging.ERROR, event, fields, details)

    def _tell(self, level: int, event: str, fields: Mapping[str, object], details: str | None = None) -> None:
        if self.logger.isEnabledFor(level):
            extra = {_FIELDS: {**self._context, **fields}, "reactorhost_details": details}
            self.logger.log(level, event, extra=extra)


class ContextFormatter(logging.Formatter):
    """Lines with the process's own fields, also for records that a plugin logged in the usual way."""

    def __init__(self, context: Mapping[str, object]) -> None:
        super().__init__()
        self._context = context

    def fields_of(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the fields of a record, the process's own first."""
        return {**self._context, **getattr(record, _FIELDS, {})}

    def details_of(self, record: logging.LogRecord) -> str | None:
        """Return the traceback of a record, if it has one."""
        if record.exc_info:
            return self.formatException(record.exc_info)
        details: str | None = getattr(record, "reactorhost_details", None)
        return details


class TextFormatter(ContextFormatter):
    """`2026-11-23T06:52:53.123Z info worker_ready slot=1 pid=4243`; a traceback follows, indented."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line or lines."""
        pairs = "".join(f" {key}={_text_value(value)}" for key, value in self.fields_of(record).items())
        line = f"{_timestamp(record.created)} {record.levelname.lower()} {_one_line(record.getMessage())}{pairs}"
        details = self.details_of(record)
        if details:
            line += "".join(f"\n    {text}" for text in details.rstrip().splitlines())
        return line


class JsonFormatter(ContextFormatter):
    """One object a line: `time`, `level`, `event`, the fields, and `details` when there is a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        line = {"time": _timestamp(record.created), "level": record.levelname.lower(), "event": record.getMessage()}
        line.update(self.fields_of(record))
        details = self.details_of(record)
        if details:
            line["details"] = details
        return json.dumps(line, default=str)


class AppendHandler(logging.Handler):
    """Appends each line in one write to a file, or to standard error when it has no path."""

    def __init__(self, path: Path | None, *, capture_output: bool = False) -> None:
        super().__init__()
        self._path = path
        self._capture_output = capture_output
        self._descriptor = 2 if path is None else _open_for_append(path)
        self._held: list[bytes] | None = None
        self._capture()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a failing write drops it."""
        data = (self.format(record) + "\n").encode(errors="backslashreplace")
        if self._held is not None:
            self._held.append(data)
        else:
            self._write(data)

    def hold(self) -> None:
        """Keep lines back until `let_go`, for something that people are to read first."""
        self._held = []

    def let_go(self) -> None:
        """Write what was kept back."""
        held, self._held = self._held, None
        for data in held or ():
            self._write(data)

    def forget_held(self) -> None:
        """Keep nothing back any more, and drop what was: in a forked process, whose parent writes those lines."""
        self._held = None

    def reopen(self) -> None:
        """Open the file again, after somebody moved it away.

        Raises:
            OSError: it cannot be opened; the old one stays in use.
        """
        if self._path is None:
            return
        fresh = _open_for_append(self._path)
        os.close(self._descriptor)
        self._descriptor = fresh
        self._capture()

    def _write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            if stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                os.write(self._descriptor, data)
            else:
                _write_as_far_as_it_takes(self._descriptor, data)

    def _capture(self) -> None:
        if self._capture_output:
            for standard in (1, 2):
                os.dup2(self._descriptor, standard)


def install(
    path: Path | None, log_format: LogFormat, level: str, *, capture_output: bool = False, **context: object
) -> AppendHandler:
    """Send this process's records to `path`, or to standard error; `context` stands in every line.

    With `capture_output` what the process prints goes there too.

    Raises:
        OSError: the file cannot be opened.
    """
    handler = AppendHandler(path, capture_output=capture_output)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    return inherit(log_format, level, **context)


def inherit(log_format: LogFormat, level: str, **context: object) -> AppendHandler:
    """Go on with the log that is installed, with another `context`: what a forked process does.

    It opens nothing: the parent's descriptor is good also when the file could not be opened again.
    """
    root = logging.getLogger()
    handler = next(handler for handler in root.handlers if isinstance(handler, AppendHandler))
    handler.forget_held()
    # What Python warns of in a plugin is a line of the log like any other.
    logging.captureWarnings(True)
    handler.setFormatter(TextFormatter(context) if log_format == "text" else JsonFormatter(context))
    root.setLevel(level.upper())
    return handler


def _write_as_far_as_it_takes(descriptor: int, data: bytes) -> None:
    """Write to a pipe or a terminal what can be written without waiting: who reads may have stopped to.

    A pipe that is ready has room for at least a page. The descriptor itself must stay as it is, for it is shared with
    processes that are not ours.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    for start in range(0, len(data), select.PIPE_BUF):
        if not poll.poll(0):
            return
        os.write(descriptor, data[start : start + select.PIPE_BUF])


def _open_for_append(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)


def _timestamp(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"


def _one_line(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _text_value(value: object) -> str:
    text = str(value)
    if text and not any(character in text for character in ' "=\n\r\t\\'):
        return text
    return json.dumps(text, ensure_ascii=False)
