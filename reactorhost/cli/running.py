"""`reactorhost reload`, `scale` and `reopen`: orders to a running host."""

from __future__ import annotations

from typing import Any

import click

from reactorhost.cli import client
from reactorhost.cli.app import traceback_option
from reactorhost.cli.settings_options import host_options, location_from


@click.command()
@host_options
@traceback_option
def reload(**flags: Any) -> None:
    """Replace every worker by one with new plugin code; no connection is lost.

    The first replacement is the canary: if it does not become ready, every old worker serves on, and this says why.
    """
    ended = client.ask(location_from(flags), "reload", _show)
    click.echo(f"reloaded: {ended['replaced']} workers, generation {ended['generation']}")


@click.command()
@click.argument("workers", type=click.IntRange(1, 256))
@host_options
@traceback_option
def scale(workers: int, **flags: Any) -> None:
    """Change the number of workers, and wait until that many are ready; no connection is lost.

    Workers that leave go on with the connections they have.
    """
    ended = client.ask(location_from(flags), "scale", _show, workers=workers)
    draining = f", {ended['draining']} draining" if ended["draining"] else ""
    click.echo(f"scaled: {ended['workers']} workers ready{draining}")


@click.command()
@host_options
@traceback_option
def reopen(**flags: Any) -> None:
    """Open the log files again, after a rotation moved them away."""
    client.ask(location_from(flags), "reopen")
    click.echo("log files reopened")


def _show(message: client.Message) -> None:
    click.echo(message["progress"])
