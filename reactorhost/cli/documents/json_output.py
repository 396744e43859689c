"""Results of commands as JSON: with `--json` a command prints one document, or one line for each row of a stream.

A command that fails prints a document with `error` instead. The sentence for people stays on standard error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from reactorhost.cli.command_table import COMMANDS
from reactorhost.cli.output import echo
from reactorhost.cli.parameters.common_options import split
from reactorhost.errors import ReactorhostError

SCHEMA = 1


def json_option(help_text: str) -> Callable[[Any], Any]:
    """Return the decorator that adds `--json` to a command, as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help=help_text)


def wants_json(arguments: Sequence[str]) -> bool:
    """Return whether a command of the host was called with `--json`; known even when parsing fails."""
    _, words = split(arguments)
    # A command of a plugin may have an option of this name, with another meaning.
    return bool(words) and words[0] in COMMANDS and "--json" in words


def print_document(**fields: object) -> None:
    """Print the result of a command."""
    import json  # here, so that `--help` does not load it

    echo(json.dumps({"schema": SCHEMA, **fields}, indent=2))


def print_error(error: ReactorhostError) -> None:
    """Print the document of a command that failed."""
    problems = [{"what": each.what, "where": each.where, "hint": each.hint} for each in error.problems]
    print_document(error={"status": error.exit_status, "problems": problems, "details": error.details})
