"""`reactorhost plugins`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from reactorhost import __version__
from reactorhost.cli import client
from reactorhost.cli.command_table import COMMANDS
from reactorhost.cli.documents.json_output import json_option, print_document
from reactorhost.cli.failures import show_failure
from reactorhost.cli.manual.help_pages import HostCommand
from reactorhost.cli.output import echo
from reactorhost.cli.parameters.completers import complete_plugins
from reactorhost.cli.parameters.options import host_options, location_from
from reactorhost.errors import PluginError, ReactorhostError

if TYPE_CHECKING:
    from reactorhost.api.option import Option
    from reactorhost.plugins.identity import PluginReport

_LOAD_SECONDS = 10.0


@click.command(cls=HostCommand)
@click.argument("named", metavar="[NAME]", required=False, shell_complete=complete_plugins)
@json_option("Print one JSON object with a row for each plugin.")
@host_options
def plugins(named: str | None, as_json: bool, **flags: Any) -> None:
    """List the installed plugins: version, hooks, load errors, and whether a running host uses them; then the buses.

    With NAME (an installed plugin, module:object or ./file.py) describe that plugin: its options, its commands, and a
    sample of its table.

    Each plugin is loaded in a separate process, so a broken plugin affects no other.
    """
    active = _active(flags)
    if named is None:
        _show_all(active, as_json=as_json)
    else:
        _show_one(named, active, as_json=as_json)


def _show_all(active: set[str], *, as_json: bool) -> None:
    from reactorhost.plugins.inspection import inspect_all, inspect_backends

    rows = [_row(report, active) for report in inspect_all(_LOAD_SECONDS, __version__)]
    buses = [_bus_row(report) for report in inspect_backends(_LOAD_SECONDS, __version__)]
    if as_json:
        print_document(plugins=rows, buses=buses)
        return
    from reactorhost.dashboard.output.rich_tables import bus_table, plugin_table
    from reactorhost.dashboard.terminal.screen import print_renderable

    if rows:
        print_renderable(plugin_table(rows))
    else:
        echo("no plugins are installed; a file can be one: reactorhost start ./FILE.py")
    if buses:
        echo("")
        print_renderable(bus_table(buses))


def _show_one(named: str, active: set[str], *, as_json: bool) -> None:
    """Describe one plugin.

    Raises:
        PluginError: it does not exist or cannot be loaded. What its metadata says is printed before.
    """
    from reactorhost.dashboard.output.plugin_page import lines
    from reactorhost.plugins.inspection import describe
    from reactorhost.plugins.option_text import sample

    report = describe(named, _LOAD_SECONDS, __version__)
    table = tuple(sample(report.identity.name, report.options))
    row = _row(report, active) | {
        "named": named,
        "target": report.identity.target,
        "description": report.description,
        "options": [_option_row(option) for option in report.options],
        "commands": [{"name": name, "help": text} for name, text in report.commands],
        "shadowed": named in COMMANDS,
    }
    if as_json:
        print_document(plugin=row, sample="\n".join(table))
    else:
        echo("\n".join(lines(row, table)))
    if row["error"] is not None:
        error = PluginError(row["error"], details=report.details)
        if not as_json:
            raise error
        # The document that was printed has the error: a second one would be none of its own.
        show_failure(error, traceback=False)
        raise click.exceptions.Exit(error.exit_status)


def _row(report: PluginReport, active: set[str]) -> dict[str, Any]:
    return {
        "name": report.identity.name,
        "distribution": report.identity.distribution,
        "version": report.identity.version,
        "file": report.file,
        "hooks": list(report.hooks),
        "active": report.identity.name in active,
        "error": None if report.error is None else "\n".join(report.error),
    }


def _bus_row(report: PluginReport) -> dict[str, Any]:
    return {
        "scheme": report.identity.name,
        "distribution": report.identity.distribution,
        "version": report.identity.version,
        "error": None if report.error is None else "\n".join(report.error),
    }


def _option_row(option: Option) -> dict[str, Any]:
    return {
        "name": option.name,
        "type": option.type.__name__,
        "required": option.required,
        "default": _default(option),
        "help": option.help,
        "choices": list(option.choices),
        "secret": option.secret,
    }


def _default(option: Option) -> object:
    if option.required or option.secret:
        return None
    # JSON cannot express infinity.
    return str(option.default) if option.default in (math.inf, -math.inf) else option.default


def _active(flags: dict[str, Any]) -> set[str]:
    """Return the names of the plugins that the running host uses; none if no host runs."""
    # Also if the host belongs to another user or hangs: the list is about what is installed.
    try:
        document = client.request(location_from(flags), "status")["document"]
    except ReactorhostError:
        return set()
    return {plugin["name"] for service in document["services"] for plugin in service["plugins"]}
