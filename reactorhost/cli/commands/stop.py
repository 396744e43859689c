"""`reactorhost stop`."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import click

from reactorhost.cli import client
from reactorhost.cli.documents.json_output import json_option, print_document
from reactorhost.cli.manual.help_pages import HostCommand
from reactorhost.cli.output import confirm, echo, is_quiet
from reactorhost.cli.parameters.options import host_options, location_from
from reactorhost.config.resolve import Location
from reactorhost.errors import NotPermittedError, ReactorhostError, error_from_fields
from reactorhost.ipc.control_client import ControlClient
from reactorhost.master.run_lock import holder_pid

if TYPE_CHECKING:
    from reactorhost.dashboard.output.progress import ProgressView

_SILENCE_SECONDS = 5.0
_SIGNAL_SECONDS = 30.0
_POLL_SECONDS = 0.02


@click.command(cls=HostCommand)
@click.option("--now", is_flag=True, help="Close every connection at once, without drain_delay and stop_timeout.")
@json_option("Print one JSON object: name and run directory of the host that has stopped.")
@host_options
def stop(now: bool, as_json: bool, **flags: Any) -> None:
    """Stop a host and wait until its process has ended.

    The host announces the stop for drain_delay, if that is set. Then it accepts no more connections, and closes those
    that have not ended by themselves: all within stop_timeout. If a plugin could not save its state by then, the exit
    status is 8.
    """
    location = location_from(flags)
    selected = client.selected(location)
    again = f"wait for it with `reactorhost stop{selected.flags}`; with --now it ends at once"
    with client.continuing(selected, "to stop", again):
        name, failure = stop_and_wait(location, at_once=now, shown=not as_json)
    if failure is not None:
        raise failure
    if as_json:
        print_document(name=name or (location.name if location.by_name else None), run_dir=str(location.run_dir))
        return
    confirm(f"{client.selected(location, name).host} has stopped")


class Stopped(NamedTuple):
    """A host whose process has ended: its name, and why its stop was not complete; None if it did not report that."""

    name: str | None = None
    failure: ReactorhostError | None = None


def stop_and_wait(location: Location, *, at_once: bool, shown: bool = True) -> Stopped:
    """Stop a host, and return when its process has ended.

    Its progress is printed if `shown`.

    Raises:
        ReactorhostError: the host does not run, belongs to another user, or does not end.
    """
    from reactorhost.dashboard.output.progress import ProgressView

    master = _Master.of(location)
    try:
        with ProgressView("stopping", shown=shown and not is_quiet()) as view:
            try:
                host = client.connect(location)
            except NotPermittedError:
                raise
            except ReactorhostError:
                # The host holds its lock but does not accept requests: it is starting, ending or hanging.
                master.signal_and_wait(view, at_once=at_once)
                return Stopped()
            with host:
                # If the host ends at this moment, the wait shows it.
                with contextlib.suppress(ConnectionError):
                    # The reply to `stop` is the end of the connection, after an error if the stop was not complete,
                    # and that to `ping` has the name.
                    host.send("ping")
                    host.send("stop", now=at_once)
                view.show(client.WAITING, step_seconds=0.0)
                try:
                    return _wait_with_progress(host, master, view)
                except TimeoutError:
                    view.erase()
                    echo(f"the master (pid {master.pid}) does not answer, sending it a signal", err=True)
                    master.signal_and_wait(view, at_once=at_once)
                    return Stopped()
    finally:
        master.close()


@dataclass(frozen=True, slots=True)
class _Master:
    """The process to stop.

    Without a pidfd it cannot be sent a signal, because another process may get its pid, and its end is noticed by the
    lock. That is so where the kernel refuses pidfd_open(2), as old ones and some containers do, and for a process of
    another pid namespace; its pid is 0 if this namespace does not see it.
    """

    location: Location
    pid: int
    pidfd: int | None

    @classmethod
    def of(cls, location: Location) -> Self:
        """Return the master of a running host; raises a ReactorhostError if it does not run, or is another user's."""
        pid = client.running_pid(location)
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return cls(location, pid, None)
        # The host may have ended, and its pid have been reused, before the pidfd was open. If it still holds the lock,
        # the pidfd refers to the host, and from here on neither a signal nor a wait can hit another process.
        if holder_pid(location.run_dir) != pid:
            os.close(pidfd)
            raise client.not_running(location)
        return cls(location, pid, pidfd)

    def close(self) -> None:
        """Close the pidfd."""
        if self.pidfd is not None:
            os.close(self.pidfd)

    def wait_for_end(self, view: ProgressView, seconds: float) -> bool:
        """Wait until the process has ended; returns False if it has not after `seconds`."""
        if self.pidfd is not None:
            return bool(view.wait([self.pidfd], seconds))
        deadline = time.monotonic() + seconds
        while holder_pid(self.location.run_dir) is not None:
            if time.monotonic() >= deadline:
                return False
            view.wait((), _POLL_SECONDS)
        return True

    def signal_and_wait(self, view: ProgressView, *, at_once: bool) -> None:
        """Send the signal to stop, and wait until the process has ended.

        Raises:
            ReactorhostError: it cannot be sent a signal, or does not end.
        """
        if self.pidfd is None:
            what = "the master does not answer, and this process cannot send it a signal safely"
            hint = f"kill {self.pid}" if self.pid else "it runs in another pid namespace: stop it there"
            raise ReactorhostError(what, hint=hint)
        try:
            signal.pidfd_send_signal(self.pidfd, signal.SIGQUIT if at_once else signal.SIGTERM)
            # A process that is stopped (SIGSTOP) handles the signal only when it is continued.
            signal.pidfd_send_signal(self.pidfd, signal.SIGCONT)
        except ProcessLookupError:
            return
        except PermissionError:
            raise NotPermittedError(f"not permitted to stop pid {self.pid}", hint="become its user, or root") from None
        view.show(f"waiting for the end of pid {self.pid}", step_seconds=0.0)
        if not self.wait_for_end(view, _SIGNAL_SECONDS):
            what = f"the master (pid {self.pid}) did not end within {_SIGNAL_SECONDS:.0f} s of the signal"
            raise ReactorhostError(what, hint=f"see its log, then kill -9 {self.pid}")


def _wait_with_progress(host: ControlClient, master: _Master, view: ProgressView) -> Stopped:
    """Show progress until the process has ended.

    Raises:
        TimeoutError: the host is silent for too long.
    """
    waited_for: list[Any] = [host.socket] if master.pidfd is None else [master.pidfd, host.socket]
    most, stopped = 0, Stopped()
    while True:
        ready = view.wait(waited_for, _SILENCE_SECONDS)
        # A pidfd is readable once the process has ended, before it is reaped (pidfd_open(2)). What the process sent
        # before may still have to be read.
        if master.pidfd in ready and host.socket not in ready:
            return stopped
        if not ready:
            raise TimeoutError
        try:
            messages = host.receive()
        except ConnectionError:
            # The host closes its socket before its process ends.
            if not master.wait_for_end(view, _SILENCE_SECONDS):
                raise TimeoutError from None
            return stopped
        for message in messages:
            if message.get("status"):
                stopped = stopped._replace(failure=error_from_fields(message))
            elif "status" in message:
                stopped = stopped._replace(name=message.get("name"))
            elif message.get("progress"):
                left = message["connections"]
                most = max(most, left)
                view.show(message["progress"], most - left, most, soon=message.get("held", False))
