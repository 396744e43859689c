"""Start a host as a daemon; the command waits until it is ready, and returns the exit status of its start."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
from collections.abc import Callable, Collection, Sequence
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from reactorhost.config.default_paths import Selection
from reactorhost.errors import BootError, ReactorhostError, StoppedEarlyError, error_from_fields, limit_hint
from reactorhost.ipc.messages import Message, MessageDecoder
from reactorhost.ipc.status import StatusDocument
from reactorhost.system.fork import run_and_exit

if TYPE_CHECKING:
    # What only the daemon needs is loaded there.
    from reactorhost.master.start_progress import Starter
    from reactorhost.master.stop_progress import StopReport

_END_SECONDS = 3.0
_READ_BYTES = 65536
_INTERRUPTED = "interrupted before the host was ready; it has ended"

RunHost = Callable[["Starter"], None]


class ProgressDisplay(Protocol):
    """Shows how far the start is, on the terminal of the command."""

    def show(
        self, text: str, done: float | None = None, total: float | None = None, step_seconds: float | None = None
    ) -> None:
        """Show a text from now on."""

    def wait(self, readers: Sequence[Any]) -> Sequence[Any]:
        """Wait until one of them is readable."""


def start_daemon(
    run: RunHost, selected: Selection, log_file: Path, display: ProgressDisplay, passed: Collection[int] = ()
) -> StatusDocument:
    """Run a host as a daemon; returns its status document once it is ready.

    `run` is called in the daemon, with what reports to this command. `selected` is how messages name the host.
    `log_file` is where its output goes, for the hint of a daemon that ends without reporting why. The descriptors
    `passed` stay open in it.

    Raises:
        ReactorhostError: it did not start; the error is the one of a start in the foreground, or the fork failed.
        StoppedEarlyError: the wait was interrupted. The daemon has ended; after a second interrupt it still may end.
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
    # TERM like Ctrl-C: the command must not leave a host behind that starts unnoticed.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _Start(reader, selected, log_file, display).wait()
    finally:
        os.close(reader)
        signal.signal(signal.SIGTERM, before)


def _fork_again(run: RunHost, writer: int, passed: Collection[int]) -> int:
    # The second fork: a process that does not lead its session cannot get a controlling terminal any more.
    os.setsid()
    try:
        daemon = os.fork()
    except OSError as error:
        _PipeToStarter(writer).failed(_not_forked(error))
        return 1
    if daemon == 0:
        run_and_exit(lambda: _run_daemon(run, writer, passed))
    return 0


def _not_forked(error: OSError) -> ReactorhostError:
    return BootError(f"cannot fork the daemon: {error.strerror}", hint=limit_hint(error))


def _run_daemon(run: RunHost, writer: int, passed: Collection[int]) -> int:
    _close_inherited({writer, *passed})
    starter = _PipeToStarter(writer)
    starter.send({"pid": os.getpid()})
    # Standard output and error stay until the log is open: an import that fails before must be seen on the terminal.
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    try:
        run(starter)
    except ReactorhostError as error:
        starter.failed(error)
        return error.exit_status
    return 0


class _PipeToStarter:
    """Sends messages to the command that started the daemon; a command that has ended is ignored."""

    def __init__(self, writer: int) -> None:
        # Unbuffered: data left in a buffer after a failed write would be written again by the close.
        self._pipe = FileIO(writer, "w")

    def show(
        self, text: str, done: float | None = None, total: float | None = None, step_seconds: float | None = None
    ) -> None:
        """Send how far the start is."""
        message = {"progress": text, "done": done, "total": total, "step_seconds": step_seconds}
        # A command that is stopped (SIGSTOP) reads nothing, and the host must not wait for it. A message that is no
        # longer than PIPE_BUF is written as a whole or not at all.
        os.set_blocking(self._pipe.fileno(), False)
        self.send(message)
        os.set_blocking(self._pipe.fileno(), True)

    def refresh(self) -> None:
        """Do nothing: the command counts the seconds itself."""

    def started(self, document: StatusDocument) -> None:
        """Send that the host is ready."""
        self.send({"started": document})
        self._pipe.close()

    def stopping(self, report: StopReport) -> None:
        """Do nothing: the command has ended."""

    def failed(self, error: ReactorhostError) -> None:
        """Send why the start has failed, unless the host has run."""
        if not self._pipe.closed:
            self.send({"failed": error.as_fields()})

    def send(self, message: Message) -> None:
        """Send a message."""
        data = json.dumps(message).encode() + b"\n"
        with contextlib.suppress(OSError):
            # A pipe takes only a part when a signal interrupts the write, and nothing (None) if it would block.
            while data and (sent := self._pipe.write(data)):
                data = data[sent:]


def _close_inherited(keep: Collection[int]) -> None:
    """Close what the command has inherited: a lock of a shell, for instance, would be held as long as the host runs."""
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        if descriptor > 2 and descriptor not in keep:
            # The one of the listing is closed already.
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _await_end(pid: int) -> None:
    """Wait until a daemon that reported its failure has ended, so that nothing of it runs when the command returns."""
    # Not for the end of the messages: a process that a plugin left behind can have a copy of the pipe.
    with contextlib.suppress(OSError):
        pidfd = os.pidfd_open(pid)
        select.select([pidfd], (), (), _END_SECONDS)
        os.close(pidfd)


class _Start:
    """The start of a daemon, as the command sees it: from what arrives in the pipe `reader`."""

    def __init__(self, reader: int, selected: Selection, log_file: Path, display: ProgressDisplay) -> None:
        self._reader = reader
        self._selected = selected
        self._log_file = log_file
        self._display = display
        self._decoder = MessageDecoder()
        self._pid = 0
        self._interrupted = False

    def wait(self) -> StatusDocument:
        """Return the document of the host when it is ready; see `start_daemon`."""
        while True:
            try:
                document = self._receive()
            except KeyboardInterrupt:
                self._interrupt()
                continue
            if document is None:
                continue
            if self._interrupted:
                # It became ready when it was sent TERM.
                raise self._stopping()
            return document

    def _receive(self) -> StatusDocument | None:
        """Handle what arrives next; returns the document if the host is ready.

        Raises:
            ReactorhostError: it did not start.
        """
        self._display.wait([self._reader])
        data = os.read(self._reader, _READ_BYTES)
        if not data:
            raise self._ended()
        for message in self._decoder.feed(data):
            self._pid = message.get("pid", self._pid)
            if "started" in message:
                document: StatusDocument = message["started"]
                return document
            if "failed" in message:
                _await_end(self._pid)
                raise StoppedEarlyError(_INTERRUPTED) if self._interrupted else error_from_fields(message["failed"])
            if "progress" in message and not self._interrupted:
                self._display.show(message.pop("progress"), **message)
        return None

    def _interrupt(self) -> None:
        """Stop the daemon, at the second interrupt at once.

        Raises:
            StoppedEarlyError: it is the second.
        """
        if self._pid:
            # The daemon has a session of its own, so Ctrl-C did not reach it.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGQUIT if self._interrupted else signal.SIGTERM)
        if self._interrupted:
            raise self._stopping()
        self._interrupted = True
        self._display.show(f"interrupted, waiting for the end of pid {self._pid}", step_seconds=0.0)

    def _stopping(self) -> ReactorhostError:
        what = f"interrupted: {self._selected.host} (pid {self._pid}) is being stopped"
        return StoppedEarlyError(what, hint=f"wait for it with `reactorhost stop{self._selected.flags}`")

    def _ended(self) -> ReactorhostError:
        if self._interrupted:
            return StoppedEarlyError(_INTERRUPTED)
        seen = os.path.exists(self._log_file)
        hint = f"see the end of {self._log_file}" if seen else "start it without -d to see the cause"
        return BootError("the host ended before it was ready", hint=hint)
