"""The planner: which workers a host has, which it should have, and the actions that make the two equal.

Nothing here makes a system call or reads a clock. Events come in with `now` (monotonic seconds) and change records;
`decide` compares the records with what is wanted and returns actions; the supervisor carries them out and reports the
results as further events, until `decide` returns nothing. An event never acts by itself, so the order in which exits,
reports, requests and timers arrive does not matter beyond the records that they leave.

Records. A `WorkerRecord` is a process: STARTING (forked), READY (it reported so), DRAINING or STOPPING (it was ordered
to leave, or leaves by itself), STUCK (its loop stands still). A `Slot` is a place for one (states in slot.py). A slot
is READY exactly while one of its workers is: worker_table.py is the only place where a worker's state changes, and it
updates the slot.

The order inside `decide`:
1. Slots: create or take back those below `target`, send away those above it. First, because all that follows is about
   wanted slots.
2. Reload: choose the next slot and start its replacement. Before 3, so that an empty slot gets the new generation.
3. Fill: start a worker where none starts or serves, unless the slot is in back-off. While the host starts only slot 0
   is filled: a plugin that cannot boot fails once and not in every slot.
4. Drain: all ready workers of a slot but the newest, which is how replacements take over. The old worker is never
   ordered to leave before the new one is READY.
5. Adopt: last, because it needs to know which slots ended up without a ready worker.

Deadlines are checked by `expire` alone, which only a timer calls. By then the reactor has delivered every report that
had arrived, so a master that was suspended itself does not end workers that reported in time. The first deadline of a
worker that starts or is stuck sends ABRT, for its stack, every later one KILL.

Races that the records absorb:
- READY and the boot deadline cross: a worker that was sent ABRT is not accepted as ready any more.
- A worker gets TERM from an operator: it reports LEAVING, its slot is filled at once, and its exit is expected.
- A slot becomes wanted again while its adopter closes its copies: the slot is adopted anew. Orders to one worker arrive
  in order, so the new copies come after the old ones are closed.
- A replacement and the worker it replaces are in one slot; if the old one crashes first, its slot is filled by the
  replacement that boots already, and no second worker is started.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from reactorhost.errors import ReactorhostError, UsageError
from reactorhost.master.plan.actions import Action, Close, Open, Spawn, Steer
from reactorhost.master.plan.adoption import Adoption
from reactorhost.master.plan.recycle import Recycling
from reactorhost.master.plan.reload import Reload
from reactorhost.master.plan.scale import Scaling
from reactorhost.master.plan.slot import Slot, SlotEvent, SlotState
from reactorhost.master.plan.watcher import Watcher
from reactorhost.master.plan.worker_record import Exit, ExitKind, WorkerRecord, WorkerState
from reactorhost.master.plan.worker_table import KILL_AFTER_SECONDS, WorkerTable

_STEADY_SECONDS = 30.0
_MOST_DRAINING_IN_A_SLOT = 4


class HostState(enum.Enum):
    """State of the whole host."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"


@dataclass(slots=True)
class Planner:
    """All workers and slots of a host, and the operations that change what is wanted of them.

    Attributes:
        target: number of slots that are wanted.
        generation: number of the newest reload of which a worker became ready.
    """

    target: int
    boot_timeout: float
    stop_timeout: float
    drain_timeout: float
    retire_delay: float
    jitter: random.Random = field(default_factory=random.Random)
    state: HostState = HostState.STARTING
    generation: int = 1
    slots: dict[int, Slot] = field(default_factory=dict)
    workers: dict[int, WorkerRecord] = field(default_factory=dict)
    reload: Reload = field(default_factory=Reload)
    recycling: Recycling = field(default_factory=Recycling)
    scaling: Scaling = field(default_factory=Scaling)
    adoption: Adoption = field(init=False)
    _table: WorkerTable = field(init=False)
    _stop_at: float | None = None
    _hurry: bool = False

    def __post_init__(self) -> None:
        self.adoption = Adoption(self.slots, self.workers)
        self._table = WorkerTable(self.workers, self.slots)

    # Events.

    def forked(self, pid: int, slot: int, generation: int, page: int, now: float) -> None:
        """Record that a worker was forked for a slot."""
        self._table.add(pid, slot, generation, page, now, self.boot_timeout)

    def fork_failed(self, slot: int, error: ReactorhostError, now: float) -> bool:
        """Record that the fork for a slot failed, which counts like a crash; returns whether that ended a reload."""
        if self.reload.replaces(slot):
            self.reload.fail(error)
            return True
        self.slots[slot].backoff.add_failure(now, self.jitter)
        return False

    def open_failed(self, slot: int, error: ReactorhostError) -> None:
        """Record that a slot has no listeners: its worker could serve nothing, so the host stays below it."""
        self.scaling.fail(error)
        self.target = slot

    def ready(self, pid: int, now: float) -> WorkerRecord | None:
        """Record that a worker is ready; returns it, or None when it is not wanted any more."""
        worker = self.workers.get(pid)
        if worker is None or worker.state is not WorkerState.STARTING or worker.aborted:
            return None
        old_pids = [each.pid for each in self.in_slot(worker.slot, WorkerState.READY)]
        self._table.become_ready(worker, now)
        self.generation = max(self.generation, worker.generation)
        if self.state is HostState.STARTING:
            self.state = HostState.RUNNING
        self.recycling.replacement_ready(worker)
        if self.reload.is_replacement(worker):
            self.reload.replacement_ready(pid, old_pids)
        return worker

    def leaving(self, pid: int, seconds: float, now: float) -> None:
        """Record that a worker leaves without an order of the master; its slot is filled at once."""
        worker = self.workers.get(pid)
        if worker is not None and worker.state is WorkerState.READY:
            self._table.drain(worker, seconds, now)

    def stalled(self, pid: int, seconds: float, now: float) -> None:
        """Record that a worker's loop has not turned for so long; it is ended, and its slot is filled at once."""
        worker = self.workers.get(pid)
        if worker is not None and worker.state in (WorkerState.READY, WorkerState.DRAINING):
            self._table.become_stuck(worker, f"its loop did not turn for {seconds:.1f} s (stall_timeout)", now)

    def exited(self, pid: int, how: str, error: ReactorhostError, now: float) -> Exit | None:
        """Record the end of a process; returns what it means, or None for a process that is not a worker.

        `error` is what operations that needed the worker are failed with, if it did not boot.
        """
        worker = self._table.remove(pid)
        if worker is None:
            return None
        self.recycling.worker_ended(pid)
        if worker.state in (WorkerState.DRAINING, WorkerState.STOPPING):
            return Exit(worker, ExitKind.EXPECTED)
        kind = ExitKind.NOT_BOOTED if worker.state is WorkerState.STARTING else ExitKind.CRASHED
        slot = self.slots[worker.slot]
        slot.last_exit = how
        if self.reload.is_replacement(worker):
            # No back-off: the worker that was to be replaced serves on.
            self.reload.fail(error)
            return Exit(worker, kind, failed_reload=True)
        if kind is ExitKind.NOT_BOOTED:
            if self.state is HostState.RUNNING:
                self.scaling.worker_failed(worker.slot, error)
            if self.recycling.fail(worker.slot, error):
                return Exit(worker, kind)
        slot.restarts += 1
        if kind is ExitKind.CRASHED and now - worker.since >= _STEADY_SECONDS:
            slot.backoff.reset()
        slot.backoff.add_failure(now, self.jitter)
        return Exit(worker, kind)

    # Requests.

    def recycle(self, pid: int, watcher: Watcher) -> None:
        """Replace one worker, which drains once the new one is ready.

        Raises:
            UsageError: the process is not a worker that serves.
        """
        worker = self.workers.get(pid)
        if worker is None or worker.state is not WorkerState.READY or worker.slot not in self._wanted():
            ready = ", ".join(str(each.pid) for each in self.workers.values() if each.state is WorkerState.READY)
            raise UsageError(f"pid {pid} is not a worker that serves", hint=f"workers: {ready or 'none'}")
        self.recycling.request(worker, watcher)

    def scale(self, target: int, watcher: Watcher | None = None) -> None:
        """Want `target` slots from now on."""
        self.target = target
        if watcher is not None:
            self.scaling.request(watcher)

    def begin_reload(self) -> bool:
        """Start the reload that was requested, if none runs; returns whether it started."""
        if not self.reload.requested or self.reload.running or self.state is not HostState.RUNNING:
            return False
        self.reload.begin(self.generation + 1, sorted(self._wanted()))
        return True

    def stop(self, now: float, *, at_once: bool) -> None:
        """Want no worker any more."""
        if self.state is not HostState.STOPPING:
            self.state = HostState.STOPPING
            self._stop_at = now + self.stop_timeout
            stopping = ReactorhostError("the host is being stopped")
            for operation in (self.reload, self.recycling):
                operation.abandon(stopping)
            self.scaling.fail(stopping)
        self._hurry = self._hurry or at_once

    # State.

    def in_slot(self, slot: int, *states: WorkerState) -> list[WorkerRecord]:
        """Return the workers of a slot in one of these states, the oldest first."""
        return self._table.in_slot(slot, *states)

    def ready_slots(self) -> int:
        """Return how many wanted slots have a ready worker."""
        return sum(self.slots[number].state is SlotState.READY for number in self._wanted())

    def scaled(self) -> bool:
        """Say whether every wanted slot is ready and no other one has a worker that stays."""
        surplus = any(
            self.in_slot(slot.number, WorkerState.STARTING, WorkerState.READY)
            for slot in self.slots.values()
            if not slot.wanted
        )
        return self.ready_slots() == self.target and not surplus

    def report_scaling(self) -> None:
        """Report to the client that requested the present target."""
        draining = sum(worker.state is WorkerState.DRAINING for worker in self.workers.values())
        self.scaling.report(self.ready_slots(), self.target, draining, reached=self.scaled())

    def stopped(self) -> bool:
        """Say whether nothing is left to stop."""
        return self.state is HostState.STOPPING and not self.workers

    def seconds_to_stop(self, now: float) -> float:
        """Return how long a stop still waits for connections to end."""
        return 0.0 if self._stop_at is None or self._hurry else max(0.0, self._stop_at - now)

    def next_at(self, now: float) -> float | None:
        """Return when the next deadline is due, or None without one."""
        return min(self._deadlines(now), default=None)

    # Decisions.

    def decide(self, now: float) -> list[Action]:
        """Return what has to be done now, apart from deadlines (`expire`)."""
        if self.state is HostState.STOPPING:
            return list(self._stop_all(now))
        return [
            *self._fit_slots(now),
            *self._reload_next(now),
            *self._fill(now),
            *self._drain_surplus(now),
            *self.adoption.decide(now),
        ]

    def expire(self, now: float) -> list[Action]:
        """Return what has to be done about deadlines that passed; only a timer calls this."""
        return [*self._table.expire(now, self.boot_timeout), *self.adoption.expire(now)]

    def _fit_slots(self, now: float) -> Iterator[Action]:
        """Open the slots that are missing, take back those that are wanted again, and send away the surplus."""
        before = self._leaving()
        for number in range(self.target):
            slot = self.slots.get(number)
            if slot is None:
                self.slots[number] = Slot(number)
                yield Open(number)
            elif not slot.wanted:
                if slot.state is SlotState.RETIRING:
                    slot.adopter = None
                slot.apply(SlotEvent.WANTED)
                slot.backoff.reset()
        for slot in [slot for slot in self.slots.values() if slot.number >= self.target and slot.wanted]:
            yield from self._send_away(slot, now)
        after = self._leaving()
        if before != after:
            yield Steer(after)

    def _send_away(self, slot: Slot, now: float) -> Iterator[Action]:
        number = slot.number
        reached = slot.reachable
        if reached:
            slot.apply(SlotEvent.UNWANTED)
            slot.retire_at = now + self.retire_delay
        self.recycling.fail(number, ReactorhostError(f"slot {number} is not wanted any more"))
        self.reload.slot_unwanted(number)
        for worker in self.in_slot(number, WorkerState.STARTING):
            yield self._table.leave_now(worker, now)
        for worker in self.in_slot(number, WorkerState.READY):
            yield self._table.drain(worker, self.drain_timeout, now)
        if not reached:
            del self.slots[number]
            yield Close(number)

    def _reload_next(self, now: float) -> Iterator[Action]:
        number = self.reload.choose(self._wanted())
        if number is None:
            return
        # A worker that boots there may have read the old code.
        for worker in self.in_slot(number, WorkerState.STARTING):
            yield self._table.leave_now(worker, now)
        self.slots[number].apply(SlotEvent.SPAWN)
        yield Spawn(number, self.reload.generation)

    def _fill(self, now: float) -> Iterator[Action]:
        """Start a worker in every wanted slot that has none, unless it is in back-off."""
        for number in self._wanted():
            slot = self.slots[number]
            if self.state is HostState.STARTING and number != 0:
                return
            if self.reload.replaces(number) or self.in_slot(number, WorkerState.STARTING):
                continue
            if slot.state is SlotState.READY and number not in self.recycling:
                continue
            if now < slot.backoff.until:
                slot.apply(SlotEvent.WAIT)
            else:
                slot.apply(SlotEvent.SPAWN)
                yield Spawn(number, self.generation)

    def _drain_surplus(self, now: float) -> Iterator[Action]:
        """Drain all ready workers of a slot but the newest, and the oldest that drain for long sooner."""
        for number in self.slots:
            for worker in self.in_slot(number, WorkerState.READY)[:-1]:
                yield self._table.drain(worker, self.drain_timeout, now)
            # Frequent reloads with long connections must not pile up processes.
            for worker in self.in_slot(number, WorkerState.DRAINING)[:-_MOST_DRAINING_IN_A_SLOT]:
                soonest = now + self.stop_timeout + KILL_AFTER_SECONDS
                if worker.deadline is None or worker.deadline > soonest:
                    yield self._table.drain(worker, self.stop_timeout, now)

    def _stop_all(self, now: float) -> Iterator[Action]:
        seconds = max(0.0, (self._stop_at or now) - now)
        for worker in self.workers.values():
            if (self._hurry and not worker.hurried) or worker.state is WorkerState.STARTING:
                yield self._table.leave_now(worker, now)
            elif worker.state is not WorkerState.STOPPING:
                yield self._table.drain(worker, seconds, now, state=WorkerState.STOPPING)

    def _wanted(self) -> list[int]:
        return [number for number in range(self.target) if number in self.slots]

    def _leaving(self) -> tuple[int, ...]:
        return tuple(slot.number for slot in self.slots.values() if not slot.wanted)

    def _deadlines(self, now: float) -> Iterator[float]:
        for worker in self.workers.values():
            if worker.deadline is not None:
                yield worker.deadline
        if self.state is HostState.STOPPING:
            return
        for slot in self.slots.values():
            if slot.retire_at is not None:
                yield slot.retire_at
            if slot.wanted and slot.backoff.until > now:
                yield slot.backoff.until
