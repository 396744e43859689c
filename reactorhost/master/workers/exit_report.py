"""What is known of a worker that ended: its exit status, what it stored last, and the stack that it wrote."""

from __future__ import annotations

import os
import re
import signal
from dataclasses import dataclass

import reactorhost
from reactorhost.errors import BootError, ReactorhostError
from reactorhost.ipc.counters import Counters, Timings
from reactorhost.ipc.service_pages import ServiceRecords
from reactorhost.ipc.stall import Stall

_FRAME = re.compile(r'  File "(?P<file>[^"]*)", line (?P<line>\d+)')
_HOST = os.path.dirname(os.path.abspath(reactorhost.__file__)) + os.sep
_MOST_BYTES = 65536

OUT_OF_MEMORY = ", sent by the kernel: out of memory"
"""Follows the signal of a process that the kernel has most likely killed to free memory."""

# How a worker ends that was ordered to: by itself, or by the signal while it boots.
_ORDERLY = frozenset({"exit status 0", "signal 3 (SIGQUIT)", "signal 15 (SIGTERM)"})


@dataclass(frozen=True, slots=True)
class Sample:
    """One page of the scoreboard at one moment.

    `timings` are those of the worker, then of its plugins in the order of `plugins`.
    """

    at: float
    counters: Counters
    timings: list[Timings]
    plugins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExitReport:
    """What is known of a worker that ended; `how` is its exit status or signal in words.

    Attributes:
        rss_peak_bytes: its largest resident memory, as the kernel counted it to the end.
        services: what its services have counted and timed.
        stall: what blocked its loop to the end.
    """

    how: str
    rss_peak_bytes: int
    last: Sample
    stack: StackDump | None
    failure: ReactorhostError | None
    services: ServiceRecords
    stall: Stall | None = None

    @property
    def out_of_memory(self) -> bool:
        """Whether the kernel has most likely killed it to free memory."""
        return self.how.endswith(OUT_OF_MEMORY)

    def is_orderly(self, reason: str) -> bool:
        """Return whether a worker that was ordered to end did so, or else was ended by the master for `reason`.

        Another one was ended with its clients: by its own alarm, because its loop stood still, by a fault, or from
        outside. One that had not begun to serve had none.
        """
        served = self.last.counters.tick > 0
        return self.stack is None and (bool(reason) or self.how in _ORDERLY or not served)

    def boot_error(self, slot: int, pid: int, reason: str) -> ReactorhostError:
        """Return why the worker did not become ready; `reason` is why the master ended it, empty if it did not."""
        if self.failure is not None:
            return self.failure
        what = f"the worker in slot {slot} (pid {pid}) did not become ready: {reason or self.how}"
        if self.stack is None:
            return BootError(what, hint="its plugin may have ended the process")
        return BootError(what, where=self.stack.where, details=self.stack.text)


@dataclass(frozen=True, slots=True)
class StackDump:
    """The frames of plugins and libraries, most recent first; `where` is the place of the first one."""

    text: str
    where: str | None


def take_stack(descriptor: int) -> StackDump | None:
    """Read the stack from its file and close the file; returns None when the process wrote none."""
    try:
        text = os.pread(descriptor, _MOST_BYTES, 0).decode(errors="replace").strip()
    finally:
        os.close(descriptor)
    return cut_stack(text) if text else None


def cut_stack(text: str) -> StackDump:
    """Remove the frames of the host that called the code at fault, and those of the import system."""
    kept: list[str] = []
    where: str | None = None
    for line in text.splitlines():
        frame = _FRAME.match(line)
        # Most recent call first: after the code at fault come the frames of the host that called it.
        if frame is not None and where is not None and frame["file"].startswith(_HOST):
            break
        if frame is None or not frame["file"].startswith("<"):
            kept.append(line)
        if frame is not None and where is None and not frame["file"].startswith("<"):
            where = f"{frame['file']}:{frame['line']}"
    return StackDump("\n".join(kept), where)


def decode(status: int) -> str:
    """Return a wait status in words: `exit status 3` or `signal 11 (SIGSEGV)`."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    return f"signal {-code} ({name})"


def killed(status: int) -> bool:
    """Say whether a process ended by KILL."""
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
