"""`reactorhost status`: print what a running host reports about itself."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from reactorhost.cli import client
from reactorhost.cli.documents.json_output import json_option
from reactorhost.cli.manual.help_pages import HostCommand
from reactorhost.cli.output import echo, is_verbose
from reactorhost.cli.parameters.options import host_options, location_from
from reactorhost.errors import BootError
from reactorhost.ipc.compact_status import readable
from reactorhost.ipc.status import StatusDocument


@click.command(cls=HostCommand)
@json_option("Print the status document (schema 2).")
@host_options
def status(as_json: bool, **flags: Any) -> None:
    """Show the master and the workers, and errors of the last hour.

    With -v plugins, listeners and the last events are shown too. The exit status is 3 if not every worker is ready.
    """
    document = client.request(location_from(flags), "status")["document"]
    if as_json:
        echo(json.dumps(document, indent=2))
    else:
        _print_page(readable(document))
    if document["workers_ready"] < document["workers_wanted"]:
        raise click.exceptions.Exit(BootError.exit_status)


def _print_page(document: StatusDocument) -> None:
    from reactorhost.dashboard.model.view import View
    from reactorhost.dashboard.output.status_page import brief, full
    from reactorhost.dashboard.terminal.capabilities import is_utf8_locale
    from reactorhost.dashboard.terminal.screen import print_lines

    view = View(ascii=not is_utf8_locale(os.environ))
    page = full if is_verbose() else brief
    print_lines(lambda width: page(document, view, width))
