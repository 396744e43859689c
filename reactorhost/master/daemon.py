"""Leaving the terminal: the starting command waits for READY and returns the true status."""

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
    """The way back to the command that started a daemon."""

    descriptor: int

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message; a starter that is gone does not matter."""
        data = json.dumps(message).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self.descriptor, data) :]
        except OSError:
            return

    def close(self) -> None:
        """Tell that nothing more comes."""
        os.close(self.descriptor)


def start_daemon(run: Callable[[Callable[[StatusDocument], None]], None]) -> StatusDocument:
    """Run a host as a daemon; returns its status once it is ready.

    `run` is called in the daemon, with what it is to call once it started.

    Raises:
        ReactorhostError: it did not come up, with the status that a foreground start had had.
        KeyboardInterrupt: the wait was interrupted; the daemon was told to stop.
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
    # A session of its own, and not its leader: no terminal can ever become its controlling one.
    os.setsid()
    if os.fork() == 0:
        run_and_exit(lambda: _live(run, starter))
    return 0


def _live(run: Callable[[Callable[[StatusDocument], None]], None], starter: Starter) -> int:
    starter.tell({"pid": os.getpid()})
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)

    def started(document: StatusDocument) -> None:
        starter.tell({"started": document})
        starter.close()

    try:
        run(started)
    except ReactorhostError as error:
        starter.tell({"failed": error.as_fields()})
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
    raise BootError("the host ended before it was ready", hint="start it without -d to see why")


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Take TERM as Ctrl-C: a starter that is told to end must not leave a host behind that nobody waits for."""
    raise KeyboardInterrupt
