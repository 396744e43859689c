"""The workers of a host: every change of a worker's state, with its deadline, its action, and its effect on the slot.

STARTING -> READY -> DRAINING        READY, DRAINING -> STUCK        any -> STOPPING -> ended
"""

from __future__ import annotations

import enum
import signal
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from reactorhost.config.settings import MAX_WORKERS, Settings
from reactorhost.ipc.boot_place import BootPlace
from reactorhost.ipc.counters import SILENT_SECONDS
from reactorhost.ipc.hold_reason import HoldReason
from reactorhost.master.plan.actions import Drain, Signal
from reactorhost.master.plan.slot import Slot, SlotEvent, SlotState

_ABORT_SECONDS = 2.0
_REPEAT_SECONDS = 3.0
# Of the time to close what is left: a worker whose loop turns has ended by then (worker/shutdown.py).
_ABORT_SHARE = 0.9
TERM_SECONDS = 0.3


class WorkerState(enum.StrEnum):
    """State of a worker as the master sees it; the values are public, in the status document."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPING = "stopping"
    STUCK = "stuck"


@dataclass(slots=True)
class WorkerRecord:
    """One worker process.

    Attributes:
        since: when its present state began, in monotonic seconds.
        deadline: when the master stops waiting for the end of this state, or None; of a ready worker when it is ordered
            to drain, because it got TERM.
        aborted: its first deadline passed: it was sent ABRT to write its stack, if its loop stands still; KILL is next.
        hurried: it was signalled to leave at once.
        reason: why it is ended, for the log.
        silent: its loop did not turn for a second: a hook that blocks, a stopped process, a processor without time.
        full: it cannot accept: it has `max_connections` connections, or no descriptors left.
        refuses: services whose clients it was ordered to refuse while it is full.
        resigned: it reported that it does not lead because it leaves.
        count: the number of wanted workers, as it knows it.
        uses_leader: its plugins do something as the leader of the host.
        boot: what it does while it boots, if it has reported something.
        holds: what keeps it from leaving, if it has nothing else to wait for.
    """

    pid: int
    slot: int
    generation: int
    started_at: float
    state: WorkerState
    since: float
    deadline: float | None
    aborted: bool = False
    hurried: bool = False
    reason: str = ""
    silent: bool = False
    full: bool = False
    refuses: frozenset[str] = frozenset()
    resigned: bool = False
    count: int = 0
    uses_leader: bool = False
    boot: BootPlace | None = None
    holds: tuple[HoldReason, ...] = ()

    @property
    def accepts(self) -> bool:
        """Whether a client in its queue is accepted soon."""
        return self.state is WorkerState.READY and not (self.silent or self.full)


@dataclass(slots=True)
class WorkerTable:
    """The records of workers by process id, and the slots by number; the two mappings belong to the planner."""

    workers: dict[int, WorkerRecord]
    slots: dict[int, Slot]
    # Of every slot in each decision: a search through all workers would make a decision quadratic in their number.
    _by_slot: dict[int, list[WorkerRecord]] = field(default_factory=dict)

    def in_slot(self, slot: int, *states: WorkerState) -> list[WorkerRecord]:
        """Return the workers of a slot in one of these states, the oldest first."""
        return [worker for worker in self._by_slot.get(slot, ()) if worker.state in states]

    def leaving(self) -> tuple[int, ...]:
        """Return the numbers of the slots that are not wanted."""
        return tuple(slot.number for slot in self.slots.values() if not slot.wanted)

    def lowest_live(self, target: int) -> int:
        """Return the lowest slot below `target` with a worker that accepts, or boots; `MAX_WORKERS` without one."""
        workers = (worker for worker in self.workers.values() if worker.slot < target)
        live = (worker.slot for worker in workers if worker.accepts or worker.state is WorkerState.STARTING)
        return min(live, default=MAX_WORKERS)

    def note_heartbeats(self, heartbeats: Mapping[int, float], now: float) -> list[WorkerRecord]:
        """Record when loops turned last, by process id; returns the workers that became silent or turn again."""
        changed: list[WorkerRecord] = []
        for pid, turned_at in heartbeats.items():
            worker = self.workers.get(pid)
            silent = now - turned_at >= SILENT_SECONDS
            if worker is not None and worker.silent is not silent:
                worker.silent = silent
                changed.append(worker)
        return changed

    def add(self, pid: int, slot: int, generation: int, now: float, boot_timeout: float) -> None:
        """Add a worker that was forked."""
        # It inherits copies of this slot's listeners; those of other slots it closes while it boots.
        self.slots[slot].holders.add(pid)
        self._add(WorkerRecord(pid, slot, generation, now, WorkerState.STARTING, now, now + boot_timeout))

    def restore(self, workers: Iterable[WorkerRecord]) -> None:
        """Add the workers of another program, the oldest first."""
        for worker in workers:
            self._add(worker)

    def _add(self, worker: WorkerRecord) -> None:
        self.workers[worker.pid] = worker
        self._by_slot.setdefault(worker.slot, []).append(worker)

    def remove(self, pid: int) -> WorkerRecord | None:
        """Remove a worker that ended; returns its record, or None if it is not a worker."""
        worker = self.workers.pop(pid, None)
        if worker is not None:
            self._by_slot[worker.slot].remove(worker)
            # Of all slots: it may have adopted others.
            for slot in self.slots.values():
                slot.holders.discard(pid)
            self._update_slot(worker.slot)
        return worker

    def note_boot_step(self, pid: int, step: str, plugin: str, now: float) -> None:
        """Record what a worker that boots reported."""
        worker = self.workers.get(pid)
        if worker is not None:
            worker.boot = BootPlace(step, plugin, now)

    def become_ready(self, worker: WorkerRecord, now: float) -> None:
        """Record that a worker reported READY."""
        worker.state, worker.since, worker.deadline, worker.boot = WorkerState.READY, now, None, None
        self.slots[worker.slot].apply(SlotEvent.READY)

    def become_stuck(self, worker: WorkerRecord, reason: str, now: float) -> None:
        """Record that a worker does not respond; it is ended at the next deadline, which is now."""
        self._enter(worker, WorkerState.STUCK, now)
        worker.deadline, worker.reason = now, reason

    def drain(
        self, worker: WorkerRecord, seconds: float, now: float, settings: Settings, *, final: bool = False
    ) -> Drain:
        """Let a worker leave when its connections have ended, within `seconds`; `final`: no worker accepts after it."""
        state = WorkerState.STOPPING if final else WorkerState.DRAINING
        if worker.state is not state:
            self._enter(worker, state, now)
        worker.deadline = now + seconds + settings.closing_seconds * _ABORT_SHARE
        return Drain(worker.pid, seconds, final)

    def leave_now(self, worker: WorkerRecord, now: float) -> Signal:
        """Let a worker leave without waiting for its connections."""
        self._enter(worker, WorkerState.STOPPING, now)
        worker.hurried, worker.deadline = True, now + _ABORT_SECONDS
        return Signal(worker.pid, signal.SIGQUIT)

    def expire(self, now: float, settings: Settings) -> Iterator[Drain | Signal]:
        """End the workers whose deadline passed."""
        for worker in self.workers.values():
            if worker.deadline is None or now < worker.deadline:
                continue
            if worker.state is WorkerState.READY:
                # It got TERM, and the host does not stop.
                yield self.drain(worker, max(0.0, settings.stop_drain_seconds - TERM_SECONDS), now, settings)
                continue
            if worker.state in (WorkerState.STARTING, WorkerState.STUCK) and not worker.aborted:
                # ABRT first: where the worker hangs is what its author needs to know.
                worker.aborted, worker.deadline = True, now + _ABORT_SECONDS
                worker.reason = worker.reason or f"boot_timeout of {settings.boot_timeout:g} s exceeded{_place(worker)}"
                yield Signal(worker.pid, signal.SIGABRT, worker.reason)
                continue
            # The first reason is the cause; it is what a failed start or reload reports.
            late = f"still {worker.state} after its deadline"
            worker.reason = worker.reason or late
            if worker.state in (WorkerState.DRAINING, WorkerState.STOPPING) and not (worker.aborted or worker.hurried):
                worker.aborted = True
                left = settings.closing_seconds * (1 - _ABORT_SHARE)
                if worker.silent:
                    # From now on: this call may be late, and the worker needs time to write its stack.
                    worker.deadline = now + left
                    yield Signal(worker.pid, signal.SIGABRT, late)
                    continue
                worker.deadline += left
                if now < worker.deadline:
                    continue
            # A process in uninterruptible sleep (a hung disk) ends late; each further deadline logs it again.
            worker.deadline = now + _REPEAT_SECONDS
            yield Signal(worker.pid, signal.SIGKILL, late)

    def _enter(self, worker: WorkerRecord, state: WorkerState, now: float) -> None:
        worker.state, worker.since = state, now
        self._update_slot(worker.slot)

    def _update_slot(self, number: int) -> None:
        # A slot that was never reached is removed before its worker ends.
        slot = self.slots.get(number)
        if slot is not None and slot.state is SlotState.READY and not self.in_slot(number, WorkerState.READY):
            slot.apply(SlotEvent.LOST)


def _place(worker: WorkerRecord) -> str:
    return "" if worker.boot is None else f", {worker.boot}"
