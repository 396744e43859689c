"""Requests to a running host: one verb of the control socket, answered by a result or by an error."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from reactorhost.config.default_paths import SYSTEM_BASE, Selection, base_dirs, selection
from reactorhost.config.resolve import Location
from reactorhost.errors import (
    NotPermittedError,
    NotRunningError,
    ReactorhostError,
    StoppedEarlyError,
    did_you_mean,
    error_from_fields,
)
from reactorhost.ipc.compact_status import readable
from reactorhost.ipc.control_client import CONTROL_SOCKET, ControlClient, ForeignHostError
from reactorhost.ipc.messages import Message
from reactorhost.ipc.status import StatusDocument
from reactorhost.master import instances
from reactorhost.master.run_lock import holder_pid
from reactorhost.system.ownership import user_name

if TYPE_CHECKING:
    from reactorhost.dashboard.output.progress import ProgressView

_PING_SECONDS = 5.0
WAITING = "waiting for an answer of the master"
"""What a view shows until the host reports its own progress."""

_CONTINUES = {
    "reload": "the reload",
    "reopen": "to open the log again",
    "scale": "the scaling",
    "upgrade": "the upgrade",
}
"""The operations that the host continues when the command that requested them ends."""


def request(
    location: Location,
    verb: str,
    on_message: Callable[[Message], object] | None = None,
    *,
    view: ProgressView | None = None,
    **fields: object,
) -> Message:
    """Send a verb to a running host and return the message that ends the reply.

    Args:
        location: where the host runs.
        verb: the verb.
        on_message: called with every message before the last one.
        view: goes on with its seconds while the host is waited for.
        fields: the arguments of the verb.

    Raises:
        ReactorhostError: the host does not run, belongs to another user, failed, or ended during the request.
    """
    with connect(location) as client:
        host = selected(location, _check_responsive(client, location, view))
        with continuing(host, _CONTINUES[verb]) if verb in _CONTINUES else contextlib.nullcontext():
            for message in _replies(client, verb, fields, view):
                if "status" not in message:
                    if message.get("warning"):
                        message["progress"] = host.in_commands(message["progress"])
                    if on_message is not None:
                        on_message(message)
                elif message["status"] == 0:
                    return message
                else:
                    with hints_for(host):
                        raise error_from_fields(message)
    raise ReactorhostError(f"{host.host} ended before it answered", hint=f"see `reactorhost logs{host.flags}`")


@contextlib.contextmanager
def hints_for(host: Selection) -> Iterator[None]:
    """Let the commands in the hint of an error select this host."""
    try:
        yield
    except ReactorhostError as error:
        error.hint = error.hint and host.in_commands(error.hint)
        raise


def status(location: Location, events_since: int | None = None) -> StatusDocument:
    """Return the status document of a running host, with the newest events or those after one.

    Raises:
        ReactorhostError: as `request`, or the host has a version whose document this one cannot read.
    """
    return readable(request(location, "status", events_since=events_since)["document"])


@contextlib.contextmanager
def continuing(host: Selection, operation: str, hint: str | None = None) -> Iterator[None]:
    """Report on Ctrl-C or TERM that the host continues an operation, and how to follow it.

    Raises:
        StoppedEarlyError: in place of the KeyboardInterrupt.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        what = f"interrupted, but {host.host} continues {operation}"
        hint = hint or f"follow it with `reactorhost top{host.flags}`"
        raise StoppedEarlyError(what, hint=hint) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _replies(
    client: ControlClient,
    verb: str,
    fields: Mapping[str, object],
    view: ProgressView | None,
    seconds: float | None = None,
) -> Iterator[Message]:
    """Yield the messages of a reply, fewer if the host ends; `view` goes on while they are waited for.

    Raises:
        TimeoutError: nothing arrived within `seconds`, or the timeout of the socket.
    """
    # Suppressed here and not around the caller's loop: a broken pipe of standard output is a ConnectionError too.
    with contextlib.suppress(ConnectionError):
        client.send(verb, **fields)
        while True:
            if view is not None and not view.wait([client.socket], seconds):
                raise TimeoutError
            for message in client.receive():
                yield message
                if "status" in message:
                    return


def connect(location: Location) -> ControlClient:
    """Connect to the control socket of a running host.

    Raises:
        ReactorhostError: the host does not run, belongs to another user, or has no socket.
    """
    # The lock first: the socket of a host that was killed is still there, and refuses a connection like a busy host.
    running_pid(location)
    path = location.run_dir / CONTROL_SOCKET
    try:
        return ControlClient(path)
    except ForeignHostError as error:
        raise _of_another_user(location, error.uid) from None
    except PermissionError:
        raise _of_another_user(location, path.lstat().st_uid) from None
    except OSError as error:
        raise ReactorhostError(
            f"{selected(location).host} runs but does not accept requests: {error.strerror}",
            hint="it may be starting or stopping; try again",
        ) from None


def running_pid(location: Location) -> int:
    """Return the process id of a running host.

    Raises:
        NotRunningError: no host of that name runs.
        NotPermittedError: it belongs to another user.
    """
    # Before the lock is looked at: what another user prepared can name any process as its holder.
    owner = instances.foreign_owner(location.run_dir)
    if owner is not None:
        raise _of_another_user(location, owner)
    pid = holder_pid(location.run_dir)
    if pid is None:
        raise _of_the_system(location) or not_running(location)
    return pid


def _of_the_system(location: Location) -> NotPermittedError | None:
    """Return the error for a host of that name that root has started, which a name selects for root only."""
    owner = instances.of_others(SYSTEM_BASE).get(location.name) if location.by_name else None
    if owner is None:
        return None
    return _of_another_user(Location(location.name, SYSTEM_BASE / location.name, False), owner)


def not_running(location: Location) -> NotRunningError:
    """Return the error for a host that does not run, with a hint at the hosts that do."""
    wanted = selected(location)
    if not location.by_name:
        # No list: an instance with the same name in another directory is not the one that is meant.
        return NotRunningError(
            f"{wanted.host} is not running", hint="`reactorhost ls` lists the hosts that run, and where"
        )
    bases = base_dirs(os.environ, os.geteuid())
    others = instances.running(bases)
    hint = did_you_mean(location.name, others)
    if hint is None and others:
        listed = (
            f"{name} ({_selected(name, run_dir).flags.strip() or 'the default'})" for name, run_dir in others.items()
        )
        hint = f"running: {', '.join(listed)}"
    hint = hint or f"start it with: reactorhost start PLUGIN{wanted.flags}"
    # One place needs no list.
    where = ", ".join(str(base / location.name) for base in bases) if len(bases) > 1 else None
    return NotRunningError(f"{wanted.host} is not running", where=where, hint=hint)


def selected(location: Location, name: str | None = None) -> Selection:
    """Return how messages name the host: by the name that it reported, or that was used to find it."""
    return _selected(name or (location.name if location.by_name else None), location.run_dir)


def _selected(name: str | None, run_dir: Path) -> Selection:
    return selection(name, run_dir, os.environ, os.geteuid())


def _of_another_user(location: Location, uid: int) -> NotPermittedError:
    name = user_name(uid)
    if not os.path.lexists(location.run_dir):
        # A directory above it keeps this user out, so that nothing is known of a host.
        what = f"cannot look into {location.run_dir}: a directory above it belongs to user {name}"
        return NotPermittedError(what, hint=f"run this as user {name}, or correct the directory")
    return NotPermittedError(f"{selected(location).host} belongs to user {name}", hint=f"run this as user {name}")


def _check_responsive(client: ControlClient, location: Location, view: ProgressView | None) -> str | None:
    """Ping the master: a verb may take minutes, so only a ping shows that the master is stopped or hangs.

    Returns the name of the host, None if it is ending.

    Raises:
        ReactorhostError: the master does not answer.
    """
    client.socket.settimeout(_PING_SECONDS)
    if view is not None:
        view.show(WAITING, step_seconds=0.0)
    name = None
    try:
        # No reply from a host that is ending: the request itself fails next, with its own error.
        for message in _replies(client, "ping", {}, view, _PING_SECONDS):
            name = message.get("name")
    except TimeoutError:
        what = f"the master of {selected(location).host} (pid {running_pid(location)}) does not answer"
        raise ReactorhostError(what, hint="it may be stopped (kill -CONT) or overloaded; see its log") from None
    # Without a limit from here on: a reload waits for every worker, and its progress shows that the host works.
    client.socket.settimeout(None)
    return name
