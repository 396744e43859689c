"""`reactorhost stop` and `reactorhost restart`."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any

import click

from reactorhost.cli import client
from reactorhost.cli.app import traceback_option
from reactorhost.cli.options import host_options, location_from
from reactorhost.config.resolve import Location
from reactorhost.errors import NotPermittedError, ReactorhostError

_SILENCE_SECONDS = 5.0
_PATIENCE_AFTER_SIGNAL_SECONDS = 30.0


@click.command()
@click.option("--now", is_flag=True, help="Close every connection at once instead of waiting for it to end.")
@host_options
@traceback_option
def stop(now: bool, **flags: Any) -> None:
    """Stop a host, and wait for its real end.

    Connections may finish within the host's stop_timeout; meanwhile no new one is taken.
    """
    location = location_from(flags)
    stop_and_wait(location, at_once=now)
    click.echo(f"{location.name} stopped")


@click.command()
@host_options
@traceback_option
def restart(**flags: Any) -> None:
    """Stop a host, and start it with the same settings.

    A daemon becomes a daemon again; a host of the foreground comes to this terminal's.
    """
    location = location_from(flags)
    launch = client.ask(location, "launch")
    stop_and_wait(location, at_once=False)
    click.echo(f"{location.name} stopped, starting it again")
    sys.stdout.flush()
    others = {name: value for name, value in os.environ.items() if not name.startswith("REACTORHOST_")}
    os.chdir(launch["directory"])
    command = [sys.executable, "-m", "reactorhost", *launch["arguments"]]
    os.execve(sys.executable, command, {**others, **launch["environment"]})  # noqa: S606  nothing here is a shell's


def stop_and_wait(location: Location, *, at_once: bool) -> None:
    """Ask a host to stop, show what it waits for, and return once its process is gone.

    Raises:
        ReactorhostError: none runs, it is somebody else's, or it would not end.
    """
    pid = client.running_pid(location)
    pidfd = os.pidfd_open(pid)
    try:
        if client.running_pid(location) != pid:
            raise client.not_running(location)
        _stop(location, pid, pidfd, at_once=at_once)
    finally:
        os.close(pidfd)


def _stop(location: Location, pid: int, pidfd: int, *, at_once: bool) -> None:
    try:
        sock = client.connect(location)
    except NotPermittedError:
        raise
    except ReactorhostError:
        # It holds the lock but does not answer: it starts, or it ends, or it hangs.
        _signal_and_wait(pid, pidfd, at_once=at_once)
        return
    with sock:
        # A host that ends at this very moment is seen by its process's end.
        with contextlib.suppress(ConnectionError):
            sock.sendall(b'{"verb":"stop","now":true}\n' if at_once else b'{"verb":"stop"}\n')
        if not _follow(sock, pidfd):
            click.echo(f"the master (pid {pid}) does not answer, sending it a signal", err=True)
            _signal_and_wait(pid, pidfd, at_once=at_once)


def _follow(sock: socket.socket, pidfd: int) -> bool:
    """Show progress until the process is gone; False when nothing is heard of it for long."""
    from reactorhost.dashboard.output.progress import ProgressView

    reading: list[Any] = [pidfd, sock]
    pending = b""
    most = 0
    with ProgressView("stopping", lead="waiting: ") as view:
        while True:
            ready, _, _ = select.select(reading, (), (), _SILENCE_SECONDS)
            if pidfd in ready:
                return True
            if not ready:
                return False
            try:
                data = sock.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                reading.remove(sock)
            *lines, pending = (pending + data).split(b"\n")
            for message in map(json.loads, lines):
                if message.get("progress"):
                    left = message["connections"]
                    most = max(most, left)
                    view.show(message["progress"], most - left, most)


def _signal_and_wait(pid: int, pidfd: int, *, at_once: bool) -> None:
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGQUIT if at_once else signal.SIGTERM)
        # One that was stopped takes the signal only when it goes on.
        signal.pidfd_send_signal(pidfd, signal.SIGCONT)
    except ProcessLookupError:
        return
    except PermissionError:
        raise NotPermittedError(f"may not stop pid {pid}", hint="become its user, or root") from None
    began = time.monotonic()
    ready, _, _ = select.select([pidfd], (), (), _PATIENCE_AFTER_SIGNAL_SECONDS)
    if not ready:
        waited = time.monotonic() - began
        raise ReactorhostError(
            f"the master (pid {pid}) did not end in {waited:.0f} s", hint=f"look at it, then kill -9 {pid}"
        )
