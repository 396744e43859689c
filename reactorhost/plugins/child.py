"""Run code of plugins in a forked child, so that a plugin that hangs, exits or crashes does not affect the caller.

The child has a session of its own. It writes its reports, lines of JSON, into an anonymous file and exits; its standard
descriptors are /dev/null. When the child has exited, or its time is up, its whole process group is killed, so nothing
that the plugin started is left.

The child is a fork and not `subprocess.run([sys.executable, ...])`:

- A fork costs 20 ms a plugin. A new interpreter that imports the host first costs 120 ms, so `reactorhost plugins`
  with two plugins would take 0.44 s instead of 0.24 s.
- `subprocess.run` kills only its direct child when the time is up, and what the plugin started survives.
- The child must import plugins as a worker does: with this process's `sys.path`, `-P`, `-W` and `-X` options. A fork
  has them already, a new interpreter would need each of them as an argument, and the configuration pickled.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from reactorhost.plugins.imports import ImportedCode

_GRACE_SECONDS = 1.0
_POLL_SECONDS = 0.002
_EXIT_SOFTWARE = 70
"""The exit status after an exception that is no error of a plugin."""

Report = Mapping[str, Any]
Send = Callable[[Report], None]


@dataclass(frozen=True, slots=True)
class Child:
    """A process that runs code of plugins; `file` holds its reports."""

    pid: int
    file: int

    def wait(self, timeout_seconds: float) -> None:
        """Wait until the process has exited, at most for this time."""
        deadline = time.monotonic() + timeout_seconds
        # A pidfd would make this a wait for an event, but old kernels and some containers refuse pidfd_open(2).
        while not self._has_exited() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def _has_exited(self) -> bool:
        # WNOWAIT: the child stays a zombie, so its pid is not used again before `end`.
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def end(self) -> tuple[list[Report], int | None]:
        """Kill the process group; return the reports, and the wait status or None if the process was still running."""
        exited = self._has_exited()
        # Before waitpid: until then the child's pid, which is its group's id too, cannot be used again.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        # A child that has not reached setsid() yet is in no group of its own.
        os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        with os.fdopen(self.file, "rb") as file:
            file.seek(0)
            reports = [json.loads(line) for line in file if line.endswith(b"\n")]
        return reports, status if exited else None


def start(run: Callable[[Send], object], timeout_seconds: float) -> Child:
    """Fork a child that calls `run` with a function that sends a report."""
    # A file and not a pipe: a process that the plugin started may keep a pipe open, and a plugin that closes
    # descriptors would end it. A file is complete when the child has exited.
    file = os.memfd_create("plugin-report")
    pid = os.fork()
    if pid == 0:
        # The timer ends the child when this process is killed before it can.
        signal.setitimer(signal.ITIMER_REAL, timeout_seconds + _GRACE_SECONDS)
        _run(run, file)
    return Child(pid, file)


def failure(status: int | None, timeout_seconds: float) -> str:
    """Return what happened to a child that exited with this wait status and did not report its result."""
    if status is None:
        return f"did not finish loading in {timeout_seconds:g} s"
    if os.WIFSIGNALED(status):
        return f"crashed while loading: {signal.Signals(os.WTERMSIG(status)).name}"
    return f"ended the process while loading, with exit status {os.waitstatus_to_exitcode(status)}"


def _run(run: Callable[[Send], object], file: int) -> NoReturn:
    def send(report: Report) -> None:
        line = json.dumps(report).encode() + b"\n"
        while line:
            line = line[os.write(file, line) :]

    status = _EXIT_SOFTWARE
    try:
        # A group of its own, so that `Child.end` can kill what the plugin starts.
        os.setsid()
        _silence()
        # This process is young: what it has imported is what is on disk.
        ImportedCode(files={}, saved={}).follow()
        run(send)
        status = 0
    finally:
        # Not sys.exit: neither exit handlers nor threads of the plugin may delay or change the exit.
        os._exit(status)


def _silence() -> None:
    """Connect the standard descriptors to /dev/null; turn off core dumps and the traceback of a fatal signal."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.disable()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    # The sys objects may have been replaced by ones that write elsewhere.
    sys.stdin = sys.stdout = sys.stderr = os.fdopen(null, "r+", buffering=1, closefd=False)
