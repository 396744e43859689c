"""`reactorhost connections`."""

from __future__ import annotations

import json
from typing import Any

import click

from reactorhost.cli import client
from reactorhost.cli.failures import traceback_option
from reactorhost.cli.options import host_options, location_from


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: the rows, and the unanswered workers.")
@host_options
@traceback_option
def connections(as_json: bool, **flags: Any) -> None:
    """List the client connections: worker, peer, age, traffic, state.

    A worker that does not answer in time is named on standard error, and the exit status is 1.
    """
    rows: list[dict[str, Any]] = []
    result = client.request(location_from(flags), "connections", lambda message: rows.extend(message["rows"]))
    rows.sort(key=lambda row: (row["slot"], row["pid"], row["id"]))
    unanswered = result["unanswered"]
    if as_json:
        click.echo(json.dumps({"schema": 1, "connections": rows, "unanswered": unanswered}, indent=2))
    else:
        from reactorhost.dashboard.output.connection_lines import connection_lines

        click.echo("\n".join(connection_lines(rows)))
    for worker in unanswered:
        click.echo(f"worker {worker['slot']} (pid {worker['pid']}) did not answer in time", err=True)
    if unanswered:
        raise click.exceptions.Exit(1)
