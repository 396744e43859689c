"""`reactorhost logs`."""

from __future__ import annotations

import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactorhost.cli import client
from reactorhost.cli.documents.json_output import json_option
from reactorhost.cli.manual.help_pages import HostCommand
from reactorhost.cli.output import confirm, echo_escaped, warn
from reactorhost.cli.parameters.completers import complete_plugins, complete_slots
from reactorhost.cli.parameters.options import host_options, location_from, log_file_of
from reactorhost.config.default_paths import DEFAULT_LOG
from reactorhost.config.resolve import Location
from reactorhost.errors import NotPermittedError, NotRunningError, ReactorhostError, UsageError

if TYPE_CHECKING:
    from reactorhost.dashboard.model.log_records import LogFilter, LogRecord

_POLL_SECONDS = 0.2
_EVENT_SECONDS = 1.0
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d(:\d\d(:\d\d)?)?)?")
_LEVELS = ("debug", "info", "warning", "error", "critical")

Show = Callable[["LogRecord"], None]


@click.command(cls=HostCommand)
@click.option("-f", "--follow", is_flag=True, help="Print what is added to the log, also after a rotation.")
@click.option("-n", "--lines", "count", default="50", metavar="N", help="Print the last N events, or all.")
@click.option("--level", type=click.Choice(_LEVELS), help="Print only events of this level or above.")
@click.option("--plugin", metavar="NAME", help="Print only events of a plugin.", shell_complete=complete_plugins)
@click.option(
    "--slot",
    type=click.IntRange(0),
    metavar="N",
    help="Print only events of the workers of a slot.",
    shell_complete=complete_slots,
)
@click.option(
    "--since", metavar="TIME", help="Print only events since: 10m, 2h, or a time 2026-11-28T07:30, with Z in UTC."
)
@click.option("--log-file", type=click.Path(path_type=Path), help="Read this file, for example a rotated one.")
@json_option("Print one JSON object per line, as with the log format json.")
@host_options
def logs(**flags: Any) -> None:
    """Print the log of a host, running or not: the last events, or those that a filter selects.

    Of a host that does not log to a file, the newest events of its master are printed.
    """
    from reactorhost.dashboard.model.log_records import LogFilter

    wanted = LogFilter(flags["level"], flags["plugin"], flags["slot"], _since(flags["since"]))
    count = _count(flags["count"])

    shown = _shown(as_json=flags["as_json"])

    def show(record: LogRecord) -> None:
        if wanted.admits(record):
            # Escaped by what made it: colours must reach the terminal.
            echo_escaped(shown(record))

    path = flags["log_file"]
    location = None
    if path is None:
        location = location_from(flags)
        path = _path(location, flags)
    if path is not None:
        _show_file(path, count, wanted, show, follow=flags["follow"])
    elif location is not None:
        _show_events(location, count, wanted, show, follow=flags["follow"])


def _shown(*, as_json: bool) -> Callable[[LogRecord], str]:
    """Return how records are written: on a terminal for people, elsewhere as they are in the file."""
    from reactorhost.dashboard.model.log_records import LogRecord

    if as_json:
        return LogRecord.as_json
    if not os.isatty(1):
        return LogRecord.as_text
    from reactorhost.system.terminal_color import wants_color
    from reactorhost.terminal_log import SharedDay, TerminalLines

    made = TerminalLines(1, colour=wants_color(os.environ), day=SharedDay())
    return lambda record: record.for_terminal(made)


def _count(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isascii() or not text.isdigit():
        raise UsageError(f"--lines must be a number or all, not {text!r}")
    return int(text)


def _since(text: str | None) -> str | None:
    """Return a time of the log, or the beginning of one.

    Raises:
        UsageError: the text is neither a time nor a duration.
    """
    if text is None:
        return None
    from reactorhost.config.values import InvalidValueError, duration
    from reactorhost.logs import timestamp

    if _TIME.fullmatch(text.removesuffix("Z")):
        if text.endswith("Z"):
            return text.removesuffix("Z").replace(" ", "T")
        # Local, as the times that a terminal shows.
        try:
            return timestamp(datetime.fromisoformat(text).astimezone().timestamp())
        except ValueError as error:
            raise UsageError(f"--since must be a duration or a time, not {text!r}: {error}") from None
    kind = duration(0, 1e9)
    try:
        seconds = kind.read(kind.from_text(text))
    except InvalidValueError:
        hint = "for example --since 10m, or --since 2026-11-28T07:30"
        raise UsageError(f"--since must be a duration or a time, not {text!r}", hint=hint) from None
    assert isinstance(seconds, float)
    return timestamp(time.time() - seconds)


def _path(location: Location, flags: dict[str, Any]) -> Path | None:
    """Return the log file of a host, or None if it runs and has none.

    Raises:
        ReactorhostError: the host does not run and has left no log, or it belongs to another user.
    """
    kept = log_file_of(flags) or location.run_dir / DEFAULT_LOG
    try:
        # Not `client.status`: a host of any version has these two members.
        document = client.request(location, "status")["document"]
    except NotPermittedError:
        raise
    except NotRunningError as error:
        if kept.exists():
            return kept
        hint = "name the file with --log-file"
        raise NotRunningError(f"{error.what}, and there is no log {kept}", hint=hint) from None
    except ReactorhostError as error:
        # It hangs, or is starting or ending: its log may show why.
        if not kept.exists():
            raise
        warn([error.what])
        return kept
    host = client.selected(location, document["name"]).host
    if document["log_file"] is None:
        confirm(f"{host} logs to its standard error; these are the newest events of its master", err=True)
        return None
    path = Path(document["log_file"])
    if path.exists() and not path.is_file():
        confirm(f"{host} logs to {path}; these are the newest events of its master", err=True)
        return None
    return path


def _show_file(path: Path, count: int | None, wanted: LogFilter, show: Show, *, follow: bool) -> None:
    from reactorhost.dashboard.model.log_file import LogTail, last_records, open_log
    from reactorhost.dashboard.model.log_records import records

    with open_log(path) as file:
        for record in last_records(file, count, wanted):
            show(record)
        if not follow:
            return
        tail = LogTail(path, file)
    try:
        for record in records(_added(tail.lines)):
            show(record)
    finally:
        tail.close()


def _added(lines: Callable[[float], Sequence[str]]) -> Iterator[str | None]:
    while True:
        yield from lines(time.monotonic())
        # An event is complete once nothing follows it: a line and its traceback are one write.
        yield None
        time.sleep(_POLL_SECONDS)


def _show_events(location: Location, count: int | None, wanted: LogFilter, show: Show, *, follow: bool) -> None:
    from reactorhost.dashboard.model.log_records import LogRecord

    seen = 0

    def newer() -> Iterator[LogRecord]:
        nonlocal seen
        document = client.status(location, events_since=seen)
        seen = max((seen, *(event["id"] for event in document["events"])))
        return map(LogRecord.from_event, document["events"])

    for record in deque(filter(wanted.admits, newer()), maxlen=count):
        show(record)
    while follow:
        time.sleep(_EVENT_SECONDS)
        for record in newer():
            show(record)
