"""What a shell offers for the values of options and arguments.

It is called at every press of a key, so everything that it needs is imported when it is needed. A plugin is loaded only
to complete its options, and in a process of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Completer = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]

_LOAD_SECONDS = 2.0


def complete_plugins(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of installed plugins without importing one, or the path of a file."""
    if incomplete.startswith((".", "/", "~")):
        return complete_files(ctx, param, incomplete)
    return _matching(_installed(), incomplete)


def complete_plugin_options(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the options of the plugins that the command line names, or of the one that the word begins with."""
    from reactorhost.config.plugin_names import name_of

    named = {name_of(each): each for each in ctx.params.get("plugins") or ()}
    name, dot, _ = incomplete.partition(".")
    if not named and not dot:
        return _matching((f"{each}." for each in _installed()), incomplete)
    if dot:
        named = {name: named.get(name, name)}

    from reactorhost import __version__
    from reactorhost.plugins.inspection import inspect_named

    return [
        _item(f"{report.identity.name}.{option.name}=", text=option.help)
        for report in inspect_named(named.values(), _LOAD_SECONDS, __version__)
        for option in report.options
        if f"{report.identity.name}.{option.name}=".startswith(incomplete)
    ]


def complete_hosts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of running hosts."""
    from reactorhost.config.default_paths import base_dirs
    from reactorhost.master.instances import running

    return _matching(running(base_dirs(os.environ, os.geteuid())), incomplete)


def complete_slots(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the slots of the host that the command line selects."""
    from pathlib import Path

    from reactorhost.config.default_paths import base_dirs
    from reactorhost.config.resolve import locate
    from reactorhost.errors import ReactorhostError
    from reactorhost.master.instances import find

    root = ctx.find_root()
    flags = {name: ctx.params.get(name) or root.params.get(name) for name in ("name", "run_dir")}
    try:
        location = locate(flags, os.environ, Path.cwd())
        bases = base_dirs(os.environ, os.geteuid())
        run_dir = (find(location.name, bases) if location.by_name else None) or location.run_dir
        lines = (run_dir / "workers.pid").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError, ReactorhostError):
        return []
    return _matching(dict.fromkeys(line.partition(" ")[0] for line in lines), incomplete)


def complete_columns(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a column, the last one of a list."""
    from reactorhost.dashboard.tables.columns import ALL

    before, comma, last = incomplete.rpartition(",")
    return [
        _item(f"{before}{comma}{column.name}", text=column.heading) for column in ALL if column.name.startswith(last)
    ]


def complete_commands(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the words of a command behind those that stand there already."""
    group = ctx.find_root()
    for word in ctx.params.get("words") or ():
        if not isinstance(group.command, click.Group):
            return []
        command = group.command.get_command(group, word)
        group = click.Context(command, info_name=word, parent=group) if command else ctx
    names = group.command.list_commands(group) if isinstance(group.command, click.Group) else ()
    return _matching(names, incomplete)


def complete_files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete the path of a file."""
    return [_item(incomplete, "file")]


def complete_directories(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete the path of a directory."""
    return [_item(incomplete, "dir")]


def complete_words(words: Sequence[str]) -> Completer:
    """Return the completer for a choice of words."""
    return partial(_complete_words, words)


def _complete_words(
    words: Sequence[str], ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return _matching(words, incomplete)


def _matching(words: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [_item(word) for word in words if word.startswith(incomplete)]


def _installed() -> list[str]:
    from reactorhost.plugins import discovery

    return sorted({identity.name for identity in discovery.installed()})


def _item(value: str, kind: str = "plain", text: str | None = None) -> CompletionItem:
    from click.shell_completion import CompletionItem

    return CompletionItem(value, kind, text)
