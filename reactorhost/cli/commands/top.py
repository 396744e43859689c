"""`reactorhost top`."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactorhost.cli import client
from reactorhost.cli.manual.help_pages import HostCommand
from reactorhost.cli.output import echo
from reactorhost.cli.parameters.completers import complete_columns
from reactorhost.cli.parameters.options import host_options, location_from
from reactorhost.config.default_paths import by_run_dir
from reactorhost.errors import ReactorhostError
from reactorhost.ipc.control_client import CONTROL_SOCKET

if TYPE_CHECKING:
    from reactorhost.dashboard.model.recording import Record
    from reactorhost.dashboard.model.source import StatusSource
    from reactorhost.dashboard.model.view import View
    from reactorhost.ipc.status import StatusDocument


@click.command(cls=HostCommand)
@click.option(
    "-d", "--interval", type=click.FloatRange(0.1, 60), default=1.0, show_default=True, help="Seconds between updates."
)
@click.option("--once", is_flag=True, help="Print workers, services, plugins, listeners and events once, then exit.")
@click.option(
    "-b", "--batch", is_flag=True, help="Print one line of totals per update; the default without a terminal."
)
@click.option("-n", "--count", type=click.IntRange(1), metavar="N", help="In batch mode, exit after N lines.")
@click.option("--json", "as_json", is_flag=True, help="Print status documents: one with --once, else one per line.")
@click.option(
    "--record", type=click.Path(path_type=Path, dir_okay=False), help="Record the status documents to a file."
)
@click.option(
    "--replay",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Show a recording instead of a running host.",
)
@click.option("--speed", type=click.FloatRange(0.01, 1000), default=1.0, help="Playback speed of a recording.")
@click.option("--sort", default="slot", metavar="COLUMN", help="Sort by a column.", shell_complete=complete_columns)
@click.option("--filter", "filter_text", default="", metavar="TEXT", help="Show only workers that match a text.")
@click.option("--columns", default="", metavar="A,B,...", help="Show these columns.", shell_complete=complete_columns)
@click.option("--ascii", "in_ascii", is_flag=True, help="Draw with ASCII characters, as in a locale without UTF-8.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="When to use colours.")
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal, for selecting text.")
@click.option("--read-only", is_flag=True, help="Disable the keys that change the host.")
@host_options
def top(**flags: Any) -> None:
    """Show a live view of a host: workers, services, clients, plugins and log.

    The last line of the screen lists the keys; ? shows all of them. Without a terminal it prints lines, as with -b.
    """
    from reactorhost.dashboard.model.recording import recorder
    from reactorhost.dashboard.terminal.capabilities import can_draw

    view = _view(flags)
    if flags["once"]:
        _print_once(flags, view)
        return
    batch = flags["batch"] or flags["count"] is not None or flags["as_json"] or not can_draw(0, 1)
    with recorder(flags["record"]) as record:
        source = _source(flags)
        if batch:
            _print_lines(flags, source, record)
        else:
            _show_live(flags, view, source, record)


def _view(flags: Mapping[str, Any]) -> View:
    from reactorhost.dashboard.model.view import Page, TableState, View
    from reactorhost.dashboard.tables.columns import column_named, columns_named
    from reactorhost.dashboard.terminal.capabilities import is_utf8_locale

    columns = _column_names(flags)
    # Looked up for the error: an unknown column has to be reported before the screen is switched.
    columns_named(columns)
    return View(
        tables={Page.WORKERS: TableState(sort=column_named(flags["sort"].lower()).name, filter=flags["filter_text"])},
        columns=columns,
        interval_seconds=flags["interval"],
        ascii=flags["in_ascii"] or not is_utf8_locale(os.environ),
        linux_console=os.environ.get("TERM", "").startswith("linux"),
        read_only=flags["read_only"] or flags["replay"] is not None,
    )


def _column_names(flags: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name.strip().lower() for name in flags["columns"].split(",") if name.strip())


def _source(flags: Mapping[str, Any]) -> StatusSource:
    from reactorhost.dashboard.model.recording import records
    from reactorhost.dashboard.model.source import HostSource, RecordingSource

    if flags["replay"] is not None:
        return RecordingSource(records(flags["replay"]), flags["speed"], time.monotonic())
    location = location_from(dict(flags))
    # A host that does not run now is an error; one that ends later is waited for.
    client.connect(location).close()
    return HostSource(location.run_dir / CONTROL_SOCKET, flags["interval"], time.monotonic())


def _print_once(flags: Mapping[str, Any], view: View) -> None:
    from reactorhost.dashboard.model.recording import recorder

    # The document first: an existing recording is not overwritten if there is no host.
    document = _newest_document(flags)
    with recorder(flags["record"]) as record:
        record(document)
    if flags["as_json"]:
        echo(json.dumps(document, indent=2))
        return
    from reactorhost.dashboard.output.status_page import full
    from reactorhost.dashboard.terminal.screen import print_lines

    print_lines(lambda width: full(document, view, width), flags["color"])


def _newest_document(flags: Mapping[str, Any]) -> StatusDocument:
    if flags["replay"] is None:
        return client.status(location_from(dict(flags)))
    from reactorhost.dashboard.model.recording import records

    newest = deque(records(flags["replay"]), maxlen=1)
    if not newest:
        raise ReactorhostError(f"the recording {flags['replay']} is empty")
    return newest[0][1]


def _print_lines(flags: Mapping[str, Any], source: StatusSource, record: Record) -> None:
    from reactorhost.dashboard.output.batch import BatchLines, follow
    from reactorhost.dashboard.terminal.screen import output_width

    line = json.dumps if flags["as_json"] else BatchLines(_column_names(flags), output_width()).lines

    def show(document: StatusDocument) -> None:
        record(document)
        echo(line(document))

    follow(source, show, lambda text: echo(text, err=True), most=flags["count"])


def _show_live(flags: Mapping[str, Any], view: View, source: StatusSource, record: Record) -> None:
    from reactorhost.dashboard.live import live_view
    from reactorhost.dashboard.terminal.paint import Painter
    from reactorhost.dashboard.terminal.screen import color_system
    from reactorhost.dashboard.terminal.terminal import Terminal

    terminal = Terminal(0, 1, mouse=not flags["no_mouse"])
    for verb, run_dir in live_view.show(source, view, terminal, Painter(color_system(flags["color"])), record):
        # Of the host that was shown: by now the flags may select another one.
        host = by_run_dir(run_dir)
        echo(f"{host.host} continues the {verb}; follow it with `reactorhost top{host.flags}`", err=True)
