"""`reactorhost status`."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from reactorhost.cli import client
from reactorhost.cli.app import traceback_option
from reactorhost.cli.options import host_options, location_from


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the status document (schema 1).")
@host_options
@traceback_option
def status(as_json: bool, **flags: Any) -> None:
    """Show master and workers."""
    document = client.ask(location_from(flags), "status")["document"]
    if as_json:
        click.echo(json.dumps(document, indent=2))
        return

    from reactorhost.dashboard.model.view import View
    from reactorhost.dashboard.terminal.screen import print_lines, speaks_utf8
    from reactorhost.dashboard.output.status_page import brief

    view = View(ascii=not speaks_utf8(os.environ))
    print_lines(lambda width: brief(document, view, width))
