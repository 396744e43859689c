"""`reactorhost systemd-unit`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reactorhost.cli.output import echo, warn
from reactorhost.cli.parameters.options import StartCommand, settings_from, start_options, working_directory
from reactorhost.config import values
from reactorhost.config.plugin_names import names_a_file
from reactorhost.config.settings import TABLE, Setting

if TYPE_CHECKING:
    from reactorhost.master.systemd.unit import UnitPlan

# What is printed for a machine without systemd, such as the one where an image is built.
_NEW_VERSION = 257
_VERSION = re.compile(r"systemd (\d+)")


@click.command("systemd-unit", cls=StartCommand)
@click.option("--socket", is_flag=True, help="Print the .socket unit, for systemd to bind the addresses.")
@click.option(
    "--systemd-version",
    type=click.IntRange(min=235),
    help="Version of systemd that will read the unit.  [default: the installed one]",
)
@start_options
def systemd_unit(socket: bool, systemd_version: int | None, **flags: Any) -> None:
    """Print a unit with which systemd starts a host with these arguments, restricted to what it needs.

    For root it is a unit of the system, else one of the user.
    """
    from reactorhost.master.systemd.unit import UnitPlan

    directory = working_directory()
    settings = settings_from(flags, directory)
    is_root = os.geteuid() == 0
    command = [*_program(), "start", "--foreground", *_arguments(flags, directory)]
    plan = UnitPlan(settings, command, directory, systemd_version or _installed_version(), is_root)
    text = plan.socket() if socket else plan.service()
    for variable, setting in ((each.variable, each) for each in TABLE if each.variable in os.environ):
        warn([f"{variable} is set here and not in the unit: use {setting.flag}"])
    if is_root and settings.user is None and not socket:
        warn(["the workers run as root: name a user with --user"])
    for folder in () if socket else plan.missing_folders():
        warn([f"{folder} does not exist: make it before the service starts"])
    for lines in () if socket else _warnings_about_plugins(plan):
        warn(lines)
    echo(text)


def _warnings_about_plugins(plan: UnitPlan) -> Iterator[list[str]]:
    missing = plan.missing_variables()
    if missing is not None:
        path, names = missing
        yield [
            f"{path} does not exist: make it before the service starts, with the variables {', '.join(names)}",
            "  hint: one NAME=value a line; with mode 0600 only its owner reads it",
        ]
    options = plan.unwritable_options()
    if options:
        yield [
            f"the unit does not let plugins write to the paths of {', '.join(options)}",
            "  hint: add the folders that they write to by `systemctl edit`: [Service], ReadWritePaths=FOLDER",
        ]


def _program() -> list[str]:
    script = Path(sys.prefix, "bin", "reactorhost")
    return [str(script)] if os.access(script, os.X_OK) else [sys.executable, "-P", "-m", "reactorhost"]


def _arguments(flags: dict[str, Any], directory: Path) -> Iterator[str]:
    """Yield the flags that were passed, with absolute paths, but for those that choose foreground and background."""
    for setting in TABLE:
        value = flags[setting.name]
        if value in (None, ()) or setting.name == "daemon":
            continue
        if setting.kind.switch:
            yield setting.flag if value else str(setting.off_flag)
            continue
        for each in value if setting.many else (value,):
            yield from (setting.flag, _absolute(setting, each, directory))


def _absolute(setting: Setting, text: str, directory: Path) -> str:
    is_path = setting.kind in (values.PATH, values.LOG_PATH) and text != "-"
    if is_path or (setting.kind is values.PLUGIN and names_a_file(text)):
        return str(directory / Path(text).expanduser())
    return text


def _installed_version() -> int:
    try:
        printed = subprocess.run(
            ["systemctl", "--version"],  # noqa: S607  found as the operator finds it
            capture_output=True,
            text=True,
            check=False,
        ).stdout
    except OSError:
        return _NEW_VERSION
    found = _VERSION.match(printed)
    return int(found[1]) if found else _NEW_VERSION
