"""`reactorhost stop`."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from typing import Any

import click

from reactorhost.cli import client
from reactorhost.cli.options import host_options, location_from
from reactorhost.cli.output import echo
from reactorhost.config.resolve import Location
from reactorhost.errors import NotPermittedError, ReactorhostError
from reactorhost.ipc.control_client import ControlClient

_SILENCE_SECONDS = 5.0
_SIGNAL_SECONDS = 30.0


@click.command()
@click.option("--now", is_flag=True, help="Close every connection at once, without waiting for stop_timeout.")
@host_options
def stop(now: bool, **flags: Any) -> None:
    """Stop a host and wait until its process has ended.

    The host accepts no more connections, and waits up to stop_timeout for the open ones to end.
    """
    location = location_from(flags)
    again = f"wait for it with `reactorhost stop{client.selected(location).flags}`; with --now it ends at once"
    with client.continuing(location, "to stop", again):
        name = stop_and_wait(location, at_once=now)
    echo(f"{client.selected(location, name).host} has stopped")


def stop_and_wait(location: Location, *, at_once: bool) -> str | None:
    """Stop a host, show its progress, and return when its process has ended: its name, or None if it did not answer.

    Raises:
        ReactorhostError: the host does not run, belongs to another user, or does not end.
    """
    pid = client.running_pid(location)
    pidfd = os.pidfd_open(pid)
    try:
        # The host may have ended, and its pid have been reused, before the pidfd was open. If it still holds the lock,
        # the pidfd refers to the host, and from here on neither a signal nor a wait can hit another process.
        if client.running_pid(location) != pid:
            raise client.not_running(location)
        return _stop(location, pid, pidfd, at_once=at_once)
    finally:
        os.close(pidfd)


def _stop(location: Location, pid: int, pidfd: int, *, at_once: bool) -> str | None:
    try:
        host = client.connect(location)
    except NotPermittedError:
        raise
    except ReactorhostError:
        # The host holds its lock but does not accept requests: it is starting, ending or hanging.
        _signal_and_wait(pid, pidfd, at_once=at_once)
        return None
    with host:
        # If the host ends at this moment, the pidfd shows it.
        with contextlib.suppress(ConnectionError):
            # The reply to `stop` is the end of the connection, and that to `ping` has the name.
            host.send("ping")
            host.send("stop", now=at_once)
        try:
            return _wait_with_progress(host, pidfd)
        except TimeoutError:
            echo(f"the master (pid {pid}) does not answer, sending it a signal", err=True)
            _signal_and_wait(pid, pidfd, at_once=at_once)
            return None


def _wait_with_progress(host: ControlClient, pidfd: int) -> str | None:
    """Show progress until the process has ended; return the name of the host.

    Raises:
        TimeoutError: the host is silent for too long.
    """
    from reactorhost.dashboard.output.progress import ProgressView

    waited_for: list[Any] = [pidfd, host.socket]
    most, name = 0, None
    with ProgressView("stopping", lead="stopping: ") as view:
        while True:
            ready, _, _ = select.select(waited_for, (), (), _SILENCE_SECONDS)
            # A pidfd is readable once the process has ended, before it is reaped (pidfd_open(2)).
            if pidfd in ready:
                return name
            if not ready:
                raise TimeoutError
            try:
                messages = host.receive()
            except ConnectionError:
                # The host closes its socket before its process ends.
                waited_for.remove(host.socket)
                continue
            for message in messages:
                name = message.get("name", name)
                if message.get("progress"):
                    left = message["connections"]
                    most = max(most, left)
                    view.show(message["progress"], most - left, most)


def _signal_and_wait(pid: int, pidfd: int, *, at_once: bool) -> None:
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGQUIT if at_once else signal.SIGTERM)
        # A process that is stopped (SIGSTOP) handles the signal only when it is continued.
        signal.pidfd_send_signal(pidfd, signal.SIGCONT)
    except ProcessLookupError:
        return
    except PermissionError:
        raise NotPermittedError(f"not permitted to stop pid {pid}", hint="become its user, or root") from None
    ready, _, _ = select.select([pidfd], (), (), _SIGNAL_SECONDS)
    if not ready:
        what = f"the master (pid {pid}) did not end within {_SIGNAL_SECONDS:.0f} s of the signal"
        raise ReactorhostError(what, hint=f"see its log, then kill -9 {pid}")
