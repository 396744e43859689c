"""`reactorhost status` and `reactorhost connections`: print what a running host reports about itself."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from reactorhost.cli import client
from reactorhost.cli.documents import json_option, print_document
from reactorhost.cli.options import host_options, location_from
from reactorhost.cli.output import echo
from reactorhost.errors import BootError
from reactorhost.ipc.status import StatusDocument


@click.command()
@json_option("Print the status document (schema 1).")
@host_options
def status(as_json: bool, **flags: Any) -> None:
    """Show the master and the workers, and errors of the last hour.

    The exit status is 3 if not every worker is ready.
    """
    document = client.request(location_from(flags), "status")["document"]
    if as_json:
        echo(json.dumps(document, indent=2))
    else:
        _print_page(document)
    if document["workers_ready"] < document["workers_wanted"]:
        raise click.exceptions.Exit(BootError.exit_status)


def _print_page(document: StatusDocument) -> None:
    from reactorhost.dashboard.model.view import View
    from reactorhost.dashboard.output.status_page import brief
    from reactorhost.dashboard.terminal.capabilities import is_utf8_locale
    from reactorhost.dashboard.terminal.screen import print_lines

    view = View(ascii=not is_utf8_locale(os.environ))
    print_lines(lambda width: brief(document, view, width))


@click.command()
@json_option("Print one JSON object: the rows, and the unanswered workers.")
@host_options
def connections(as_json: bool, **flags: Any) -> None:
    """List the client connections: worker, peer, age, traffic, state.

    A worker that does not answer in time is named on standard error, and the exit status is 1.
    """
    rows: list[dict[str, Any]] = []
    result = client.request(location_from(flags), "connections", lambda message: rows.extend(message["rows"]))
    rows.sort(key=lambda row: (row["slot"], row["pid"], row["id"]))
    unanswered = result["unanswered"]
    if as_json:
        print_document(connections=rows, unanswered=unanswered)
    else:
        from reactorhost.dashboard.output.connection_lines import connection_lines

        echo("\n".join(connection_lines(rows)))
    for worker in unanswered:
        echo(f"worker {worker['slot']} (pid {worker['pid']}) did not answer in time", err=True)
    if unanswered:
        raise click.exceptions.Exit(1)
