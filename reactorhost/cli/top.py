"""`reactorhost top`."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactorhost.cli import client
from reactorhost.cli.app import traceback_option
from reactorhost.cli.options import host_options, location_from
from reactorhost.errors import ReactorhostError, UsageError

if TYPE_CHECKING:
    from reactorhost.dashboard.model.source import Source
    from reactorhost.dashboard.model.view import View
    from reactorhost.ipc.status import StatusDocument


@click.command()
@click.option("-d", "--interval", type=click.FloatRange(0.1, 60), default=1.0, help="Seconds between two looks.")
@click.option("--once", is_flag=True, help="Print one table with plugins, listeners and events, and end.")
@click.option("-b", "--batch", is_flag=True, help="Print a line of sums at a time; so it does without a terminal.")
@click.option("-n", "--count", type=click.IntRange(1), metavar="N", help="In batch, end after N lines.")
@click.option("--json", "as_json", is_flag=True, help="Print status documents: one with --once, else one a line.")
@click.option("--record", type=click.Path(path_type=Path, dir_okay=False), help="Write all that is seen to a file.")
@click.option(
    "--replay",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Show a recording instead of a running host.",
)
@click.option("--speed", type=click.FloatRange(0.01, 1000), default=1.0, help="How fast a recording is played.")
@click.option("--sort", default="slot", metavar="COLUMN", help="Sort by a column.")
@click.option("--filter", "filter_text", default="", metavar="TEXT", help="Show only workers that match a text.")
@click.option("--columns", default="", metavar="A,B,...", help="Show these columns.")
@click.option("--ascii", "in_ascii", is_flag=True, help="Draw in ASCII letters, as in a locale without UTF-8.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="When to use colours.")
@click.option("--read-only", is_flag=True, help="Leave out the keys that change the host.")
@host_options
@traceback_option
def top(**flags: Any) -> None:
    """Watch a host: master, workers, plugins and events, moving.

    Keys are on the screen, ? shows all. Without a terminal it prints lines as with -b.
    """
    from reactorhost.dashboard.live.live_view import is_terminal

    view = _view(flags)
    if flags["once"]:
        _print_once(flags, view)
        return
    batch = flags["batch"] or flags["count"] is not None or flags["as_json"] or not is_terminal()
    with ExitStack() as stack:
        record = _recorder(flags, stack)
        source = _source(flags)
        if batch:
            _print_lines(flags, source, record)
        else:
            _show(flags, view, source, record)


def _view(flags: Mapping[str, Any]) -> View:
    from reactorhost.dashboard.tables.columns import BY_NAME, chosen
    from reactorhost.dashboard.model.view import View
    from reactorhost.dashboard.terminal.screen import speaks_utf8
    from reactorhost.errors import did_you_mean

    columns = tuple(name.strip().lower() for name in flags["columns"].split(",") if name.strip())
    chosen(columns)
    sort = flags["sort"].lower()
    if sort not in BY_NAME:
        hint = did_you_mean(sort, BY_NAME) or f"columns: {', '.join(BY_NAME)}"
        raise UsageError(f"there is no column {sort!r}", hint=hint)
    return View(
        sort=sort,
        filter=flags["filter_text"],
        columns=columns,
        interval_seconds=flags["interval"],
        ascii=flags["in_ascii"] or not speaks_utf8(os.environ),
        read_only=flags["read_only"] or flags["replay"] is not None,
    )


def _source(flags: Mapping[str, Any]) -> Source:
    from reactorhost.dashboard.model.recording import records
    from reactorhost.dashboard.model.source import HostSource, RecordedSource

    if flags["replay"] is not None:
        return RecordedSource(records(flags["replay"]), flags["speed"], time.monotonic())
    location = location_from(dict(flags))
    # What is not there at the start is an error; what goes away later is waited for.
    client.connect(location).close()
    return HostSource(location.run_dir / "control.sock", flags["interval"], time.monotonic())


def _recorder(flags: Mapping[str, Any], stack: ExitStack) -> Any:
    from reactorhost.dashboard.model.recording import Recorder

    if flags["record"] is None:
        return lambda document: None
    return stack.enter_context(Recorder(flags["record"])).write


def _print_once(flags: Mapping[str, Any], view: View) -> None:
    document = _document(flags)
    if flags["record"] is not None:
        with ExitStack() as stack:
            _recorder(flags, stack)(document)
    if flags["as_json"]:
        click.echo(json.dumps(document, indent=2))
        return
    from reactorhost.dashboard.terminal.screen import print_lines
    from reactorhost.dashboard.output.status_page import full

    print_lines(lambda width: full(document, view, width), flags["color"])


def _document(flags: Mapping[str, Any]) -> StatusDocument:
    if flags["replay"] is None:
        document: StatusDocument = client.ask(location_from(dict(flags)), "status")["document"]
        return document
    from reactorhost.dashboard.model.recording import records

    newest = deque(records(flags["replay"]), maxlen=1)
    if not newest:
        raise ReactorhostError(f"there is nothing in {flags['replay']}")
    return newest[0][1]


def _print_lines(flags: Mapping[str, Any], source: Source, record: Any) -> None:
    from reactorhost.dashboard.output.batch import JsonLines, Lines, follow

    show = JsonLines(click.echo) if flags["as_json"] else Lines(_names(flags), click.echo)

    def take(document: StatusDocument) -> None:
        record(document)
        show(document)

    follow(source, take, lambda text: click.echo(text, err=True), most=flags["count"])


def _names(flags: Mapping[str, Any]) -> list[str]:
    return [name.strip().lower() for name in flags["columns"].split(",") if name.strip()]


def _show(flags: Mapping[str, Any], view: View, source: Source, record: Any) -> None:
    from reactorhost.dashboard.live import live_view
    from reactorhost.dashboard.terminal.paint import Painter
    from reactorhost.dashboard.terminal.screen import color_system
    from reactorhost.dashboard.terminal.terminal import Terminal

    live_view.show(source, view, Terminal(0, 1), Painter(color_system(flags["color"])), record)
