"""`reactorhost logs`."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactorhost.cli import client
from reactorhost.cli.documents import json_option
from reactorhost.cli.options import complete_plugins, host_options, location_from, log_file_of
from reactorhost.cli.output import echo
from reactorhost.config.default_paths import DEFAULT_LOG
from reactorhost.config.resolve import Location
from reactorhost.errors import NotPermittedError, NotRunningError, ReactorhostError, UsageError
from reactorhost.ipc.status import EventStatus, StatusDocument

if TYPE_CHECKING:
    from reactorhost.dashboard.model.log_records import LogFilter, LogRecord

_POLL_SECONDS = 0.2
_EVENT_SECONDS = 1.0
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d(:\d\d(:\d\d)?)?)?")
_LEVELS = ("debug", "info", "warning", "error", "critical")

Show = Callable[["LogRecord"], None]


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Print what is added to the log, also after a rotation.")
@click.option("-n", "--lines", "count", default="50", metavar="N", help="Print the last N events, or all.")
@click.option("--level", type=click.Choice(_LEVELS), help="Print only events of this level or above.")
@click.option("--plugin", metavar="NAME", help="Print only events of a plugin.", shell_complete=complete_plugins)
@click.option("--slot", type=click.IntRange(0), metavar="N", help="Print only events of the workers of a slot.")
@click.option("--since", metavar="TIME", help="Print only events since: 10m, 2h, or a UTC time 2026-11-28T07:30.")
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

    def show(record: LogRecord) -> None:
        if wanted.admits(record):
            echo(record.as_json() if flags["as_json"] else record.as_text())

    path = flags["log_file"]
    location = None
    if path is None:
        location = location_from(flags)
        path = _path(location, flags)
    if path is not None:
        _show_file(path, count, wanted, show, follow=flags["follow"])
    elif location is not None:
        _show_events(location, count, wanted, show, follow=flags["follow"])


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
    if _TIME.fullmatch(text.removesuffix("Z")):
        return text.removesuffix("Z").replace(" ", "T")
    from reactorhost.config.values import InvalidValueError, duration
    from reactorhost.logs import timestamp

    kind = duration(0, 1e9)
    try:
        seconds = kind.read(kind.from_text(text))
    except InvalidValueError:
        hint = "for example --since 10m, or --since 2026-11-28T07:30"
        raise UsageError(f"--since must be a duration or a UTC time, not {text!r}", hint=hint) from None
    assert isinstance(seconds, float)
    return timestamp(time.time() - seconds)


def _path(location: Location, flags: dict[str, Any]) -> Path | None:
    """Return the log file of a host, or None if it runs and has none.

    Raises:
        ReactorhostError: the host does not run and has left no log, or it belongs to another user.
    """
    kept = log_file_of(flags) or location.run_dir / DEFAULT_LOG
    try:
        document: StatusDocument = client.request(location, "status")["document"]
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
        echo(f"reactorhost: warning: {error.what}", err=True)
        return kept
    host = client.selected(location, document["name"]).host
    if document["log_file"] is None:
        echo(f"{host} logs to its standard error; these are the newest events of its master", err=True)
        return None
    path = Path(document["log_file"])
    if path.exists() and not path.is_file():
        echo(f"{host} logs to {path}; these are the newest events of its master", err=True)
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

    seen: Sequence[EventStatus] = client.request(location, "status")["document"]["events"]
    admitted = filter(wanted.admits, map(LogRecord.from_event, seen))
    for record in deque(admitted, maxlen=count):
        show(record)
    while follow:
        time.sleep(_EVENT_SECONDS)
        events = client.request(location, "status")["document"]["events"]
        for event in _newer(events, seen):
            show(LogRecord.from_event(event))
        seen = events


def _newer(events: Sequence[EventStatus], seen: Sequence[EventStatus]) -> Sequence[EventStatus]:
    """Return the events behind the last one that was seen."""
    if seen and seen[-1] in events:
        return events[len(events) - events[::-1].index(seen[-1]) :]
    return events
