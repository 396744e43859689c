"""`reactorhost connections` and `reactorhost disconnect`: the clients of a running host."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

import click

from reactorhost.cli import client
from reactorhost.cli.documents.json_output import json_option, print_document
from reactorhost.cli.manual.help_pages import HostCommand
from reactorhost.cli.output import confirm, echo, warn
from reactorhost.cli.parameters.completers import complete_slots
from reactorhost.cli.parameters.options import host_options, location_from
from reactorhost.config.resolve import Location
from reactorhost.ipc.connection_query import MOST_ROWS, ConnectionQuery, Grouping, Row, Sort
from reactorhost.ipc.messages import Message

_RATE_SECONDS = 1.0


def _query_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(
        (
            click.option("--service", metavar="NAME", help="Only clients of this service."),
            click.option("--peer", metavar="TEXT", help="Only this address or network, or peers with this text."),
            click.option(
                "--slot",
                type=click.IntRange(min=0),
                metavar="N",
                help="Only clients of this slot's workers.",
                shell_complete=complete_slots,
            ),
            click.option(
                "--sort",
                type=click.Choice([each.value for each in Sort]),
                help="Sort by this; numbers from the largest.",
            ),
            click.option("--reverse", is_flag=True, help="Sort in the opposite order."),
            click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Only the first N."),
            click.option(
                "--group",
                type=click.Choice([each.value for each in Grouping]),
                help="A row for each of these, with sums.",
            ),
        )
    ):
        command = option(command)
    return command


@click.command(cls=HostCommand)
@_query_options
@json_option("Print one JSON object: the rows, and the unanswered workers.")
@host_options
def connections(
    service: str | None,
    peer: str | None,
    slot: int | None,
    sort: str | None,
    reverse: bool,
    limit: int | None,
    group: str | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """List the client connections: worker, peer, age, traffic, state.

    A worker that does not answer in time is named on standard error, and the exit status is 1.
    """
    wanted = {"service": service, "peer": peer, "slot": slot, "sort": sort, "reverse": reverse, "group": group}
    # Beyond that many, all rows come and are sorted here.
    cut = {"limit": limit} if limit is not None and limit <= MOST_ROWS else {}
    query = ConnectionQuery.of(wanted | cut)
    rows, result = _list(location_from(flags), query)
    # Also rows without a limit, which come as the workers send them.
    rows = query.ordered(rows)[:limit]
    unanswered = result["unanswered"]
    if as_json:
        name = "connections" if query.group is None else "groups"
        counts = {"matched": result["matched"], "total": result["total"]}
        print_document(**{name: rows}, unanswered=unanswered, **counts)
    else:
        _print(rows, query, result)
    for worker in unanswered:
        warn([f"worker {worker['slot']} (pid {worker['pid']}) did not answer in time"])
    if unanswered:
        raise click.exceptions.Exit(1)


def _list(location: Location, query: ConnectionQuery) -> tuple[list[Row], Message]:
    """Return the rows of the reply, and its end."""
    rows: list[Row] = []
    if query.has_rates:
        client.request(location, "connections", **(query.as_fields() | {"limit": 0}))
        time.sleep(_RATE_SECONDS)
    result = client.request(location, "connections", lambda part: rows.extend(part["rows"]), **query.as_fields())
    return rows, result


def _print(rows: list[Row], query: ConnectionQuery, result: Message) -> None:
    from reactorhost.dashboard.output.connection_lines import connection_lines, group_lines

    # Uncut in a file or pipe, as the pages of `status` are.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else math.inf
    lines = connection_lines(rows, width) if query.group is None else group_lines(rows, query.group, width)
    echo("\n".join(lines))
    listed, count = ("connection", result["matched"]) if query.group is None else ("group", result["groups"])
    if len(rows) < count:
        echo(f"{len(rows):,} of {count:,} {listed}s", err=True)


@click.command(cls=HostCommand)
@click.argument("pid", type=int)
@click.argument("number", metavar="ID", type=int)
@json_option("Print the service and the peer of the client as JSON.")
@host_options
def disconnect(pid: int, number: int, as_json: bool, **flags: Any) -> None:
    """Close the connection of one client.

    PID is the process id of its worker, and ID its number there: both are columns of `reactorhost connections`. What
    is queued for the client is still sent; a second `disconnect` closes the connection at once.
    """
    result = client.request(location_from(flags), "disconnect", pid=pid, id=number)
    service, peer = result["service"], result["peer"]
    if as_json:
        print_document(service=service, peer=peer)
    else:
        confirm(f"disconnected {peer} of service {service}")
