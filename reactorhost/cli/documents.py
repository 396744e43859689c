"""Results of commands as JSON: with `--json` a command prints one document, or one line for each row of a stream.

A command that fails prints a document with `error` instead. The sentence for people stays on standard error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from reactorhost.cli.command_table import COMMANDS
from reactorhost.cli.output import echo
from reactorhost.errors import Problem, ReactorhostError

SCHEMA = 1


def json_option(help_text: str) -> Callable[[Any], Any]:
    """Return the decorator that adds `--json` to a command, as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help=help_text)


def wants_json(arguments: Sequence[str]) -> bool:
    """Return whether a command of the host was called with `--json`; known even when parsing fails."""
    command = next((word for word in arguments if not word.startswith("-")), None)
    # A command of a plugin may have an option of this name, with another meaning.
    return command in COMMANDS and "--json" in arguments


def print_document(**fields: object) -> None:
    """Print the result of a command."""
    import json  # here, so that `--help` does not load it

    echo(json.dumps({"schema": SCHEMA, **fields}, indent=2))


def print_error(error: ReactorhostError | click.ClickException) -> None:
    """Print the document of a command that failed."""
    if isinstance(error, ReactorhostError):
        status, problems, details = error.exit_status, error.problems, error.details
    else:
        status, problems, details = error.exit_code, (Problem(error.format_message()),), None
    shown = [{"what": each.what, "where": each.where, "hint": each.hint} for each in problems]
    print_document(error={"status": status, "problems": shown, "details": details})
