"""The progress of an operation that waits for workers, and the interface through which it is reported.

Nothing here makes a system call or reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from reactorhost.errors import ReactorhostError
from reactorhost.master.plan.worker_table import WorkerRecord, WorkerState


class Watcher(Protocol):
    """Receives the progress and the end of one operation."""

    def progress(self, text: str, **fields: object) -> None:
        """Report how far the operation is."""

    def done(self, **result: object) -> None:
        """Report success."""

    def failed(self, error: ReactorhostError) -> None:
        """Report failure."""


class BootProgress(NamedTuple):
    """What a worker that boots does, and since when, in monotonic seconds."""

    text: str
    since: float


def slowest(workers: Iterable[WorkerRecord]) -> BootProgress | None:
    """Return what the worker does that has been in one step for longest; None if none boots."""
    booting = [_progress(worker) for worker in workers if worker.state is WorkerState.STARTING]
    return min(booting, key=lambda each: each.since, default=None)


def of_boots(text: str, booting: BootProgress | None, now: float) -> tuple[str, dict[str, float]]:
    """Return the text about an operation and the worker that it waits for, and the fields that belong to it."""
    if booting is None:
        return text, {}
    return f"{text}; {booting.text}", {"step_seconds": round(now - booting.since, 1)}


def _progress(worker: WorkerRecord) -> BootProgress:
    boot = worker.boot
    since, what = (worker.since, "starting") if boot is None else (boot.since, str(boot))
    return BootProgress(f"worker {worker.slot}: {what}", since)
