"""`reactorhost plugins`."""

from __future__ import annotations

import json
from typing import Any

import click

from reactorhost import __version__
from reactorhost.cli import client
from reactorhost.cli.app import traceback_option
from reactorhost.cli.settings_options import host_options, location_from
from reactorhost.errors import ReactorhostError

_LOAD_SECONDS = 10.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one object with a row for each plugin.")
@host_options
@traceback_option
def plugins(as_json: bool, **flags: Any) -> None:
    """Show every installed plugin: what it is, whether it loads, and whether a running host uses it.

    Each is loaded in a process of its own, so that a broken one disturbs nothing.
    """
    from reactorhost.plugins.inspection import inspect_all

    active = _active(flags)
    rows = [
        {
            "name": report.identity.name,
            "distribution": report.identity.distribution,
            "version": report.identity.version,
            "file": report.file,
            "hooks": list(report.hooks),
            "active": report.identity.name in active,
            "error": None if report.error is None else "\n".join(report.error),
        }
        for report in inspect_all(_LOAD_SECONDS, __version__)
    ]
    if as_json:
        click.echo(json.dumps({"schema": 1, "plugins": rows}, indent=2))
    elif not rows:
        click.echo("no plugin is installed; try: pip install reactorhost-echo")
    else:
        from reactorhost.dashboard.screen import show
        from reactorhost.dashboard.tables import plugin_table

        show(plugin_table(rows))


def _active(flags: dict[str, Any]) -> set[str]:
    """Return the plugins that the running host uses; none when no host runs."""
    try:
        document = client.ask(location_from(flags), "status")["document"]
    except ReactorhostError:
        return set()
    return {plugin["name"] for service in document["services"] for plugin in service["plugins"]}
