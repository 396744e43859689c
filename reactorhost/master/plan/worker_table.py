"""The workers of a host: every change of a worker's state, with its deadline, its action, and its effect on the slot.

STARTING -> READY -> DRAINING        READY, DRAINING -> STUCK        any -> STOPPING -> ended
"""

from __future__ import annotations

from collections.abc import Iterator

from reactorhost.master.plan.actions import Abort, Drain, Kill, LeaveNow
from reactorhost.master.plan.slot import Slot, SlotEvent, SlotState
from reactorhost.master.plan.worker_record import WorkerRecord, WorkerState, in_slot

KILL_AFTER_SECONDS = 3.0
"""Time after a deadline in which a worker closes what is left, before it is sent KILL."""
_ABORT_SECONDS = 2.0


class WorkerTable:
    """The records by process id; the two mappings belong to the planner."""

    def __init__(self, workers: dict[int, WorkerRecord], slots: dict[int, Slot]) -> None:
        self._workers = workers
        self._slots = slots

    def in_slot(self, slot: int, *states: WorkerState) -> list[WorkerRecord]:
        """Return the workers of a slot in one of these states, the oldest first."""
        return in_slot(self._workers, slot, *states)

    def add(self, pid: int, slot: int, generation: int, page: int, now: float, boot_timeout: float) -> None:
        """Add a worker that was forked."""
        self._slots[slot].holders.add(pid)
        deadline = now + boot_timeout
        self._workers[pid] = WorkerRecord(pid, slot, generation, page, now, WorkerState.STARTING, now, deadline)

    def remove(self, pid: int) -> WorkerRecord | None:
        """Remove a worker that ended; returns its record, or None if it is not a worker."""
        worker = self._workers.pop(pid, None)
        if worker is not None:
            for slot in self._slots.values():
                slot.holders.discard(pid)
            self._update_slot(worker.slot)
        return worker

    def become_ready(self, worker: WorkerRecord, now: float) -> None:
        """Record that a worker reported READY."""
        worker.state, worker.since, worker.deadline = WorkerState.READY, now, None
        self._slots[worker.slot].apply(SlotEvent.READY)

    def become_stuck(self, worker: WorkerRecord, reason: str, now: float) -> None:
        """Record that a worker does not respond; it is ended at the next deadline, which is now."""
        self._enter(worker, WorkerState.STUCK, now)
        worker.deadline, worker.reason = now, reason

    def drain(
        self, worker: WorkerRecord, seconds: float, now: float, *, state: WorkerState = WorkerState.DRAINING
    ) -> Drain:
        """Let a worker leave when its connections have ended, within `seconds`; STOPPING is final."""
        if worker.state is not state:
            self._enter(worker, state, now)
        worker.deadline = now + seconds + KILL_AFTER_SECONDS
        return Drain(worker.pid, seconds, final=state is WorkerState.STOPPING)

    def leave_now(self, worker: WorkerRecord, now: float) -> LeaveNow:
        """Let a worker leave without waiting for its connections."""
        self._enter(worker, WorkerState.STOPPING, now)
        worker.hurried, worker.deadline = True, now + _ABORT_SECONDS
        return LeaveNow(worker.pid)

    def expire(self, now: float, boot_timeout: float) -> Iterator[Abort | Kill]:
        """End the workers whose deadline passed."""
        for worker in self._workers.values():
            if worker.deadline is None or now < worker.deadline:
                continue
            if worker.state in (WorkerState.STARTING, WorkerState.STUCK) and not worker.aborted:
                # ABRT first: where the worker hangs is what its author needs to know.
                worker.aborted, worker.deadline = True, now + _ABORT_SECONDS
                worker.reason = worker.reason or f"not ready within {boot_timeout:g} s (boot_timeout)"
                yield Abort(worker.pid, worker.reason)
            else:
                worker.deadline = now + KILL_AFTER_SECONDS
                late = f"still {worker.state} after its deadline"
                # The first reason is the cause; it is what a failed start or reload reports.
                worker.reason = worker.reason or late
                yield Kill(worker.pid, late)

    def _enter(self, worker: WorkerRecord, state: WorkerState, now: float) -> None:
        worker.state, worker.since = state, now
        self._update_slot(worker.slot)

    def _update_slot(self, number: int) -> None:
        # A slot that was never reached is removed before its worker ends.
        slot = self._slots.get(number)
        if slot is not None and slot.state is SlotState.READY and not self.in_slot(number, WorkerState.READY):
            slot.apply(SlotEvent.LOST)
