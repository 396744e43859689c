"""`reactorhost ls`."""

from __future__ import annotations

import os

import click

from reactorhost.cli.documents import json_option, print_document
from reactorhost.cli.failures import traceback_option
from reactorhost.cli.output import echo


@click.command()
@json_option("Print one JSON object with a row for each host.")
@traceback_option
def ls(as_json: bool) -> None:
    """List the running hosts of this user, for root those of all users.

    A host that does not answer within 2 seconds is listed without its state.
    """
    from reactorhost.master.host_survey import survey

    rows, failed = survey(os.environ)
    for user in failed:
        echo(f"reactorhost: warning: cannot list the hosts of user {user}", err=True)
    if as_json:
        print_document(hosts=rows)
    elif not rows:
        echo("no host runs; start one with: reactorhost start --plugin NAME")
    else:
        from reactorhost.dashboard.output.rich_tables import host_table
        from reactorhost.dashboard.terminal.screen import print_renderable

        print_renderable(host_table(rows))
