"""What commands print."""

from __future__ import annotations

import click

from reactorhost.printable import printable_lines


def echo(text: str, *, err: bool = False) -> None:
    """Print lines to standard output, or to standard error; what they quote from clients and plugins is escaped."""
    click.echo(printable_lines(text), err=err)  # noqa: TID251  the one place
