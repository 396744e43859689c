"""The command line. `--help` and `--version` import click and nothing else of weight.

This module imports nothing, so that Ctrl-C ends a command quietly from its first moments on: the imports below take
most of the time of a short command, and raise KeyboardInterrupt wherever they are.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["main"]

_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its status."""
    try:
        from reactorhost.cli.app import main as run
    except KeyboardInterrupt:
        raise SystemExit(_INTERRUPTED) from None
    run(arguments)
