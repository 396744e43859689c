"""Start a host as a daemon; the command waits until it is ready, and returns the exit status of its start."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
from collections.abc import Callable, Collection, Iterable
from io import FileIO
from pathlib import Path
from typing import Any

from reactorhost.errors import BootError, ReactorhostError, StoppedEarlyError, error_from_fields, limit_hint
from reactorhost.ipc.status import StatusDocument
from reactorhost.system.fork import run_and_exit

_END_SECONDS = 3.0

RunHost = Callable[[Callable[[StatusDocument], None]], None]


def start_daemon(run: RunHost, log_file: Path, passed: Collection[int] = ()) -> StatusDocument:
    """Run a host as a daemon; returns its status document once it is ready.

    `run` is called in the daemon, with a callback for the moment when the host is ready. `log_file` is where its output
    goes, for the hint of a daemon that ends without reporting why. The descriptors `passed` stay open in it.

    Raises:
        ReactorhostError: it did not start; the error is the one of a start in the foreground, or the fork failed.
        StoppedEarlyError: the wait was interrupted; the daemon was sent TERM.
    """
    try:
        reader, writer = os.pipe()
        child = os.fork()
    except OSError as error:
        raise _not_forked(error) from None
    if child == 0:
        os.close(reader)
        run_and_exit(lambda: _fork_again(run, writer, passed))
    # With this copy open, the end of a daemon that sends nothing would not be the end of the file.
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as messages:
        return _wait(messages, log_file)


def _fork_again(run: RunHost, writer: int, passed: Collection[int]) -> int:
    # The second fork: a process that does not lead its session cannot get a controlling terminal any more.
    os.setsid()
    try:
        daemon = os.fork()
    except OSError as error:
        _send(FileIO(writer, "w"), {"failed": _not_forked(error).as_fields()})
        return 1
    if daemon == 0:
        run_and_exit(lambda: _run_daemon(run, writer, passed))
    return 0


def _not_forked(error: OSError) -> ReactorhostError:
    return BootError(f"cannot fork the daemon: {error.strerror}", hint=limit_hint(error))


def _run_daemon(run: RunHost, writer: int, passed: Collection[int]) -> int:
    _close_inherited({writer, *passed})
    # Unbuffered: data left in a buffer after a failed write would be written again by the close.
    starter = FileIO(writer, "w")
    _send(starter, {"pid": os.getpid()})
    # Standard output and error stay until the log is open: an import that fails before must be seen on the terminal.
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)

    def started(document: StatusDocument) -> None:
        _send(starter, {"started": document})
        starter.close()

    try:
        run(started)
    except ReactorhostError as error:
        if not starter.closed:
            _send(starter, {"failed": error.as_fields()})
        return error.exit_status
    return 0


def _close_inherited(keep: Collection[int]) -> None:
    """Close what the command has inherited: a lock of a shell, for instance, would be held as long as the host runs."""
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        if descriptor > 2 and descriptor not in keep:
            # The one of the listing is closed already.
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _send(starter: FileIO, message: dict[str, Any]) -> None:
    """Send a message to the command that started the daemon; a command that has ended is ignored."""
    data = json.dumps(message).encode() + b"\n"
    with contextlib.suppress(OSError):
        while data:
            # A pipe takes only a part when a signal interrupts the write.
            data = data[starter.write(data) :]


def _await_end(pid: int) -> None:
    """Wait until a daemon that reported its failure has ended, so that nothing of it runs when the command returns."""
    # Not for the end of the messages: a process that a plugin left behind can have a copy of the pipe.
    with contextlib.suppress(OSError):
        pidfd = os.pidfd_open(pid)
        select.select([pidfd], (), (), _END_SECONDS)
        os.close(pidfd)


def _wait(messages: Iterable[str], log_file: Path) -> StatusDocument:
    pid = 0
    # TERM like Ctrl-C: the command must not leave a host behind that starts unnoticed.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for line in messages:
            message = json.loads(line)
            pid = message.get("pid", pid)
            if "started" in message:
                document: StatusDocument = message["started"]
                return document
            if "failed" in message:
                _await_end(pid)
                raise error_from_fields(message["failed"])
    except KeyboardInterrupt:
        # The daemon has a session of its own, so Ctrl-C did not reach it.
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        raise StoppedEarlyError("interrupted before the host was ready") from None
    finally:
        signal.signal(signal.SIGTERM, before)
    hint = f"see the end of {log_file}" if os.path.exists(log_file) else "start it without -d to see the cause"
    raise BootError("the host ended before it was ready", hint=hint)
