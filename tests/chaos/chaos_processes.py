"""The processes of a host as targets: which are its workers now, and signals to them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from chaos_plan import Step
from kernel import is_stopped
from later import Later
from started import children

_STOPPING_SECONDS = 0.2


class Processes:
    """The master `master` and its children; `later` lets those continue that were stopped."""

    def __init__(self, master: int, later: Later) -> None:
        self._master = master
        self._later = later
        self._stops: Counter[int] = Counter()

    def worker(self, step: Step) -> int | None:
        """Return a worker in any state, as the kernel sees them: the master may be stopped."""
        pids = sorted(self._workers())
        return pids[step.number(2, 0, len(pids) - 1)] if pids else None

    def send(self, pid: int, number: signal.Signals) -> str:
        """Send a signal if the process is still of this host; return in words what it was."""
        if pid in (self._master, *children(self._master)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return f"{number.name} to {pid}"

    def stop(self, pid: int, seconds: float) -> None:
        """Stop a process; of several stops that overlap, the last end lets it continue."""
        self._stops[pid] += 1
        self.send(pid, signal.SIGSTOP)
        self._later.add(seconds, lambda: self._continue(pid))

    def _continue(self, pid: int) -> None:
        self._stops[pid] -= 1
        if not self._stops[pid]:
            self.send(pid, signal.SIGCONT)

    def _workers(self) -> Iterator[int]:
        for pid in children(self._master):
            with contextlib.suppress(OSError):
                # Not one that is still the master's own image, right after the fork.
                if Path(f"/proc/{pid}/comm").read_text().startswith("rh-worker"):
                    yield pid


def comes_to_rest(pid: int) -> bool:
    """Wait for a process that got STOP, which another processor may still run; return False if it goes on for long."""
    deadline = time.monotonic() + _STOPPING_SECONDS
    with contextlib.suppress(OSError):
        while time.monotonic() < deadline:
            if is_stopped(pid):
                return True
            os.sched_yield()
    return False
