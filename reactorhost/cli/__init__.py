"""The command line. `--help` and `--version` import click and nothing else of weight."""

from reactorhost.cli.app import main

__all__ = ["main"]
