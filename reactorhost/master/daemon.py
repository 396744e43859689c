"""Start a host as a daemon; the command waits until it is ready, and returns the exit status of its start."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

from reactorhost.errors import BootError, ReactorhostError, StoppedEarlyError, error_from_fields
from reactorhost.ipc.status import StatusDocument
from reactorhost.system.fork import run_and_exit


@dataclass(frozen=True, slots=True)
class Starter:
    """The pipe to the command that started a daemon."""

    descriptor: int

    def send(self, message: dict[str, Any]) -> None:
        """Send a message; a command that has ended is ignored."""
        data = json.dumps(message).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self.descriptor, data) :]
        except OSError:
            return

    def close(self) -> None:
        """End the messages."""
        os.close(self.descriptor)


def start_daemon(run: Callable[[Callable[[StatusDocument], None]], None]) -> StatusDocument:
    """Run a host as a daemon; returns its status document once it is ready.

    `run` is called in the daemon, with a callback for the moment when the host is ready.

    Raises:
        ReactorhostError: it did not start; the error is the one of a start in the foreground.
        StoppedEarlyError: the wait was interrupted; the daemon was sent TERM.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        run_and_exit(lambda: _fork_again(run, Starter(writer)))
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as messages:
        return _wait(messages)


def _fork_again(run: Callable[[Callable[[StatusDocument], None]], None], starter: Starter) -> int:
    # The second fork: a process that does not lead its session cannot get a controlling terminal any more.
    os.setsid()
    if os.fork() == 0:
        run_and_exit(lambda: _run_daemon(run, starter))
    return 0


def _run_daemon(run: Callable[[Callable[[StatusDocument], None]], None], starter: Starter) -> int:
    starter.send({"pid": os.getpid()})
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)

    def started(document: StatusDocument) -> None:
        starter.send({"started": document})
        starter.close()

    try:
        run(started)
    except ReactorhostError as error:
        starter.send({"failed": error.as_fields()})
        return error.exit_status
    return 0


def _wait(messages: Any) -> StatusDocument:
    pid = 0
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        for line in messages:
            message = json.loads(line)
            pid = message.get("pid", pid)
            if "started" in message:
                document: StatusDocument = message["started"]
                return document
            if "failed" in message:
                raise error_from_fields(message["failed"])
    except KeyboardInterrupt:
        if pid:
            os.kill(pid, signal.SIGTERM)
        raise StoppedEarlyError("interrupted before the host was ready") from None
    finally:
        signal.signal(signal.SIGTERM, before)
    raise BootError("the host ended before it was ready", hint="start it without -d to see the cause")


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Treat TERM as Ctrl-C: the command must not leave a host behind that starts unnoticed."""
    raise KeyboardInterrupt
