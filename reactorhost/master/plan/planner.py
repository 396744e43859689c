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
5. Adopt: late, because it needs to know which slots ended up without a worker that accepts.
6. Steer past full workers, or let all refuse.
7. Lead: after 4, so that a worker that was ordered to leave in this decision is not appointed (leadership.py).

Deadlines are checked by `expire` alone, which only a timer calls. By then the reactor has delivered every report that
had arrived, so a master that was suspended itself does not end workers that reported in time. The first deadline of a
worker that starts, is stuck, or should have left and is silent sends ABRT, for its stack, every later one KILL.

Races that the records absorb:
- READY and the boot deadline cross: a worker that was sent ABRT is not accepted as ready any more.
- A worker gets TERM: it reports LEAVING, serves for a moment more, then it is ordered to drain, and its slot is filled.
  If the master gets TERM too in that moment, as a process group does, it is a stop: the drain is final, so the worker
  accepts what is queued first. The exit of the worker is expected.
- A slot becomes wanted again while its adopter closes its copies: the slot is adopted anew. Orders to one worker arrive
  in order, so the new copies come after the old ones are closed.
- A replacement and the worker it replaces are in one slot; if the old one crashes first, its slot is filled by the
  replacement that boots already, and no second worker is started.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Iterator
from dataclasses import dataclass

from reactorhost.config.settings import Settings
from reactorhost.errors import ReactorhostError, UsageError, numbers
from reactorhost.ipc.moments import BEGINNING, Moment
from reactorhost.ipc.stall import Stall
from reactorhost.master.plan.actions import Action, Spawn
from reactorhost.master.plan.adoption import Adoption
from reactorhost.master.plan.autoscale import Autoscale
from reactorhost.master.plan.leadership import Leadership
from reactorhost.master.plan.operations import Recycling, Reload
from reactorhost.master.plan.overload import Overload
from reactorhost.master.plan.progress import Watcher
from reactorhost.master.plan.recycle_limits import RecycleLimits
from reactorhost.master.plan.scale import Scaling
from reactorhost.master.plan.service_limits import Declared, ServiceLimits
from reactorhost.master.plan.slot import Slot, SlotEvent, SlotState
from reactorhost.master.plan.stopping import Stopping
from reactorhost.master.plan.worker_table import TERM_SECONDS, WorkerRecord, WorkerState, WorkerTable

_MOST_DRAINING_IN_A_SLOT = 4


class HostState(enum.Enum):
    """State of the whole host."""

    STARTING = "starting"
    RUNNING = "running"
    LEAVING = "leaving"
    """A stop was requested and begins after `drain_delay`; until then clients are served as before."""
    STOPPING = "stopping"


class ExitKind(enum.Enum):
    """What the end of a worker means."""

    EXPECTED = "expected"
    NOT_BOOTED = "not booted"
    CRASHED = "crashed"


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of a worker; `failed_reload`: it was the replacement of a reload, which it has ended."""

    worker: WorkerRecord
    kind: ExitKind
    failed_reload: bool = False


class Planner:
    """All workers and slots of a host, and the operations that change what is wanted of them.

    Attributes:
        settings: what the host runs with; a request can replace them.
        generation: number of the newest reload of which a worker became ready.
    """

    def __init__(self, settings: Settings, jitter: random.Random | None = None, started: Moment = BEGINNING) -> None:
        self.settings = settings
        self.state = HostState.STARTING
        self.generation = 1
        self.slots: dict[int, Slot] = {}
        self.workers: dict[int, WorkerRecord] = {}
        self.table = WorkerTable(self.workers, self.slots)
        self.reload = Reload()
        self.recycling = Recycling()
        self.limits = ServiceLimits(self.table, settings.services)
        self.scaling = Scaling(self.table, self.limits, settings.workers)
        self.autoscale = Autoscale(settings.workers_range)
        self.adoption = Adoption(self.table, self.limits)
        self.overload = Overload(self.table, self.limits)
        self.leadership = Leadership(self.table, started)
        self.stopping = Stopping(self.table)
        self._jitter = jitter or random.Random()  # noqa: S311  not for secrets
        self.recycle_limits = RecycleLimits(self.table, self.scaling, self.reload, self.recycling, self._jitter)

    # Events.

    def forked(self, pid: int, slot: int, generation: int, now: float) -> None:
        """Record that a worker was forked for a slot."""
        self.table.add(pid, slot, generation, now, self.settings.boot_timeout)
        self.workers[pid].count = self.scaling.target

    def fork_failed(self, slot: int, error: ReactorhostError, now: float) -> bool:
        """Record that the fork for a slot failed, like a boot that failed; returns whether that ended a reload."""
        if self.reload.replaces(slot):
            self.reload.fail(error, self.serving())
            return True
        self.slots[slot].last_exit = self.slots[slot].reason = error.what
        self._not_booted(slot, error, now)
        return False

    def ready(self, pid: int, now: float) -> WorkerRecord | None:
        """Record that a worker is ready; returns it, or None when it is not wanted any more."""
        worker = self.workers.get(pid)
        if worker is None or worker.state is not WorkerState.STARTING or worker.aborted:
            return None
        old_pids = [each.pid for each in self.table.in_slot(worker.slot, WorkerState.READY)]
        self.table.become_ready(worker, now)
        self.slots[worker.slot].backoff.boot_failures = 0
        # A worker of the old generation can become ready after the canary: this number never goes back.
        self.generation = max(self.generation, worker.generation)
        if self.state is HostState.STARTING:
            self.state = HostState.RUNNING
        self.recycling.replacement_ready(worker)
        if self.reload.is_replacement(worker):
            self.reload.replacement_ready(pid, old_pids)
        return worker

    def limits_declared(self, declared: Declared, now: float) -> list[Action]:
        """Record what the plugins of slot 0 declare; returns what has to be done before a slot serves."""
        if self.state is HostState.STOPPING:
            return []
        return self.limits.change(self.settings.services, declared, now + self.settings.retire_delay)

    def leaving(self, pid: int, seconds: float, now: float, *, waits: bool) -> None:
        """Record that a signal makes a worker leave; `waits`: it serves until it is ordered to drain."""
        worker = self.workers.get(pid)
        if worker is None or worker.state is not WorkerState.READY:
            return
        if waits:
            worker.deadline = now + TERM_SECONDS
        else:
            self.table.drain(worker, seconds, now, self.settings)

    def full(self, pid: int, *, full: bool) -> None:
        """Record that a worker cannot accept, or can again."""
        worker = self.workers.get(pid)
        if worker is not None:
            worker.full = full

    def stalled(self, pid: int, seconds: float, stall: Stall | None, now: float) -> None:
        """Record that a worker's loop has not turned for so long; it is ended, and its slot is filled at once."""
        where = "" if stall is None else f", in {stall}"
        worker = self.workers.get(pid)
        if worker is not None and worker.state in (WorkerState.READY, WorkerState.DRAINING):
            self.table.become_stuck(worker, f"its loop did not turn for {seconds:.1f} s (stall_timeout){where}", now)

    def exited(self, pid: int, how: str, error: ReactorhostError, now: float) -> Exit | None:
        """Record the end of a process; returns what it means, or None for a process that is not a worker.

        `error` is what operations that needed the worker are failed with, if it did not boot.
        """
        worker = self.table.remove(pid)
        if worker is None:
            return None
        self.recycling.worker_ended(pid)
        self.leadership.worker_ended(pid)
        leaving = worker.state is WorkerState.READY and worker.deadline is not None
        if leaving or worker.state in (WorkerState.DRAINING, WorkerState.STOPPING):
            return Exit(worker, ExitKind.EXPECTED)
        kind = ExitKind.NOT_BOOTED if worker.state is WorkerState.STARTING else ExitKind.CRASHED
        slot = self.slots.get(worker.slot)
        if slot is None:
            # It drained for longer than its slot had listeners, and was ended because its loop stood still.
            return Exit(worker, kind)
        slot.last_exit, slot.reason = how, error.what if kind is ExitKind.NOT_BOOTED else worker.reason or how
        if self.reload.is_replacement(worker):
            # No back-off: a worker that was to be replaced serves on, and a slot without one has its delay already.
            self.reload.fail(error, self.serving())
            return Exit(worker, kind, failed_reload=True)
        if kind is ExitKind.CRASHED:
            slot.backoff.add_crash(now, now - worker.started_at, self._jitter)
            slot.restarts += 1
        elif self._not_booted(worker.slot, error, now):
            slot.restarts += 1
        return Exit(worker, kind)

    def _not_booted(self, number: int, error: ReactorhostError, now: float) -> bool:
        """Fail the requests that waited for a worker of this slot; returns whether the slot needs another one."""
        if self.state is not HostState.STARTING:
            self.scaling.worker_failed(number, error)
        if self.recycling.not_booted(number, error, now, self._jitter):
            # No back-off of the slot, and no count: it still has its worker.
            return False
        self.slots[number].backoff.add_boot_failure(now, self._jitter)
        return True

    def serving(self) -> str:
        """Return what serves in the wanted slots: `generation 3 in slots 0-2, generation 2 in slot 3`."""
        slots: dict[int, list[int]] = {}
        for number in self.scaling.wanted():
            ready = self.table.in_slot(number, WorkerState.READY)
            slots.setdefault(max((worker.generation for worker in ready), default=0), []).append(number)
        return ", ".join(
            f"{f'generation {generation}' if generation else 'no worker'} in slot{'s' if len(each) > 1 else ''}"
            f" {numbers(sorted(each))}"
            for generation, each in sorted(slots.items(), reverse=True)
        )

    # Requests.

    def recycle(self, pid: int, watcher: Watcher) -> None:
        """Replace one worker, which drains once the new one is ready.

        Raises:
            UsageError: the process is not a worker that serves.
        """
        worker = self.workers.get(pid)
        if worker is None or worker.state is not WorkerState.READY or worker.slot not in self.scaling.wanted():
            ready = ", ".join(str(each.pid) for each in self.workers.values() if each.state is WorkerState.READY)
            raise UsageError(f"pid {pid} is not a worker that serves", hint=f"workers: {ready or 'none'}")
        self.recycling.request(worker, watcher)

    def begin_reload(self) -> bool:
        """Start the reload that was requested, if none runs; returns whether it started."""
        # Not part of `decide`, so that the start is logged before the first replacement is forked.
        if not self.reload.requested or self.reload.running or self.state is not HostState.RUNNING:
            return False
        self.reload.begin(self.generation + 1, sorted(self.scaling.wanted()))
        return True

    def leave(self, now: float) -> None:
        """Announce a stop that begins after `drain_delay`."""
        self.state = HostState.LEAVING
        begin_at = now + self.settings.drain_delay
        self.stopping.announce(begin_at, begin_at + self.settings.stop_seconds)

    def stop(self, now: float, *, at_once: bool) -> None:
        """Want no worker any more."""
        if self.state is not HostState.STOPPING:
            self.state = HostState.STOPPING
            self.stopping.begin(now + self.settings.stop_seconds)
            stopping = ReactorhostError("the host is being stopped")
            for operation in (self.reload, self.recycling):
                operation.abandon(stopping)
            self.scaling.fail(stopping)
        if at_once:
            self.stopping.hurry()

    # State.

    def next_at(self, now: float) -> float | None:
        """Return when the next deadline is due, or None without one."""
        times: list[float | None] = [worker.deadline for worker in self.workers.values()]
        if self.state is not HostState.STOPPING:
            times += [slot.retire_at for slot in self.slots.values()]
            times += [slot.adopt_at for slot in self.slots.values() if slot.adopt_at > now]
            lowest = self.table.lowest_live(self.scaling.target)
            starts = (self._start_at(self.slots[number], lowest) for number in self.scaling.wanted())
            times += [start for start in starts if start > now]
        return min((time for time in times if time is not None), default=None)

    # Decisions.

    def decide(self, now: float) -> list[Action]:
        """Return what has to be done now, apart from deadlines (`expire`)."""
        if self.state is HostState.STOPPING:
            return list(self.stopping.decide(now, self.settings))
        return [
            *self.scaling.fit(now, self.settings),
            *self._replace(now),
            *self._fill(now),
            *self._drain_surplus(now),
            *self.adoption.decide(now),
            *self.overload.decide(),
            *self.leadership.decide(),
            *self.scaling.announce(),
        ]

    def expire(self, now: float) -> list[Action]:
        """Return what has to be done about deadlines that passed; only a timer calls this."""
        return [*self.table.expire(now, self.settings), *self.adoption.expire(now)]

    def _replace(self, now: float) -> Iterator[Action]:
        """Start the next replacement of a reload, and give up those in slots that are not wanted any more."""
        wanted = self.scaling.wanted()
        self.recycling.keep_only(wanted)
        number = self.reload.choose(wanted)
        if number is None:
            return
        # A worker that boots there may have read the old code.
        for worker in self.table.in_slot(number, WorkerState.STARTING):
            yield self.table.leave_now(worker, now)
        self.slots[number].apply(SlotEvent.SPAWN)
        yield Spawn(number, self.reload.generation)

    def _fill(self, now: float) -> Iterator[Action]:
        """Start a worker in every wanted slot that has none, unless it is in back-off."""
        lowest = self.table.lowest_live(self.scaling.target)
        for number in self.scaling.wanted():
            slot = self.slots[number]
            if self.state is HostState.STARTING and number != 0:
                # Slot 0 boots alone until the first worker is ready.
                return
            if self.reload.replaces(number) or self.table.in_slot(number, WorkerState.STARTING):
                continue
            # The replacement of a recycled worker starts beside it; READY stays the state of the slot.
            if slot.state is SlotState.READY and number not in self.recycling:
                continue
            if now < self._start_at(slot, lowest):
                slot.apply(SlotEvent.WAIT)
            else:
                slot.apply(SlotEvent.SPAWN)
                lowest = min(lowest, number)
                yield Spawn(number, self.generation)

    def _start_at(self, slot: Slot, lowest: int) -> float:
        # Clients are served at any time if workers boot: the slots that may serve them are never all in back-off.
        urgent = lowest >= self.limits.slots_beside(slot.number)
        return slot.backoff.urgent_at if urgent else slot.backoff.until

    def _drain_surplus(self, now: float) -> Iterator[Action]:
        """Drain all ready workers of a slot but the newest, and the oldest that drain for long sooner."""
        for number in self.slots:
            for worker in self.table.in_slot(number, WorkerState.READY)[:-1]:
                yield self.table.drain(worker, self.settings.drain_timeout, now, self.settings)
            # Frequent reloads with long connections must not pile up processes.
            for worker in self.table.in_slot(number, WorkerState.DRAINING)[:-_MOST_DRAINING_IN_A_SLOT]:
                if worker.deadline is None or worker.deadline > now + self.settings.stop_seconds:
                    yield self.table.drain(worker, self.settings.stop_drain_seconds, now, self.settings)
