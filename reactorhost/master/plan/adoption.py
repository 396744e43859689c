"""Adoption and retirement: which worker accepts on the listeners of a slot without one, and when they can be closed.

A listener that no worker accepts on still gets its share of the clients, and they hang. So a slot without a worker that
accepts is adopted at once by the worker of another slot. A silent worker keeps its own copies: while it is adopted, its
process may continue at any moment, and then two workers accept, which loses no client. An adopter that becomes silent
itself is replaced by another one; the order to close its copies waits for it. A service that only some slots may serve
(service_limits.py) is adopted within these. The clients of one that a single slot may serve wait in its queues, which
the master keeps, until the slot has a worker again.

Closing a listener resets the connections in its queue. A slot that leaves is therefore closed in steps: new clients are
steered away (by the master), a delay passes in which the queue drains, the adopter closes its copies and reports it,
and the master, which then holds the last copy, closes it if the queue is empty. Until then any other process with a
copy makes the kernel count the socket as a member of its group, so a slot does not retire while a worker may have one.
"""

from __future__ import annotations

from collections.abc import Iterator

from reactorhost.master.plan.actions import Adopt, Release, Retire
from reactorhost.master.plan.service_limits import ServiceLimits
from reactorhost.master.plan.slot import Slot, SlotEvent, SlotState
from reactorhost.master.plan.worker_table import WorkerRecord, WorkerState, WorkerTable

_RETRY_SECONDS = 1.0


class Adoption:
    """The holders of every slot's listeners."""

    def __init__(self, table: WorkerTable, limits: ServiceLimits) -> None:
        self._table = table
        self._limits = limits

    def decide(self, now: float) -> Iterator[Adopt | Release]:
        """Assign an adopter to every slot that needs one, and release the slots that need none any more."""
        for slot in self._table.slots.values():
            if not slot.reachable:
                continue
            adopter = self._adopter(slot)
            if slot.state is SlotState.RETIRING:
                if adopter is not None and adopter.accepts:
                    continue
                # It ended, or fell silent, before it reported. The listeners need another adopter until the next try,
                # which is due now.
                slot.apply(SlotEvent.KEEP)
                slot.retire_at = now
            served = any(worker.accepts for worker in self._table.in_slot(slot.number, WorkerState.READY))
            # Its own worker accepts already, so for a moment two do, which loses no client.
            waits = served or now < slot.adopt_at
            other = None if waits else self._candidate(slot)
            if adopter is not None and (served or (other is not None and self._is_better(other, adopter, slot))):
                yield Release(slot.number, adopter.pid)
                adopter = None
            if adopter is None and other is not None:
                # From the order on, because the copies are in the socket's buffer before the worker has them.
                slot.holders.add(other.pid)
                yield Adopt(slot.number, other.pid)
                adopter = other
            slot.adopter = None if adopter is None else adopter.pid

    def expire(self, now: float) -> Iterator[Retire]:
        """Retire the slots whose time has come."""
        for slot in self._table.slots.values():
            if slot.retire_at is None or now < slot.retire_at:
                continue
            if self._may_be_held(slot):
                slot.retire_at = now + _RETRY_SECONDS
            else:
                slot.apply(SlotEvent.RETIRE)
                yield Retire(slot.number, slot.adopter)

    def released(self, number: int, pid: int, now: float) -> bool:
        """Record that a worker closed its copies of a slot's listeners; returns whether the master can close its own.

        The caller closes them now, or calls `retire_later`.
        """
        # The report can be late: the slot was closed, is wanted again, or has another adopter by now.
        slot = self._table.slots.get(number)
        if slot is None:
            return False
        adopter = self._adopter(slot)
        if adopter is not None and adopter.pid == pid and slot.state is not SlotState.RETIRING:
            # Of the copies that it had before: it was ordered to adopt the slot again, and has new ones, or will.
            return False
        slot.holders.discard(pid)
        if slot.state is not SlotState.RETIRING or slot.adopter != pid:
            return False
        slot.adopter = None
        slot.apply(SlotEvent.KEEP)
        if self._may_be_held(slot):
            slot.retire_at = now + _RETRY_SECONDS
            return False
        return True

    def refused(self, number: int, pid: int, now: float) -> None:
        """Record that a worker could not receive a slot's listeners; in a second another one is ordered to, if any."""
        slot = self._table.slots.get(number)
        if slot is None:
            return
        slot.holders.discard(pid)
        if slot.adopter == pid:
            slot.adopter, slot.refused_by, slot.adopt_at = None, pid, now + _RETRY_SECONDS

    def retire_later(self, number: int, now: float) -> None:
        """Try again in a second: the queue is not empty, or clients cannot be steered away."""
        slot = self._table.slots[number]
        slot.apply(SlotEvent.KEEP)
        slot.retire_at = now + _RETRY_SECONDS

    def retired(self, number: int) -> None:
        """Remove a slot whose listeners are closed."""
        self._table.slots.pop(number, None)

    def _candidate(self, slot: Slot) -> WorkerRecord | None:
        """Return the accepting worker that may serve most of a slot's services, or None if none may serve any.

        Among equals it is that of the nearest higher slot, wrapping around; the one that refused, if there is no other.
        """
        candidates = [each for each in self._table.workers.values() if each.accepts and self._served(slot, each)]
        return min(
            candidates,
            key=lambda each: (
                each.pid == slot.refused_by,
                -self._served(slot, each),
                each.slot <= slot.number,
                each.slot,
            ),
            default=None,
        )

    def _is_better(self, other: WorkerRecord, adopter: WorkerRecord, slot: Slot) -> bool:
        return not adopter.accepts or self._served(slot, other) > self._served(slot, adopter)

    def _served(self, slot: Slot, worker: WorkerRecord) -> int:
        return len(slot.services & self._limits.services_of(worker.slot))

    def _adopter(self, slot: Slot) -> WorkerRecord | None:
        worker = None if slot.adopter is None else self._table.workers.get(slot.adopter)
        return worker if worker is not None and worker.state is WorkerState.READY else None

    def _may_be_held(self, slot: Slot) -> bool:
        """Say whether any process but the adopter may have copies of a slot's listeners."""
        # A worker that boots inherited copies of every slot's listeners and may not have closed them yet; one that was
        # ordered to leave while it booted is STOPPING.
        booting = (WorkerState.STARTING, WorkerState.STOPPING)
        return any(worker.state in booting for worker in self._table.workers.values()) or not slot.holders <= {
            slot.adopter
        }
