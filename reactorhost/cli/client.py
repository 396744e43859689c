"""A client of the control socket: asks one thing and waits for the end of it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

from reactorhost.config.default_paths import base_dir
from reactorhost.config.resolve import Location
from reactorhost.errors import NotPermittedError, NotRunningError, ReactorhostError, did_you_mean, error_from_fields
from reactorhost.master.rundir import holder_pid, running_instances

Message = dict[str, Any]

_SILENCE_SECONDS = 5.0


def ask(
    location: Location, verb: str, progress: Callable[[Message], object] | None = None, **fields: object
) -> Message:
    """Ask a running host and return the message that ends its answer; `progress` sees every one before.

    Raises:
        ReactorhostError: no such host runs, it is somebody else's, it failed to do it, or it ended meanwhile.
    """
    for message in conversation(location, verb, **fields):
        if "status" in message:
            if message["status"] != 0:
                raise error_from_fields(message)
            return message
        if progress is not None:
            progress(message)
    raise ReactorhostError("the host ended before it answered", hint="see its log")


def conversation(location: Location, verb: str, **fields: object) -> Iterator[Message]:
    """Yield the messages that answer a verb, until the host ends the conversation or itself."""
    with connect(location) as sock, contextlib.suppress(ConnectionError):
        _make_sure_that_it_answers(sock, location)
        sock.sendall(json.dumps({"verb": verb, **fields}).encode() + b"\n")
        with sock.makefile("rb") as lines:
            for line in lines:
                message: Message = json.loads(line)
                yield message


def _make_sure_that_it_answers(sock: socket.socket, location: Location) -> None:
    """Ask for nothing, so that a master that stands still is told from an answer that takes its time.

    Raises:
        ReactorhostError: it does not answer.
    """
    sock.settimeout(_SILENCE_SECONDS)
    try:
        sock.sendall(b'{"verb":"ping"}\n')
        sock.recv(4096)
    except TimeoutError:
        what = f"the master of {location.name!r} (pid {running_pid(location)}) does not answer"
        raise ReactorhostError(what, hint="it may be stopped (kill -CONT) or overloaded; see its log") from None
    except ConnectionError:
        # It ends right now: what is asked next meets that too.
        return
    sock.settimeout(None)


def running_pid(location: Location) -> int:
    """Return the process id of the running host.

    Raises:
        NotRunningError: there is none of that name.
    """
    pid = holder_pid(location.run_dir)
    if pid is None:
        raise not_running(location)
    return pid


def connect(location: Location) -> socket.socket:
    """Connect to the control socket of a running host.

    Raises:
        ReactorhostError: no such host runs, it is somebody else's, or its socket is gone.
    """
    running_pid(location)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(str(location.run_dir / "control.sock"))
    except PermissionError:
        sock.close()
        raise NotPermittedError(
            f"the host {location.name!r} belongs to somebody else", hint="become its user, or root"
        ) from None
    except OSError as error:
        sock.close()
        raise ReactorhostError(
            f"the host {location.name!r} runs but cannot be spoken to: {error.strerror}",
            hint="it may be starting or stopping right now",
        ) from None
    return sock


def not_running(location: Location) -> NotRunningError:
    """Return the error that says that no such host runs, and which one may be meant."""
    others = running_instances(base_dir(os.environ, os.geteuid()))
    hint = did_you_mean(location.name, others)
    if hint is None and others:
        hint = f"running: {', '.join(others)}; choose one with --name"
    return NotRunningError(
        f"no host named {location.name!r} is running", hint=hint or "start one with: reactorhost start --plugin NAME"
    )
