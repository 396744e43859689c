"""Command-line options generated from the table of settings, and settings read back from them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from reactorhost.cli.failures import traceback_option
from reactorhost.cli.output import echo
from reactorhost.config.problems import Problems
from reactorhost.config.resolve import Location, examine, locate
from reactorhost.config.settings import BY_NAME, Setting, Settings
from reactorhost.errors import ReactorhostError, UsageError

Decorated = Callable[..., Any]


def start_options(command: Decorated) -> Decorated:
    """Add an option for every setting, and `--traceback`."""
    return _with(traceback_option(command), BY_NAME)


def host_options(command: Decorated) -> Decorated:
    """Add the options that select a running host, and `--traceback`."""
    return _with(traceback_option(command), ("name", "run_dir"))


def plugin_options(command: Decorated) -> Decorated:
    """Add the options that set the options of plugins."""
    return _with(command, ("config", "set"))


def working_directory() -> Path:
    """Return the working directory by the name that the shell uses: `$PWD`, if it is this directory.

    The kernel knows a directory only without links. A deployment moves a link to its next release, and a reload then
    has to find the files of that release.

    Raises:
        ReactorhostError: it has been deleted.
    """
    named = os.environ.get("PWD", "")
    try:
        if os.path.isabs(named) and os.path.samefile(named, "."):
            return Path(named)
    except OSError:
        # The name leads nowhere now: the program that started this one has changed the directory, or removed a link.
        pass
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise ReactorhostError("the working directory was deleted", hint="change to another directory") from None


def settings_from(flags: dict[str, Any], directory: Path | None = None) -> Settings:
    """Return the settings from flags, environment and file.

    Raises:
        ReactorhostError: a setting is wrong, or no plugin is named; the error then lists the installed ones.
    """
    settings, problems = examine_settings(flags, directory)
    if problems.found:
        raise problems.error()
    return settings


def examine_settings(flags: dict[str, Any], directory: Path | None = None) -> tuple[Settings, Problems]:
    """Return the settings from flags, environment and file, and their problems.

    Raises:
        UsageError: no plugin is named; lists the installed ones.
    """
    where = directory or working_directory()
    try:
        return examine(flags, os.environ, where)
    except UsageError:
        # Listing the installed plugins takes 30 ms of metadata, so it is done only for the error that needs it.
        from reactorhost.plugins import discovery

        names = [identity.name for identity in discovery.installed()]
        return examine(flags, os.environ, where, installed=names)


def location_from(flags: dict[str, Any]) -> Location:
    """Return the location of the host that the flags select: if it runs, the place of this user where it runs.

    Raises:
        ReactorhostError: a flag is wrong.
    """
    location = locate(flags, os.environ, working_directory())
    if not location.by_name:
        return location
    from reactorhost.config.default_paths import base_dirs
    from reactorhost.master.instances import find

    # It may have been started with other variables than this command has.
    found = find(location.name, base_dirs(os.environ, os.geteuid()))
    if found in (None, location.run_dir):
        return location
    echo(f"host {location.name!r} runs in {found}", err=True)
    return replace(location, run_dir=found)


def log_file_of(flags: dict[str, Any]) -> Path | None:
    """Return the log file that variables or the file of the host name; of a host that runs, it is known better."""
    selecting = {name: flags[name] for name in ("name", "run_dir")}
    try:
        settings, _ = examine(selecting, os.environ, working_directory(), needs_plugin=False)
    except ReactorhostError:
        return None
    return settings.log_file


def _with(command: Decorated, names: Iterable[str]) -> Decorated:
    # Reversed: like decorators, the option that is added last stands first in `--help`.
    for name in reversed(list(names)):
        command = _option(BY_NAME[name])(command)
    return command


def _option(setting: Setting) -> Callable[[Decorated], Decorated]:
    help_text = f"{setting.help}  [default: {setting.shown_default}]"
    if setting.kind.switch:
        spelling = f"{setting.flag}/{setting.off_flag}" if setting.off_flag else setting.flag
        # None, not False, where no flag was passed: then the environment, the file or the default decides.
        return click.option(*setting.flags[1:], spelling, setting.name, default=None, is_flag=True, help=help_text)
    # Not click.Choice, which would end at once: `resolve` reports all invalid values together.
    choices = setting.kind.choices
    return click.option(
        *setting.flags,
        setting.name,
        type=str,
        multiple=setting.many,
        default=None,
        metavar=f"[{setting.kind.metavar}]" if choices else setting.kind.metavar,
        help=help_text,
        shell_complete=partial(_complete_words, choices) if choices else _COMPLETERS.get(setting.name),
    )


def complete_plugins(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of installed plugins without importing one."""
    from reactorhost.plugins import discovery

    names = {identity.name for identity in discovery.installed()}
    return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]


def complete_instances(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of running hosts."""
    from reactorhost.config.default_paths import base_dirs
    from reactorhost.master.instances import running

    names = running(base_dirs(os.environ, os.geteuid()))
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _complete_words(
    words: Iterable[str], ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


def _complete_paths(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    kind = "dir" if param.name == "run_dir" else "file"
    return [CompletionItem(incomplete, type=kind)]


_COMPLETERS: dict[str, Callable[..., list[CompletionItem]]] = {
    "plugins": complete_plugins,
    "name": complete_instances,
    "config": _complete_paths,
    "run_dir": _complete_paths,
    "pid_file": _complete_paths,
    "log_file": _complete_paths,
}
