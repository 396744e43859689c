"""`reactorhost health`: a probe for supervisors that run a command.

It runs every few seconds, so it imports little: the ping that other commands begin with is its whole question whether
the master is alive.
"""

from __future__ import annotations

from typing import Any

import click

from reactorhost.cli import client
from reactorhost.cli.documents.json_output import json_option, print_document
from reactorhost.cli.manual.help_pages import HostCommand
from reactorhost.cli.output import confirm, fail, is_quiet
from reactorhost.cli.parameters.options import host_options, location_from
from reactorhost.errors import ReactorhostError, UsageError


@click.command(cls=HostCommand)
@click.option("--live", "only_live", is_flag=True, help="Check only whether the master answers.")
@click.option("--ready", is_flag=True, help="Check whether the host is ready for clients; this is the default.")
@json_option("Print one JSON object, whatever the state of the host.")
@host_options
def health(only_live: bool, ready: bool, as_json: bool, **flags: Any) -> None:
    """Check whether a host is alive and ready for clients, for probes that run a command.

    Exit status: 0 if it is; 1 if it is not, for whatever reason, also if no host runs. With -q nothing is printed.
    """
    if only_live and ready:
        raise UsageError("--live and --ready exclude each other", hint="--ready is the default")
    alive, reasons, failure = False, [], None
    try:
        result = client.request(location_from(flags), "health")
        alive, reasons = True, result["not_ready"]
    except ReactorhostError as error:
        reasons, failure = [error.what], error
    if as_json:
        print_document(live=alive, ready=alive and not reasons, not_ready=reasons)
    elif alive and (only_live or not reasons):
        confirm("alive" if only_live else "ready")
    elif not is_quiet():
        fail(failure.lines() if failure else reasons)
    if not alive or (reasons and not only_live):
        raise click.exceptions.Exit(1)
