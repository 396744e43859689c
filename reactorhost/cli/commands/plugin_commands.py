"""`reactorhost NAME COMMAND`: commands that a plugin adds. Only the named plugin is imported."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from typing import Any

import click

from reactorhost import __version__
from reactorhost.cli.manual.help_pages import GroupWithHelp
from reactorhost.cli.output import echo
from reactorhost.cli.parameters.common_options import common_options
from reactorhost.cli.parameters.options import plugin_options, working_directory
from reactorhost.config.resolve import resolve
from reactorhost.errors import ReactorhostError, UsageError
from reactorhost.plugins import commands, discovery, options, tracebacks
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.plugins.loading import load

# Exceptions that `reactorhost.cli.app.main` turns into an exit status itself.
_HANDLED_BY_MAIN = (click.ClickException, click.Abort, click.exceptions.Exit, ReactorhostError, BrokenPipeError)


class CommandOptions(Mapping[str, object]):
    """The values of a plugin's options, read on first access: `--help` must work without a configuration."""

    def __init__(self, read: Callable[[], Mapping[str, object]]) -> None:
        self._read = read

    @cached_property
    def _values(self) -> Mapping[str, object]:
        return self._read()

    def __getitem__(self, name: str) -> object:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class PluginGroup(GroupWithHelp):
    """The commands of one plugin. An exception in a command is reported in one sentence."""

    def __init__(self, plugin: LoadedPlugin, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.plugin = plugin

    def invoke(self, ctx: click.Context) -> None:
        """Run a command and ignore what it returns: the value is not an exit status.

        Raises:
            ReactorhostError: the command failed with an exception, or is a coroutine function.
        """
        try:
            returned = super().invoke(ctx)
        except _HANDLED_BY_MAIN:
            raise
        # The code of the plugin: whatever it raises is reported as the failure of the plugin, not of the host.
        except Exception as error:
            raise ReactorhostError(
                f"a command of plugin {self.plugin.identity} failed: {tracebacks.headline(error)}",
                where=tracebacks.place(error, self.plugin.home),
                details=tracebacks.text(error),
            ) from error
        if inspect.iscoroutine(returned):
            returned.close()
            what = f"a command of plugin {self.plugin.identity} is async, which is not supported"
            raise ReactorhostError(what, where=self.plugin.file, hint="call asyncio.run() in it")


def may_name_plugin(named: str) -> bool:
    """Return whether a word can name a plugin: an installed one, a file or an object."""
    return discovery.names_a_file(named) or (":" in named and "/" not in named) or named in plugin_names()


def plugin_names() -> set[str]:
    """Return the names of the installed plugins, read from metadata."""
    return {identity.name for identity in discovery.installed()}


def plugin_group(named: str) -> click.Group:
    """Import a plugin and return its commands.

    Raises:
        PluginError: the plugin cannot be loaded.
        UsageError: the plugin has no commands.
    """
    plugin = load(named, __version__)
    text = f"Commands of plugin {plugin.identity}."
    callback = _store_options(plugin)
    group = PluginGroup(plugin, name=named, callback=callback, help=text, invoke_without_command=True)
    common_options(plugin_options(group))
    commands.add_to(group, plugin)
    if not group.commands:
        raise UsageError(f"plugin {plugin.identity} has no commands", hint=f"see `reactorhost plugins {named}`")
    return group


def _store_options(plugin: LoadedPlugin) -> Callable[..., None]:
    def read(flags: dict[str, Any]) -> Mapping[str, object]:
        settings = resolve(flags, os.environ, working_directory(), needs_plugin=False, also_named=(plugin.name,))
        table = settings.plugin_tables.get(plugin.name, {})
        return options.fill(plugin.name, plugin.options, table, partial(settings.where_option, plugin.name))

    @click.pass_context
    def store(context: click.Context, /, **flags: Any) -> None:
        context.obj = CommandOptions(lambda: read(flags))
        if context.invoked_subcommand is None:
            echo(context.get_help())

    return store
