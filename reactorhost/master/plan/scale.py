"""Scaling: the number of slots that are wanted, and reports to the client that requested it until the host has it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from reactorhost.config.settings import Settings
from reactorhost.errors import BootError, ReactorhostError, counted
from reactorhost.master.plan import progress
from reactorhost.master.plan.actions import Action, Close, Count, Open, Steer
from reactorhost.master.plan.progress import BootProgress, Watcher
from reactorhost.master.plan.service_limits import ServiceLimits
from reactorhost.master.plan.slot import Backoff, Slot, SlotEvent, SlotState
from reactorhost.master.plan.worker_table import WorkerState, WorkerTable

_NOTHING = (-1, None)


class Scaling:
    """`target` is the number of slots that are wanted; only the newest request for another one is reported to."""

    def __init__(self, table: WorkerTable, limits: ServiceLimits, target: int) -> None:
        self.target = target
        self._table = table
        self._limits = limits
        self._watcher: Watcher | None = None
        self._reported: tuple[int, BootProgress | None] = _NOTHING

    def request(self, target: int, watcher: Watcher | None = None) -> None:
        """Want `target` slots from now on."""
        self.target = target
        # A signal, or a change of the settings, has no client to report to: then the present client follows on, and
        # is done when this target is reached.
        if watcher is not None:
            self.fail(ReactorhostError("superseded by another request to scale"))
            self._watcher, self._reported = watcher, _NOTHING

    def resume(self, reachable: Iterable[int], leaving: Mapping[int, frozenset[str]], retire_at: float) -> None:
        """Begin with slots that clients reach already, and with slots that leave, each with its services."""
        slots = self._table.slots
        for number in reachable:
            slots[number] = Slot(number, SlotState.STARTING, self._limits.services_of(number))
        for number, services in leaving.items():
            slots[number] = Slot(number, SlotState.LEAVING, services, retire_at=retire_at)

    def wanted(self) -> list[int]:
        """Return the numbers of the wanted slots that exist."""
        return [number for number in range(self.target) if number in self._table.slots]

    def ready_slots(self) -> int:
        """Return how many wanted slots have a ready worker."""
        return sum(self._table.slots[number].state is SlotState.READY for number in self.wanted())

    def reached(self) -> bool:
        """Say whether every wanted slot is ready and no other one has a worker that stays."""
        stays = (WorkerState.STARTING, WorkerState.READY)
        surplus = any(each.slot >= self.target and each.state in stays for each in self._table.workers.values())
        return self.ready_slots() == self.target and not surplus

    def fit(self, now: float, settings: Settings) -> Iterator[Action]:
        """Open the slots that are missing, take back those that are wanted again, and send away the surplus."""
        slots = self._table.slots
        before = self._table.leaving()
        for number in range(self.target):
            slot = slots.get(number)
            if slot is None:
                slots[number] = Slot(number, services=self._limits.services_of(number))
                yield Open(number)
            elif not slot.wanted:
                if slot.state is SlotState.RETIRING:
                    # It was ordered to close its copies of the listeners; it gets new ones with the next adoption.
                    slot.adopter = None
                slot.apply(SlotEvent.WANTED)
                slot.backoff = Backoff()
        for slot in [slot for slot in slots.values() if slot.number >= self.target and slot.wanted]:
            yield from self._send_away(slot, now, settings)
        after = self._table.leaving()
        if before != after:
            yield Steer(after)

    def announce(self) -> Iterator[Count]:
        """Report the number of wanted slots to the workers that know another one."""
        for worker in self._table.workers.values():
            if worker.count != self.target:
                worker.count = self.target
                yield Count(worker.pid, self.target)

    def report(self, now: float) -> None:
        """Report what has changed for the client that follows, and the end if the target is reached."""
        watcher = self._watcher
        if watcher is None:
            return
        ready = self.ready_slots()
        booting = progress.slowest(self._table.workers.values())
        if (ready, booting) != self._reported:
            self._reported = ready, booting
            text, fields = progress.of_boots(f"{ready} of {counted(self.target, 'worker')} ready", booting, now)
            watcher.progress(text, done=ready, total=self.target, **fields)
        if self.reached():
            self._watcher = None
            draining = sum(worker.state is WorkerState.DRAINING for worker in self._table.workers.values())
            watcher.done(workers=self.target, draining=draining)

    def open_failed(self, slot: int, error: ReactorhostError) -> None:
        """Record that a slot has no listeners: its worker could serve nothing, so the host stays below it."""
        self.fail(error)
        # When several slots open in one decision, the lowest failure counts.
        self.target = min(self.target, slot)

    def worker_failed(self, slot: int, error: ReactorhostError) -> None:
        """Stop reporting because a worker did not boot; the slot is retried all the same."""
        what = f"slot {slot} is not ready: {error.what}"
        self.fail(BootError(what, where=error.where, hint="the host keeps trying", details=error.details))

    def fail(self, error: ReactorhostError) -> None:
        """End the report with a failure."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.failed(error)

    def _send_away(self, slot: Slot, now: float, settings: Settings) -> Iterator[Action]:
        # Read before the workers leave, which changes the state.
        reached = slot.reachable
        if reached:
            slot.apply(SlotEvent.UNWANTED)
            slot.retire_at = now + settings.retire_delay
        for worker in self._table.in_slot(slot.number, WorkerState.STARTING):
            yield self._table.leave_now(worker, now)
        for worker in self._table.in_slot(slot.number, WorkerState.READY):
            yield self._table.drain(worker, settings.drain_timeout, now, settings)
        # No client can wait in the queues of a slot that never listened.
        if not reached:
            del self._table.slots[slot.number]
            yield Close(slot.number)
