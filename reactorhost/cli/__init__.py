"""The commands. `--help` and `--version` import nothing but click."""

from reactorhost.cli.app import main

__all__ = ["main"]
