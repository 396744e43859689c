"""Request a reload when a source file of a plugin, or the configuration file, changes on disk: `start --reload`.

A forked child waits for changes: the library that does so has threads, and a process that forks workers must have none.
The workers report which files they have imported. With a new folder among them another child takes over, which compares
the files with what they were when they were imported: nothing is missed in between.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from reactorhost.ipc.jsonlines import JsonLine, Message
from reactorhost.ipc.messages import Report
from reactorhost.logs import EventLog
from reactorhost.master.workers.pool import WorkerPool
from reactorhost.system import process
from reactorhost.system.changed_files import ChangedFiles, Signature, signature
from reactorhost.system.fork import fork

# Changes that follow each other so closely are one: an editor writes several files, a branch is switched.
_QUIET_MILLISECONDS = 100
_LONGEST_MILLISECONDS = 1600
# Also without an event, which some file systems do not send.
_LOOK_MILLISECONDS = 1000


class CodeWatch:
    """Follows the files that workers report; `on_change` is called with the paths that have changed."""

    def __init__(
        self, pool: WorkerPool, log: EventLog, config_file: str | None, on_change: Callable[[list[str]], object]
    ) -> None:
        self._pool = pool
        self._log = log
        self._config_file = config_file
        self._on_change = on_change
        self._files: dict[str, Signature] = {}
        self._line: JsonLine | None = None
        pool.on(Report.SOURCES, self._loaded)

    def start(self) -> None:
        """Watch the configuration file; files of plugins are added when workers report them."""
        found = None if self._config_file is None else signature(self._config_file)
        if self._config_file is not None and found is not None:
            self._files[self._config_file] = found
            self._watch()

    def close(self) -> None:
        """End the child."""
        if self._line is not None:
            # Its end of the pair is then at the end of the file.
            self._line.close()
            self._line = None

    def message_received(self, line: JsonLine, message: Message) -> None:
        """Pass on what has changed."""
        if line is self._line:
            self._on_change(message["changed"])

    def line_closed(self, line: JsonLine) -> None:
        """Log that nothing is watched any more: the child has ended."""
        if line is self._line:
            self._line = None
            # Not an error: a TERM to the whole group reaches the child before the master has begun to stop.
            self._log.warning("source_watch_ended", hint="changes are not noticed until the host is restarted")

    def _loaded(self, pid: int, message: Message) -> None:
        files = {path: tuple(found) for path, found in message["files"].items()}
        is_new = not files.keys() <= self._files.keys()
        self._files |= files
        if is_new:
            self._watch()

    def _watch(self) -> None:
        self.close()
        ours, theirs = socket.socketpair()
        with theirs:
            self._line = JsonLine(self._pool.reactor, ours, self, self._pool.registry)
            sources = {path: found for path, found in self._files.items() if path != self._config_file}
            folders = {os.path.dirname(path) for path in sources}
            try:
                fork(partial(_run, theirs, self._files, folders), self._pool.registry)
            except OSError as error:
                self.close()
                self._log.warning("source_watch_ended", hint=f"cannot fork: {error.strerror}")


def _run(line: socket.socket, files: Mapping[str, Signature], sources: set[str]) -> int:
    """Send what changes until the master has closed its end of the line."""
    process.name_process("rh-watch")
    process.reset_signals()
    process.tie_to_parent()
    # Of the terminal: the master stops the host, and with it this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    state = ChangedFiles(files, sources)
    # Through a link a file is changed in another folder than the one that it is found in.
    names = (os.path.dirname(name) for path in files for name in (path, os.path.realpath(path)))
    folders = sorted(folder for folder in {*names, *sources} if os.path.isdir(folder))
    # The master has just closed its end.
    with suppress(BrokenPipeError):
        _look(line, state, folders)
    return 0


def _look(line: socket.socket, state: ChangedFiles, folders: Sequence[str]) -> None:
    from watchfiles import watch

    # It logs each look that finds nothing.
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    try:
        for _ in watch(
            *folders,
            watch_filter=None,
            debounce=_LONGEST_MILLISECONDS,
            step=_QUIET_MILLISECONDS,
            rust_timeout=_LOOK_MILLISECONDS,
            yield_on_timeout=True,
            recursive=False,
            ignore_permission_denied=True,
        ):
            if _is_closed(line, 0):
                return
            _send(line, state.take())
    except (OSError, RuntimeError):
        # A folder has just been removed, or an editor uses all instances or watches of inotify, whose error is a
        # RuntimeError of the library. Looks without events notice the same, within a second.
        while not _is_closed(line, _LOOK_MILLISECONDS / 1000):
            _send(line, state.take())


def _is_closed(line: socket.socket, seconds: float) -> bool:
    """Wait for this time; returns at once when the master has closed its end."""
    return bool(select.select([line], (), (), seconds)[0])


def _send(line: socket.socket, changed: Sequence[str]) -> None:
    if changed:
        line.sendall(json.dumps({"changed": changed}).encode() + b"\n")
