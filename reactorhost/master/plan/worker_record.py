"""What the planner knows of one worker process."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class WorkerState(enum.StrEnum):
    """State of a worker as the master sees it; the values are public, in the status document."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPING = "stopping"
    STUCK = "stuck"


class ExitKind(enum.Enum):
    """What the end of a worker means."""

    EXPECTED = "expected"
    NOT_BOOTED = "not booted"
    CRASHED = "crashed"


@dataclass(slots=True)
class WorkerRecord:
    """One worker process.

    Attributes:
        page: its page of the scoreboard.
        since: when its present state began, in monotonic seconds.
        deadline: when the master stops waiting for the end of this state, or None.
        aborted: it was sent ABRT to make it write its stack; KILL is next.
        hurried: it was signalled to leave at once.
        reason: why it is ended, for the log.
    """

    pid: int
    slot: int
    generation: int
    page: int
    started_at: float
    state: WorkerState
    since: float
    deadline: float | None
    aborted: bool = False
    hurried: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of a worker; `failed_reload`: it was to replace a worker that continues to serve."""

    worker: WorkerRecord
    kind: ExitKind
    failed_reload: bool = False


def in_slot(workers: Mapping[int, WorkerRecord], slot: int, *states: WorkerState) -> list[WorkerRecord]:
    """Return the workers of a slot in one of these states, the oldest first."""
    return [worker for worker in workers.values() if worker.slot == slot and worker.state in states]


def next_ready(workers: Mapping[int, WorkerRecord], slot: int) -> WorkerRecord | None:
    """Return the ready worker of the nearest higher slot that has one, wrapping around, or None."""
    ready = [worker for worker in workers.values() if worker.state is WorkerState.READY]
    return min(ready, key=lambda worker: (worker.slot <= slot, worker.slot), default=None)
