"""A plugin adds commands to a group, and nothing but commands; its docstring describes it."""

from __future__ import annotations

import types
from collections.abc import Callable

import click
import pytest

from reactorhost.api.hookspecs import hookimpl
from reactorhost.errors import PluginError
from reactorhost.plugins.commands import add_to, visible_commands
from reactorhost.plugins.identity import LoadedPlugin, description

Loaded = Callable[..., LoadedPlugin]


def test_commands_are_listed_by_name_with_their_help(loaded: Loaded) -> None:
    @hookimpl
    def commands(cli: click.Group) -> None:
        cli.add_command(click.Command("zoo", help="See the animals.\n\nAll of them."))
        cli.add_command(click.Group("bar", help="Drink."))
        cli.add_command(click.Command("secret", hidden=True))

    group = click.Group("made")
    add_to(group, loaded("made", commands=commands))
    assert visible_commands(group) == (("bar", "Drink."), ("zoo", "See the animals."))


def test_a_plugin_without_the_hook_adds_nothing(loaded: Loaded) -> None:
    group = click.Group("made")
    add_to(group, loaded("made", receive=hookimpl(lambda data: None)))
    assert visible_commands(group) == ()


def test_an_object_that_is_not_a_command_is_refused(loaded: Loaded) -> None:
    def named(cli: click.Group) -> None:
        cli.add_command(print, "x")  # type: ignore[arg-type]  # a plugin's mistake

    def nameless(cli: click.Group) -> None:
        cli.add_command(print)  # type: ignore[arg-type]  # another

    with pytest.raises(PluginError, match="plugin made: commands added <built-in function print>"):
        add_to(click.Group("made"), loaded("made", commands=hookimpl(named, specname="commands")))
    with pytest.raises(PluginError, match="plugin made failed in commands: "):
        add_to(click.Group("made"), loaded("made", commands=hookimpl(nameless, specname="commands")))


def test_sys_exit_in_the_hook_is_a_plugin_error(loaded: Loaded) -> None:
    def leave(cli: click.Group) -> None:
        raise SystemExit(3)

    with pytest.raises(PluginError, match=r"failed in commands: the plugin called sys\.exit\(3\)"):
        add_to(click.Group("made"), loaded("made", commands=hookimpl(leave, specname="commands")))


def test_a_description_is_the_first_paragraph_in_one_line(loaded: Loaded) -> None:
    class Greeter:
        """Greet
        everybody.

        Twice.
        """

    class Silent(Greeter):
        pass

    module = types.ModuleType("made", "  Say\n  hello.\n\n  More.")
    assert description(loaded("made", module)) == "Say hello."
    assert description(loaded("made", Greeter())) == "Greet everybody."
    # Not an inherited docstring, but that of the module that defines the class.
    assert description(loaded("made", Silent())) == __doc__
    assert description(loaded("made", types.SimpleNamespace())) is None
    assert description(loaded("made", types.ModuleType("made"))) is None
