"""`reactorhost reload`, `upgrade`, `scale` and `reopen`: requests that change a running host."""

from __future__ import annotations

import sys
from typing import Any

import click

from reactorhost.cli import client
from reactorhost.cli.options import host_options, location_from
from reactorhost.cli.output import echo
from reactorhost.errors import counted
from reactorhost.ipc.messages import Message


@click.command()
@host_options
def reload(**flags: Any) -> None:
    """Replace every worker by one that imports the plugins anew; no connection is lost.

    The first replacement is the canary. If it does not become ready, all old workers stay, and the command prints why.
    """
    result = _request_with_progress(flags, "reload", "reloading")
    echo(f"reloaded: {counted(result['replaced'], 'worker')}, generation {result['generation']}")


@click.command()
@host_options
def upgrade(**flags: Any) -> None:
    """Replace the master and all workers by the installation of this command; no connection is lost.

    The installation is checked first, as by `check`. If it cannot run the host, nothing is changed, and the command
    prints why. The master keeps its process id, its files and its sockets; then all workers are replaced as by
    `reload`.
    """
    result = _request_with_progress(flags, "upgrade", "upgrading", interpreter=sys.executable)
    workers = counted(result["replaced"], "worker")
    echo(f"upgraded: {result['before']} -> {result['version']}, {workers}, generation {result['generation']}")


@click.command()
@click.argument("workers", type=click.IntRange(1, 256))
@host_options
def scale(workers: int, **flags: Any) -> None:
    """Change the number of workers to WORKERS and wait until they are ready; no connection is lost.

    Surplus workers accept no more connections, and end when their last connection has ended.
    """
    result = _request_with_progress(flags, "scale", "scaling", workers=workers)
    draining = f", {result['draining']} draining" if result["draining"] else ""
    echo(f"scaled: {counted(result['workers'], 'worker')} ready{draining}")


@click.command()
@host_options
def reopen(**flags: Any) -> None:
    """Open the log file again and pass it to every worker, after a rotation has renamed it.

    A worker that does not confirm is named, and the exit status is 1.
    """
    client.request(location_from(flags), "reopen")
    echo("log files reopened")


def _request_with_progress(flags: dict[str, Any], verb: str, title: str, **fields: object) -> Message:
    from reactorhost.dashboard.output.progress import ProgressView

    location = location_from(flags)
    with ProgressView(title) as view:

        def show(message: Message) -> None:
            if message.get("warning"):
                echo(f"reactorhost: warning: {message['progress']}", err=True)
                return
            view.show(message["progress"], message.get("done"), message.get("total"))

        return client.request(location, verb, show, **fields)
