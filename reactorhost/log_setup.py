"""Set up the log of a process: where its lines go, and in which form."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from reactorhost.logs import AppendHandler, ContextFormatter, JournalFormatter, JsonFormatter, LogFormat, TextFormatter
from reactorhost.system.terminal_color import wants_color


def install(
    path: Path | None,
    log_format: LogFormat,
    level: str,
    *,
    capture_output: bool = False,
    descriptor: int | None = None,
    **context: object,
) -> AppendHandler:
    """Send the records of this process to `path`, or to standard error; every line has the fields of `context`.

    A `descriptor` is the file if it is open already. With `capture_output` standard output and standard error of the
    process go there too.

    Raises:
        OSError: the file cannot be opened.
    """
    handler = AppendHandler(path, capture_output=capture_output, descriptor=descriptor)
    root = logging.getLogger()
    # A handler that a library installed on import would write every line a second time.
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    return inherit(log_format, level, **context)


def inherit(log_format: LogFormat, level: str, **context: object) -> AppendHandler:
    """Keep the installed log, with another `context`, in a forked process.

    Opens no file: the inherited descriptor works even if the process may not open the file itself.
    """
    root = logging.getLogger()
    handler = next(handler for handler in root.handlers if isinstance(handler, AppendHandler))
    handler.discard_held()
    # Python's warnings, for example about a plugin's code, become log lines too.
    logging.captureWarnings(True)
    handler.setFormatter(_formatter(handler, log_format, context))
    root.setLevel(level.upper())
    return handler


def _formatter(handler: AppendHandler, log_format: LogFormat, context: Mapping[str, object]) -> ContextFormatter:
    if log_format == "json":
        return JsonFormatter(context)
    if log_format == "auto" and handler.is_journal():
        return JournalFormatter(context)
    if log_format == "text" or not handler.is_terminal():
        return TextFormatter(context)
    # Imported only here: a daemon does not pay for it.
    from reactorhost.terminal_log import SharedDay, TerminalFormatter, TerminalLines

    if isinstance(handler.formatter, TerminalFormatter):
        # The one of the master, before the fork.
        return TerminalFormatter(context, handler.formatter.made)
    lines = TerminalLines(handler.descriptor, colour=wants_color(os.environ), day=SharedDay())
    return TerminalFormatter(context, lines)
