"""Command-line options generated from the table of settings, and settings read back from them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from reactorhost.cli.manual.help_pages import COMMON, OWN, HostCommand, section_option
from reactorhost.cli.output import confirm
from reactorhost.cli.parameters import completers
from reactorhost.cli.parameters.common_options import SELECTING, common_options, from_before
from reactorhost.cli.parameters.completers import Completer
from reactorhost.config.layers import Arguments
from reactorhost.config.problems import Problems
from reactorhost.config.resolve import Location, examine, locate
from reactorhost.config.setting_help import SECTIONS
from reactorhost.config.settings import BY_NAME, Setting, Settings
from reactorhost.config.values import LOG_PATH, PATH
from reactorhost.errors import ReactorhostError, UsageError

Decorated = Callable[..., Any]
_WORDS = "plugin_words"


class StartCommand(HostCommand):
    """A command with the arguments of `start`, which name plugins as `--plugin` does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, and store the plugins that they name in the setting.

        Raises:
            UsageError: an argument is an address, or there are plugins of both kinds.
        """
        if ctx.resilient_parsing and args and args[-1].startswith("-"):
            # Its value is to be completed; without it click would not parse the words before it.
            args = args[:-1]
        rest = super().parse_args(ctx, args)
        words: Sequence[str] = ctx.params.get(_WORDS) or ()
        if ctx.resilient_parsing:
            # For the completion of what follows.
            ctx.params["plugins"] = (*words, *(ctx.params.get("plugins") or ()))
            return rest
        del ctx.params[_WORDS]
        for word in words:
            if "://" in word:
                raise UsageError(f"{word} is an address and not a plugin", hint=f"--listen {word}")
        if words and ctx.params["plugins"]:
            what = "plugins are named by arguments and by --plugin, so their order is not known"
            raise UsageError(what, hint="name all of them in one way; the first is called first")
        if words:
            ctx.params["plugins"] = Arguments(words)
        return rest


def start_options(command: Decorated) -> Decorated:
    """Add an option for every setting, plugins as arguments, and the options of every command.

    The class of the command is `StartCommand`.
    """
    command = common_options(command)
    # Reversed: like decorators, the option that is added last stands first in `--help`.
    for section, names in reversed(tuple(SECTIONS.items())):
        command = _with(command, names, section)
    return click.argument(_WORDS, metavar="[PLUGIN]...", nargs=-1, shell_complete=completers.complete_plugins)(command)


def host_options(command: Decorated) -> Decorated:
    """Add the options that select a running host, and those of every command."""
    return _with(common_options(command), tuple(SELECTING), COMMON)


def plugin_options(command: Decorated) -> Decorated:
    """Add the options that set the options of plugins."""
    return _with(command, ("config", "set"), OWN)


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
    confirm(f"host {location.name!r} runs in {found}", err=True)
    return replace(location, run_dir=found)


def log_file_of(flags: dict[str, Any]) -> Path | None:
    """Return the log file that variables or the file of the host name; of a host that runs, it is known better."""
    selecting = {name: flags[name] for name in ("name", "run_dir")}
    try:
        settings, _ = examine(selecting, os.environ, working_directory(), needs_plugin=False)
    except ReactorhostError:
        return None
    return settings.log_file


def _with(command: Decorated, names: Sequence[str], section: str) -> Decorated:
    for name in reversed(names):
        command = _option(BY_NAME[name], section)(command)
    return command


def _option(setting: Setting, section: str) -> Callable[[Decorated], Decorated]:
    help_text = f"{setting.help}  [default: {setting.shown_default}]"
    if section == COMMON:
        _, help_text = SELECTING[setting.name]
    if setting.kind.switch:
        spelling = f"{setting.flag}/{setting.off_flag}" if setting.off_flag else setting.flag
        # None, not False, where no flag was passed: then the environment, the file or the default decides.
        spellings = (*setting.flags[1:], spelling, setting.name)
        return section_option(section, *spellings, default=None, is_flag=True, help=help_text)
    # Not click.Choice, which would end at once: `resolve` reports all invalid values together.
    return section_option(
        section,
        *setting.flags,
        setting.name,
        type=str,
        multiple=setting.many,
        default=partial(from_before, setting.name) if setting.name in SELECTING else None,
        metavar=f"[{setting.kind.metavar}]" if setting.kind.choices else setting.kind.metavar,
        help=help_text,
        shell_complete=_completer(setting),
    )


def _completer(setting: Setting) -> Completer | None:
    if setting.kind.choices:
        return completers.complete_words(setting.kind.choices)
    if setting.kind in (PATH, LOG_PATH) and setting.name != "run_dir":
        return completers.complete_files
    return _COMPLETERS.get(setting.name)


_COMPLETERS: Mapping[str, Completer] = {
    "plugins": completers.complete_plugins,
    "set": completers.complete_plugin_options,
    "name": completers.complete_hosts,
    "run_dir": completers.complete_directories,
}
