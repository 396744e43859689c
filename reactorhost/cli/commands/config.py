"""`reactorhost config show`: the settings of a start, or those of a running host and what has changed since."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, NamedTuple

import click

from reactorhost import __version__
from reactorhost.api.option import Option
from reactorhost.cli import client
from reactorhost.cli.commands.launch import Launch, resolved
from reactorhost.cli.documents.json_output import json_option, print_document
from reactorhost.cli.manual.help_pages import GroupWithHelp
from reactorhost.cli.output import echo, warn
from reactorhost.cli.parameters.options import StartCommand, location_from, start_options, working_directory
from reactorhost.config.setting_changes import UNSET, changes
from reactorhost.config.setting_rows import SettingRow, rows
from reactorhost.config.settings import BY_NAME, Settings
from reactorhost.errors import Problem, ReactorhostError, UsageError
from reactorhost.ipc.messages import Message
from reactorhost.plugins import option_text
from reactorhost.plugins.option_text import OptionValue

_LOAD_SECONDS = 10.0
_SELECTING = ("name", "run_dir", "config")


@click.group(cls=GroupWithHelp, invoke_without_command=True)
@click.pass_context
def config(context: click.Context) -> None:
    """Show every setting and where it comes from."""
    if context.invoked_subcommand is None:
        echo(context.get_help())


@config.command(cls=StartCommand)
@click.option(
    "--running",
    is_flag=True,
    help="Show the settings of the running host that --name or --run-dir selects, and what has changed since.",
)
@json_option("Print one JSON object with a row for each setting.")
@start_options
def show(running: bool, as_json: bool, **flags: Any) -> None:
    """Show every setting, its value and where it comes from.

    Each plugin is loaded in a separate process to read its options. Secret values are hidden. Of a plugin that cannot
    be loaded only the keys of its table are shown.

    With --running the values are those that a running host uses. A setting that its file or its environment has changed
    since is shown with the new value, and with what applies it: HUP, or a restart.
    """
    if running:
        _show_running(flags, as_json=as_json)
        return
    from reactorhost.config import resolve

    settings = resolve.resolve(flags, os.environ, working_directory(), needs_plugin=False)
    found = _found(settings).shown(_options(_named(settings)))
    if as_json:
        print_document(settings=[row._asdict() for row in found])
        return
    from reactorhost.dashboard.output.rich_tables import setting_table
    from reactorhost.dashboard.terminal.screen import print_renderable

    print_renderable(setting_table(found))


def _show_running(flags: dict[str, Any], *, as_json: bool) -> None:
    _refuse_settings(flags)
    location = location_from(flags)
    reply = client.request(location, "settings")
    started = client.request(location, "launch")
    with client.hints_for(client.selected(location, started.get("name"))):
        launch = Launch.from_reply(started)
    # Plugins named `module:object` are found from there.
    with suppress(OSError):
        os.chdir(launch.directory)
    running = _Found.from_reply(reply)
    declared = _options(reply["plugins"])
    fresh, problems = _read_again(launch)
    changed = [] if fresh is None else list(changes(running.compared(), fresh.compared(), reply["fixed"]))
    # In place of what was compared: a value may be a secret.
    values = {} if fresh is None else {row.setting: row.value for row in fresh.shown(declared)}
    shown = [row._replace(value=values.get(row.setting, UNSET)) for row in changed]
    rows_shown = [_scaled(row, reply["workers"]) for row in running.shown(declared)]
    if as_json:
        print_document(
            settings=[row._asdict() for row in rows_shown],
            changes=[row._asdict() for row in shown],
            problems=[asdict(each) for each in problems],
        )
        return
    from reactorhost.dashboard.output.rich_tables import change_table, setting_table
    from reactorhost.dashboard.terminal.screen import print_renderable

    print_renderable(setting_table(rows_shown))
    if shown:
        echo("\nchanged since, and not in use:")
        print_renderable(change_table(shown))
    for problem in problems:
        warn(["the configuration is invalid now", *problem.lines()])


def _refuse_settings(flags: dict[str, Any]) -> None:
    given = [name for name, value in flags.items() if value not in (None, ()) and name not in _SELECTING]
    if given:
        what = f"--running shows the settings of a running host, so {BY_NAME[given[0]].flag} has no meaning"
        raise UsageError(what, hint="without --running it shows those of a start with these options")


class _Found(NamedTuple):
    """The settings of a host, and the options of its plugins."""

    settings: list[SettingRow]
    options: list[OptionValue]

    @classmethod
    def from_reply(cls, reply: Message) -> _Found:
        """Return what a host has reported."""
        settings = [SettingRow(**row) for row in reply["settings"]]
        return cls(settings, [OptionValue(**row) for row in reply["options"]])

    def compared(self) -> list[SettingRow]:
        """Return a row for everything that is set, with secrets."""
        return [*self.settings, *(SettingRow(each.setting, each.value, each.origin) for each in self.options)]

    def shown(self, declared: Mapping[str, Sequence[Option]]) -> list[SettingRow]:
        """Return the rows without secrets, and those of options that have their default."""
        return [*self.settings, *option_text.rows(self.options, declared)]


def _found(settings: Settings) -> _Found:
    return _Found(list(rows(settings)), list(option_text.values(settings)))


def _read_again(launch: Launch) -> tuple[_Found | None, tuple[Problem, ...]]:
    try:
        return _found(resolved(launch)[1]), ()
    except ReactorhostError as error:
        return None, error.problems


def _scaled(row: SettingRow, workers: object) -> SettingRow:
    """Return the row of the workers with the number or range that a scaling has requested."""
    is_other = row.setting == "workers" and row.value != str(workers)
    return row._replace(value=str(workers), origin=f"scaled, {row.value} of {row.origin}") if is_other else row


def _named(settings: Settings) -> list[str]:
    return list(dict.fromkeys(named for service in settings.services for named in service.plugins))


def _options(named: Iterable[str]) -> dict[str, Sequence[Option]]:
    """Return the options that plugins declare, by name of the plugin."""
    from reactorhost.plugins.inspection import inspect_named

    reports = inspect_named(named, _LOAD_SECONDS, __version__)
    return {report.identity.name: report.options for report in reports}
