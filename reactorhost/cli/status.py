"""`reactorhost status`."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from reactorhost.cli import client
from reactorhost.cli.failures import traceback_option
from reactorhost.cli.options import host_options, location_from


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the status document (schema 1).")
@host_options
@traceback_option
def status(as_json: bool, **flags: Any) -> None:
    """Show the master and the workers, and errors of the last hour."""
    document = client.request(location_from(flags), "status")["document"]
    if as_json:
        click.echo(json.dumps(document, indent=2))
        return

    from reactorhost.dashboard.model.view import View
    from reactorhost.dashboard.output.status_page import brief
    from reactorhost.dashboard.terminal.capabilities import is_utf8_locale
    from reactorhost.dashboard.terminal.screen import print_lines

    view = View(ascii=not is_utf8_locale(os.environ))
    print_lines(lambda width: brief(document, view, width))
