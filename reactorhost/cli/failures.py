"""How a command reports a failure: one sentence, and a traceback on request."""

from __future__ import annotations

from typing import Any

import click

from reactorhost.cli.output import echo
from reactorhost.errors import ReactorhostError


def traceback_option(command: Any) -> Any:
    """Add `--traceback` to a command.

    The value is not used: `main` looks for the flag among the arguments, because it has to know it even when parsing
    fails. So the flag may stand before or after the name of the command.
    """
    return click.option("--traceback", is_flag=True, expose_value=False, help="Show the traceback of a failure.")(
        command
    )


def show_failure(error: ReactorhostError, traceback: bool) -> None:
    """Print a failure to standard error: the details first, so that the sentence is the last thing on the screen."""
    if error.details and (traceback or error.shows_details):
        echo(error.details.rstrip(), err=True)
    if traceback and not error.details:
        import traceback as traces

        echo("".join(traces.format_exception(error)).rstrip(), err=True)
    first, *rest = error.lines()
    echo(f"reactorhost: {first}", err=True)
    for line in rest:
        echo(line, err=True)
