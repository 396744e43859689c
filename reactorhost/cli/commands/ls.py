"""`reactorhost ls`."""

from __future__ import annotations

import os

import click

from reactorhost.cli.documents.json_output import json_option, print_document
from reactorhost.cli.manual.help_pages import HostCommand
from reactorhost.cli.output import confirm, warn
from reactorhost.cli.parameters.common_options import common_options


@click.command(cls=HostCommand)
@json_option("Print one JSON object with a row for each host.")
@common_options
def ls(as_json: bool) -> None:
    """List the running hosts of this user, for root those of all users.

    A host that does not answer within 2 seconds is listed without its state.
    """
    from reactorhost.config.default_paths import SYSTEM_BASE
    from reactorhost.master import instances
    from reactorhost.master.host_survey import survey
    from reactorhost.system.ownership import user_name

    rows, failed = survey(os.environ)
    for user in failed:
        warn([f"cannot list the hosts of user {user}"])
    if as_json:
        print_document(hosts=rows)
        return
    # Those of root, for another user: root lists the hosts of all.
    hidden = {name: uid for name, uid in instances.of_others(SYSTEM_BASE).items() if os.geteuid() != 0}
    if not rows:
        confirm(f"no {'other ' if hidden else ''}host runs; start one with: reactorhost start PLUGIN")
    else:
        from reactorhost.dashboard.output.rich_tables import host_table
        from reactorhost.dashboard.terminal.screen import print_renderable

        print_renderable(host_table(rows))
    for name, uid in hidden.items():
        confirm(f"not listed: host {name!r} of user {user_name(uid)}", err=True)
