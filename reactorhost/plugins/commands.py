"""Add a plugin's commands to the command line."""

from __future__ import annotations

from collections.abc import Iterable

import click

from reactorhost.errors import PluginError
from reactorhost.plugins.guard import loading
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.plugins.registry import Registry

_MAX_CHARACTERS = 200


def add_to(group: click.Group, plugin: LoadedPlugin) -> None:
    """Call a plugin's `commands` hook, which adds its commands to a group.

    Raises:
        PluginError: the hook raised an exception, or added an object that is not a command.
    """
    registry = Registry([plugin])
    with loading(plugin.identity, "failed in commands", plugin.home):
        registry.call("commands", cli=group)
    added: Iterable[object] = group.commands.values()
    for command in added:
        if not isinstance(command, click.Command):
            what = f"plugin {plugin.identity}: commands added {command!r}, which is not a command"
            raise PluginError(what, where=plugin.file, hint="add functions decorated with @click.command()")


def visible_commands(group: click.Group) -> tuple[tuple[str, str], ...]:
    """Return name and help of each command that is not hidden, sorted by name."""
    return tuple(
        (name, command.get_short_help_str(_MAX_CHARACTERS))
        for name, command in sorted(group.commands.items())
        if not command.hidden
    )
