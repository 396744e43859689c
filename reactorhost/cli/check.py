"""`reactorhost check` and `reactorhost config show`: examine the settings without starting a host."""

from __future__ import annotations

import os
from typing import Any

import click

from reactorhost import __version__
from reactorhost.cli.documents import json_option, print_document
from reactorhost.cli.options import examine_settings, start_options, working_directory
from reactorhost.cli.output import echo
from reactorhost.config.settings import Settings

_LOAD_SECONDS = 10.0


@click.command()
@json_option("Print one JSON object: the warnings.")
@start_options
def check(as_json: bool, **flags: Any) -> None:
    """Check settings, plugins, files and addresses as `start` does, without creating a file or binding an address.

    Exit status: 0 no error, 1 a setting is invalid, 2 usage error, 3 the limit of open files is too low, 4 a plugin
    cannot be loaded, 7 not permitted.
    """
    from reactorhost.cli.validation import validate
    from reactorhost.system.features import require_features

    require_features()
    settings, problems = examine_settings(flags)
    warnings = validate(settings, problems, starts=False)
    for warning in warnings:
        echo(f"reactorhost: warning: {warning}", err=True)
    if as_json:
        print_document(warnings=warnings)
    else:
        echo("ok")


@click.group()
def config() -> None:
    """Show every setting and where it comes from."""


@config.command()
@json_option("Print one JSON object with a row for each setting.")
@start_options
def show(as_json: bool, **flags: Any) -> None:
    """Show every setting, its value and where it comes from.

    Each plugin is loaded in a separate process to read its options. Secret values are hidden. Of a plugin that cannot
    be loaded only the keys of its table are shown.
    """
    from reactorhost.config import resolve
    from reactorhost.config.setting_rows import rows
    from reactorhost.plugins import option_text
    from reactorhost.plugins.inspection import inspect_named

    settings = resolve.resolve(flags, os.environ, working_directory(), needs_plugin=False)
    reports = inspect_named(_named(settings), _LOAD_SECONDS, __version__)
    options = {report.identity.name: report.options for report in reports}
    found = [*rows(settings), *option_text.rows(settings, options)]
    if as_json:
        print_document(settings=[row._asdict() for row in found])
        return
    from reactorhost.dashboard.output.rich_tables import setting_table
    from reactorhost.dashboard.terminal.screen import print_renderable

    print_renderable(setting_table(found))


def _named(settings: Settings) -> list[str]:
    return list(dict.fromkeys(named for service in settings.services for named in service.plugins))
