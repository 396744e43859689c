"""How a command reports a failure: what, where and a hint, and a traceback on request."""

from __future__ import annotations

import re

import click

from reactorhost.cli.output import fail, show_details
from reactorhost.errors import ReactorhostError, UsageError, did_you_mean, joined_hints, most_similar

_SUGGESTION = " Did you mean "
_NO_COMMAND = re.compile("No such command '(.+?)'")
_EXTRA_ARGUMENT = re.compile("Got unexpected extra argument")


class InvalidArgumentError(click.BadParameter):
    """An argument is invalid, and `advice` says what to write instead."""

    def __init__(self, what: str, advice: str | None, context: click.Context | None, param: click.Parameter | None):
        super().__init__(what, context, param)
        self.advice = advice


def show_failure(error: ReactorhostError, traceback: bool) -> None:
    """Print a failure to standard error: the details first, so that the sentence is the last thing on the screen."""
    if error.details and (traceback or error.shows_details):
        show_details(error.details.rstrip())
    if traceback and not error.details:
        import traceback as traces

        show_details("".join(traces.format_exception(error)).rstrip())
    fail(error.lines())


def from_click(error: click.ClickException) -> ReactorhostError:
    """Return the failure that click found in the words of the command line, as one of the host.

    What a plugin raises itself keeps its text and its exit status.
    """
    found: ReactorhostError
    if isinstance(error, click.UsageError):
        found = UsageError(_sentence(error), hint=_hint(error))
    else:
        found = ReactorhostError(error.format_message())
    found.exit_status = error.exit_code
    # It has the place in the code, for `--traceback`.
    found.__cause__ = error
    return found


def _sentence(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchOption):
        return f"there is no option {error.option_name!r}"
    unknown = _NO_COMMAND.match(error.message)
    if unknown is not None:
        return f"there is no command {unknown[1]!r}"
    # Some versions of click suggest another word in the same text: see `_hint`. Of a choice they list one a line.
    what = " ".join(error.format_message().partition(_SUGGESTION)[0].split()).removesuffix(".")
    return what[:1].lower() + what[1:]


def _hint(error: click.UsageError) -> str | None:
    if error.ctx is None:
        return None
    see = f"see `{error.ctx.command_path} --help`"
    if isinstance(error, InvalidArgumentError) and error.advice:
        return joined_hints(error.advice, see)
    if isinstance(error, click.NoSuchOption) and error.ctx.parent is None:
        see = f"options of a command stand behind it; {see}"
    suggestion = _suggestion(error, error.ctx)
    return joined_hints(suggestion, see) if suggestion else see


def _suggestion(error: click.UsageError, context: click.Context) -> str | None:
    if _EXTRA_ARGUMENT.match(error.message):
        parameters = context.command.params
        selects_a_host = any("--name" in each.opts for each in parameters)
        has_arguments = any(isinstance(each, click.Argument) for each in parameters)
        return "a host is named with --name" if selects_a_host and not has_arguments else None
    if isinstance(error, click.NoSuchOption):
        # Without the hyphens, which make any two options similar.
        known = {each.lstrip("-"): each for each in error.possibilities or ()}
        similar = most_similar(error.option_name.lstrip("-"), known)
        return f"did you mean {known[similar]!r}?" if similar else None
    unknown = _NO_COMMAND.match(error.message)
    if unknown is None or not isinstance(context.command, click.Group):
        return None
    return did_you_mean(unknown[1], context.command.list_commands(context))
