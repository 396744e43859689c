"""`reactorhost check` and `reactorhost config show`: examine the settings without starting a host."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import click

from reactorhost import __version__
from reactorhost.cli.options import settings_from, start_options
from reactorhost.cli.output import echo
from reactorhost.config.problems import FlagError
from reactorhost.config.settings import Settings
from reactorhost.errors import ConfigError, PluginError, Problem

_LOAD_SECONDS = 10.0


@click.command()
@start_options
def check(**flags: Any) -> None:
    """Check settings and plugins as `start` does, without binding an address.

    Exit status: 0 no error, 1 a setting is invalid, 2 usage error, 4 a plugin cannot be loaded.
    """
    from reactorhost.master.checks import check_services
    from reactorhost.master.listen.unix_socket_files import check_owners
    from reactorhost.system.account import resolve_account
    from reactorhost.system.features import require_features

    require_features()
    settings = settings_from(flags)
    resolve_account(settings.user, settings.group)
    check_owners(settings)
    _check_plugins(settings)
    for warning in check_services(settings):
        echo(f"reactorhost: warning: {warning}", err=True)
    echo("ok")


@click.group()
def config() -> None:
    """Show every setting and where it comes from."""


@config.command()
@start_options
def show(**flags: Any) -> None:
    """Show every setting, its value and where it comes from: flag, environment, file or default.

    Each plugin is loaded in a separate process to read its options. Secret values are hidden. Of a plugin that cannot
    be loaded only the keys of its table are shown.
    """
    from reactorhost.config import resolve
    from reactorhost.config.setting_rows import rows
    from reactorhost.dashboard.output.rich_tables import setting_table
    from reactorhost.dashboard.terminal.screen import print_renderable
    from reactorhost.plugins import option_text
    from reactorhost.plugins.inspection import inspect_named

    settings = resolve.resolve(flags, os.environ, Path.cwd(), needs_plugin=False)
    reports = inspect_named(_named(settings), _LOAD_SECONDS, __version__)
    options = {report.identity.name: report.options for report in reports}
    print_renderable(setting_table([*rows(settings), *option_text.rows(settings, options)]))


def _named(settings: Settings) -> list[str]:
    return list(dict.fromkeys(named for service in settings.services for named in service.plugins))


def _check_plugins(settings: Settings) -> None:
    """Load every named plugin in a separate process, and check its table.

    Raises:
        PluginError: a plugin cannot be loaded.
        ConfigError: a plugin's table is wrong.
    """
    from reactorhost.plugins import discovery
    from reactorhost.plugins.inspection import inspect

    problems: list[Problem] = []
    is_flag_wrong = False
    for named in _named(settings):
        # Found without importing it: a name that does not exist is an error of its own, and needs no child process.
        discovery.find(named)
        name = discovery.name_of(named)
        table = settings.plugin_tables.get(name, {})
        report = inspect(named, settings.boot_timeout, __version__, table, partial(settings.where_option, name))
        if report.status == PluginError.exit_status:
            raise PluginError("\n".join(report.error or ()), details=report.details)
        if report.error is not None:
            problems.append(Problem("\n".join(report.error)))
            is_flag_wrong = is_flag_wrong or report.status == FlagError.exit_status
    if problems:
        raise (FlagError if is_flag_wrong else ConfigError)(problems)
