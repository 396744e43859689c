"""What commands print: results to standard output, and all else to standard error; in colour on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TextIO

import click

from reactorhost.printable import printable_lines
from reactorhost.system import journal
from reactorhost.system.terminal_color import wants_color

QUIET = "reactorhost.quiet"
VERBOSE = "reactorhost.verbose"
"""Keys of the context of click, which a command shares with those that it was called by."""


def echo(text: str, *, err: bool = False) -> None:
    """Print lines to standard output, or to standard error; what they quote from clients and plugins is escaped."""
    click.echo(printable_lines(text), err=err)  # noqa: TID251  the one place


def echo_escaped(text: str) -> None:
    """Print lines to standard output in which what they quote is escaped already, and which may have colours."""
    click.echo(text, color=True)  # noqa: TID251  see `echo`


def confirm(text: str, *, err: bool = False) -> None:
    """Print what is no result: that something was done, or where something was found. With -q it is not printed."""
    if not is_quiet():
        echo(text, err=err)


def warn(lines: Sequence[str]) -> None:
    """Print a warning to standard error: a sentence, and lines with its place and a hint."""
    _print_labelled("reactorhost: warning:", "magenta", lines, journal.WARNING)


def fail(lines: Sequence[str]) -> None:
    """Print a failure to standard error: a sentence, and lines with its place and a hint."""
    _print_labelled("reactorhost:", "red", lines, journal.ERROR)


def show_details(text: str) -> None:
    """Print a traceback, or another text that belongs to a failure, to standard error."""
    _print_to_stderr(printable_lines(text), journal.ERROR)


def is_quiet() -> bool:
    """Return whether the command was called with -q."""
    return _is_set(QUIET)


def is_verbose() -> bool:
    """Return whether the command was called with -v."""
    return _is_set(VERBOSE)


def has_color(stream: TextIO | None) -> bool:
    """Return whether what is printed to a stream may have colours: see no-color.org and force-color.org."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream is not None and stream.isatty() and wants_color(os.environ)


def _is_set(key: str) -> bool:
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(key))


def _print_labelled(labels: str, color: str, lines: Sequence[str], priority: int) -> None:
    colored = has_color(sys.stderr)

    def styled(text: str, foreground: str | None = None) -> str:
        return click.style(text, fg=foreground, bold=True) if colored else text

    first, *rest = map(printable_lines, lines)
    printed = [f"{styled(labels, color)} {first}"]
    for line in rest:
        # `  where: FILE:LINE` or `  hint: ...`; a line without indentation is the sentence of one more problem.
        label, colon, text = line.partition(": ")
        if not line.startswith("  "):
            printed.append(f"{styled(labels, color)} {line}")
        else:
            printed.append(f"{styled(label + ':')} {text}" if colon else line)
    _print_to_stderr("\n".join(printed), priority, colored=colored)


def _print_to_stderr(text: str, priority: int, *, colored: bool = False) -> None:
    if journal.leads_to_journal(2, os.environ):
        text = journal.with_priority(text, priority)
    click.echo(text, sys.stderr, err=True, color=colored)  # noqa: TID251  escaped by the callers
