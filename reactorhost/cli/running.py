"""`reactorhost reload`, `scale` and `reopen`: orders to a running host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from reactorhost.cli import client
from reactorhost.cli.app import traceback_option
from reactorhost.cli.options import host_options, location_from

if TYPE_CHECKING:
    from reactorhost.dashboard.output.progress import ProgressView


@click.command()
@host_options
@traceback_option
def reload(**flags: Any) -> None:
    """Replace every worker by one with new plugin code; no connection is lost.

    The first replacement is the canary: if it does not become ready, every old worker serves on, and this says why.
    """
    ended = _ask_and_show(flags, "reload", "reloading")
    click.echo(f"reloaded: {ended['replaced']} workers, generation {ended['generation']}")


@click.command()
@click.argument("workers", type=click.IntRange(1, 256))
@host_options
@traceback_option
def scale(workers: int, **flags: Any) -> None:
    """Change the number of workers, and wait until that many are ready; no connection is lost.

    Workers that leave go on with the connections they have.
    """
    ended = _ask_and_show(flags, "scale", "scaling", workers=workers)
    draining = f", {ended['draining']} draining" if ended["draining"] else ""
    click.echo(f"scaled: {ended['workers']} workers ready{draining}")


@click.command()
@host_options
@traceback_option
def reopen(**flags: Any) -> None:
    """Open the log files again, after a rotation moved them away."""
    client.ask(location_from(flags), "reopen")
    click.echo("log files reopened")


def _ask_and_show(flags: dict[str, Any], verb: str, title: str, **fields: object) -> client.Message:
    from reactorhost.dashboard.output.progress import ProgressView

    location = location_from(flags)
    with ProgressView(title) as view:
        return client.ask(location, verb, lambda message: _show(view, message), **fields)


def _show(view: ProgressView, message: client.Message) -> None:
    view.show(message["progress"], message.get("done"), message.get("total"))
