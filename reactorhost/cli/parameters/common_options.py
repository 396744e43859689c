"""Options that every command has, and those that select a host before the command as well as behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import click

from reactorhost.cli.manual.help_pages import COMMON, section_option
from reactorhost.cli.output import QUIET, VERBOSE
from reactorhost.cli.parameters.completers import complete_directories, complete_hosts

SELECTING: Mapping[str, tuple[str, str]] = {
    "name": ("NAME", "Name of the host that the command is for."),
    "run_dir": ("PATH", "Run directory of the host that the command is for; it takes precedence over the name."),
}
"""The options that select a host: what stands for their value, and their help."""


def common_options(command: Any) -> Any:
    """Add `--quiet`, `--verbose` and `--traceback` to a command; they may stand before the command too."""
    # `main` looks for it among the arguments, because it has to know it even when parsing fails.
    traceback = section_option(
        COMMON, "--traceback", is_flag=True, expose_value=False, help="Show the traceback of a failure."
    )
    return _switch("quiet", QUIET, "Print only results, warnings and errors.")(
        _switch("verbose", VERBOSE, "Print more, where there is more.")(traceback(command))
    )


def selecting_options(command: Any) -> Any:
    """Add the options that select a host, as they may stand before the command."""
    # Not made from the table of settings: `--help` does not import it.
    for name, (metavar, text) in reversed(tuple(SELECTING.items())):
        completer = complete_hosts if name == "name" else complete_directories
        flag = f"--{name.replace('_', '-')}"
        command = click.option(flag, metavar=metavar, help=text, shell_complete=completer)(command)
    return command


def from_before(name: str) -> object:
    """Return the value of an option that stands before the command, or None."""
    return click.get_current_context().find_root().params.get(name)


def split(arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Split the arguments of the program before the command; the second part is empty if there is none."""
    context = context_before(arguments, resilient_parsing=True)
    command = len(arguments) - len(context.args)
    return arguments[:command], arguments[command:]


def context_before(arguments: Sequence[str], *, resilient_parsing: bool = False) -> click.Context:
    """Return the context of a program with these arguments before the command."""
    return _PROGRAM.make_context("reactorhost", list(arguments), resilient_parsing=resilient_parsing)


def _switch(name: str, key: str, help_text: str) -> Any:
    return section_option(
        COMMON,
        f"-{name[0]}",
        f"--{name}",
        is_flag=True,
        expose_value=False,
        callback=partial(_store, key),
        help=help_text,
    )


def _store(key: str, context: click.Context, parameter: click.Parameter, value: bool) -> None:
    # Given in either place: where it is missing it does not undo the other.
    if value:
        context.meta[key] = True


_PROGRAM: click.Command = selecting_options(
    common_options(
        click.Command("reactorhost", context_settings={"allow_interspersed_args": False, "allow_extra_args": True})
    )
)
"""Parses what stands before the command; it is not called."""
