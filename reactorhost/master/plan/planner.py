"""The roster: which workers there are, which are missing, late, surplus or in back-off, and what to do about it.

Nothing here makes a system call or reads a clock. Events come in with `now` (monotonic seconds), `decide` returns
the actions, and whoever carries them out reports back what became of them.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from reactorhost.master.plan.actions import (
    Abort,
    Action,
    Adopt,
    Close,
    Drain,
    Kill,
    LeaveNow,
    Open,
    Release,
    Retire,
    Spawn,
    Steer,
)

_FIRST_BACKOFF_SECONDS = 0.1
_LONGEST_BACKOFF_SECONDS = 30.0
_STEADY_SECONDS = 30.0
_ABORT_SECONDS = 2.0
_KILL_AFTER_SECONDS = 3.0
_MOST_DRAINING_IN_A_SLOT = 4
_RETIRE_RETRY_SECONDS = 1.0


class WorkerState(enum.StrEnum):
    """What a worker is at, as its master sees it."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPING = "stopping"
    STUCK = "stuck"


class HostState(enum.Enum):
    """What the whole host is at."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"


class ExitKind(enum.Enum):
    """What a worker's end means."""

    EXPECTED = "expected"
    NOT_BOOTED = "not booted"
    CRASHED = "crashed"


@dataclass(slots=True)
class WorkerRecord:
    """One worker process.

    `deadline` is when patience with its present state ends, `reason` what is to be said then; `aborted` says that it
    was asked for its stack, `hurried` that it was told to leave at once.
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
    """The end of a worker; `failed_reload` says that it was to be the replacement of one that serves on."""

    member: WorkerRecord
    kind: ExitKind
    failed_reload: bool


@dataclass(slots=True)
class Slot:
    """One place for a worker, whose listeners outlive every worker in it.

    `holders` are the workers that may have copies of its listeners. `retiring` says that the adopter was asked to
    close its own: when it did, the master's are the last.
    """

    number: int
    serving: bool = False
    failures: int = 0
    restarts: int = 0
    not_before: float = 0.0
    adopter: int | None = None
    leaving_since: float | None = None
    retire_at: float | None = None
    retiring: bool = False
    last_exit: str | None = None
    holders: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Reload:
    """A rolling reload on its way: one slot after the other, the first one is the canary."""

    generation: int
    waiting: list[int]
    slot: int | None = None
    replaced: int = 0


@dataclass(slots=True)
class Planner:
    """All workers of a host and what is wanted of them.

    Attributes:
        target: number of slots that should serve.
        generation: number of the last reload that a worker became ready with.
    """

    target: int
    boot_timeout: float
    stop_timeout: float
    drain_timeout: float
    retire_delay: float
    jitter: random.Random = field(default_factory=random.Random)
    mode: HostState = HostState.STARTING
    generation: int = 1
    slots: dict[int, Slot] = field(default_factory=dict)
    members: dict[int, WorkerRecord] = field(default_factory=dict)
    reload: Reload | None = None
    recycling: set[int] = field(default_factory=set)
    _stop_at: float | None = None
    _hurry: bool = False

    # What happened.

    def forked(self, pid: int, slot: int, generation: int, page: int, now: float) -> None:
        """Note that a worker was forked for a slot."""
        self.slots[slot].holders.add(pid)
        self.members[pid] = WorkerRecord(
            pid, slot, generation, page, now, WorkerState.STARTING, now, now + self.boot_timeout
        )

    def fork_failed(self, slot: int, now: float) -> bool:
        """Note that no process could be made; the slot waits as after a crash. Returns whether that ended a reload."""
        if self.reload is not None and self.reload.slot == slot:
            self.reload = None
            return True
        self._back_off(self.slots[slot], now)
        return False

    def ready(self, pid: int, now: float) -> WorkerRecord | None:
        """Note that a worker reported READY; returns it, or None when it is not wanted any more."""
        member = self.members.get(pid)
        if member is None or member.state is not WorkerState.STARTING or member.aborted:
            return None
        member.state, member.since, member.deadline = WorkerState.READY, now, None
        self.slots[member.slot].serving = True
        self.generation = max(self.generation, member.generation)
        if self.mode is HostState.STARTING:
            self.mode = HostState.RUNNING
        self.recycling.discard(member.slot)
        if self.reload is not None and self._is_replacement(member):
            self.reload.slot = None
            self.reload.replaced += 1
        return member

    def leaving(self, pid: int, seconds: float, now: float) -> None:
        """Note that somebody else told a worker to leave; its slot wants a new one at once."""
        member = self.members.get(pid)
        if member is not None and member.state is WorkerState.READY:
            self._let_go(member, WorkerState.DRAINING, seconds, now)

    def stalled(self, pid: int, seconds: float, now: float) -> None:
        """Note that the loop of a worker has not turned for so long: it is ended, and somebody else serves at once."""
        member = self.members.get(pid)
        if member is not None and member.state in (WorkerState.READY, WorkerState.DRAINING):
            member.state, member.since, member.deadline = WorkerState.STUCK, now, now
            member.reason = f"its loop did not turn for {seconds:.1f} s (stall_timeout)"

    def recycle(self, pid: int) -> bool:
        """Replace one worker, which drains once the new one is ready; False when it is none that serves."""
        member = self.members.get(pid)
        if member is None or member.state is not WorkerState.READY or member.slot not in self._active():
            return False
        self.recycling.add(member.slot)
        return True

    def exited(self, pid: int, why: str, now: float) -> Exit | None:
        """Note that a process ended; returns what that means, or None for a stranger."""
        member = self.members.pop(pid, None)
        if member is None:
            return None
        for each in self.slots.values():
            each.holders.discard(pid)
        if member.state in (WorkerState.DRAINING, WorkerState.STOPPING):
            return Exit(member, ExitKind.EXPECTED, failed_reload=False)
        kind = ExitKind.NOT_BOOTED if member.state is WorkerState.STARTING else ExitKind.CRASHED
        slot = self.slots[member.slot]
        slot.last_exit = why
        if self._is_replacement(member):
            self.reload = None
            return Exit(member, kind, failed_reload=True)
        if member.slot in self.recycling and kind is ExitKind.NOT_BOOTED:
            self.recycling.discard(member.slot)
            return Exit(member, kind, failed_reload=False)
        slot.restarts += 1
        if kind is ExitKind.CRASHED and now - member.since >= _STEADY_SECONDS:
            slot.failures = 0
        self._back_off(slot, now)
        return Exit(member, kind, failed_reload=False)

    def start_reload(self) -> None:
        """Replace every worker, one slot after the other, by one of the next generation."""
        self.reload = Reload(self.generation + 1, sorted(self._active()))

    def scale(self, target: int) -> None:
        """Want `target` workers from now on."""
        self.target = target

    def stop(self, now: float, *, at_once: bool) -> None:
        """Want no worker any more."""
        self.mode = HostState.STOPPING
        self.reload = None
        self._hurry = self._hurry or at_once
        if self._stop_at is None:
            self._stop_at = now + self.stop_timeout

    def retire_later(self, slot: int, when: float) -> None:
        """Try again at `when` to close a slot."""
        self.slots[slot].retiring = False
        self.slots[slot].retire_at = when

    def released(self, number: int, pid: int, now: float) -> bool:
        """Note that a worker closed its copies of a slot's listeners; returns whether the slot is to be closed."""
        slot = self.slots.get(number)
        if slot is None:
            return False
        slot.holders.discard(pid)
        if not slot.retiring or slot.adopter != pid:
            return False
        slot.retiring, slot.adopter = False, None
        if self._held(slot):
            slot.retire_at = now + _RETIRE_RETRY_SECONDS
            return False
        return True

    def retired(self, slot: int) -> None:
        """Forget a slot whose listeners are closed."""
        self.slots.pop(slot, None)

    # What is so.

    def in_slot(self, slot: int, *states: WorkerState) -> list[WorkerRecord]:
        """Return the workers of a slot in one of these states, the oldest first."""
        return [member for member in self.members.values() if member.slot == slot and member.state in states]

    def ready_slots(self) -> int:
        """Return how many of the wanted slots have a worker that is ready."""
        return sum(1 for slot in self._active() if self.in_slot(slot, WorkerState.READY))

    def scaled(self) -> bool:
        """Say whether exactly the wanted slots are served by workers of their own."""
        leaving = (slot.number for slot in self.slots.values() if slot.leaving_since is not None)
        surplus = any(self.in_slot(slot, WorkerState.STARTING, WorkerState.READY) for slot in leaving)
        return self.ready_slots() == self.target and not surplus

    def stopped(self) -> bool:
        """Say whether nothing is left to stop."""
        return self.mode is HostState.STOPPING and not self.members

    def seconds_to_stop(self, now: float) -> float:
        """Return how long a stop still waits for connections to end."""
        return 0.0 if self._stop_at is None or self._hurry else max(0.0, self._stop_at - now)

    def next_at(self, now: float) -> float | None:
        """Return when something is due that no event will tell, or None."""
        return min(self._deadlines(now), default=None)

    # What to do.

    def decide(self, now: float) -> list[Action]:
        """Return what is to be done now. Deadlines are not looked at: see `expire`."""
        if self.mode is HostState.STOPPING:
            return list(self._stop_all(now))
        return [
            *self._fit_slots(now),
            *self._replace(now),
            *self._fill(now),
            *self._let_old_ones_go(now),
            *self._adopt(now),
        ]

    def expire(self, now: float) -> list[Action]:
        """Return what is to be done about deadlines that passed.

        Called only by a timer: by then every report that had arrived was read, so a master that was itself stopped
        for a while blames no worker for it.
        """
        actions: list[Action] = []
        for member in self.members.values():
            if member.deadline is None or now < member.deadline:
                continue
            if member.state in (WorkerState.STARTING, WorkerState.STUCK) and not member.aborted:
                member.aborted = True
                member.deadline = now + _ABORT_SECONDS
                late = f"not ready within {self.boot_timeout:g} s (boot_timeout)"
                actions.append(Abort(member.pid, member.reason or late))
            else:
                member.deadline = now + _KILL_AFTER_SECONDS
                actions.append(Kill(member.pid, f"still {member.state} after its deadline"))
        for slot in self.slots.values():
            if slot.retire_at is not None and now >= slot.retire_at:
                if self._held(slot):
                    slot.retire_at = now + _RETIRE_RETRY_SECONDS
                    continue
                slot.retire_at = None
                slot.retiring = slot.adopter is not None
                actions.append(Retire(slot.number, slot.adopter))
        return actions

    def _fit_slots(self, now: float) -> Iterator[Action]:
        """Open the slots that are missing, and send away the highest that are too many."""
        before = [slot.number for slot in self.slots.values() if slot.leaving_since is not None]
        for number in range(self.target):
            slot = self.slots.get(number)
            if slot is None:
                self.slots[number] = Slot(number)
                yield Open(number)
            elif slot.leaving_since is not None:
                slot.leaving_since = slot.retire_at = None
                if slot.retiring:
                    slot.retiring, slot.adopter = False, None
                slot.failures, slot.not_before = 0, 0.0
        for slot in list(self.slots.values()):
            if slot.number >= self.target and slot.leaving_since is None:
                yield from self._send_away(slot, now)
        after = [slot.number for slot in self.slots.values() if slot.leaving_since is not None]
        if before != after:
            yield Steer(tuple(after))

    def _send_away(self, slot: Slot, now: float) -> Iterator[Action]:
        """Let a slot's worker go; listeners that ever served are kept until they are certainly empty."""
        slot.leaving_since = now
        self.recycling.discard(slot.number)
        if self.reload is not None and self.reload.slot == slot.number:
            self.reload.slot = None
        for member in self.in_slot(slot.number, WorkerState.STARTING):
            yield self._hurry_out(member, now)
        for member in self.in_slot(slot.number, WorkerState.READY):
            yield self._let_go(member, WorkerState.DRAINING, self.drain_timeout, now)
        if slot.serving:
            slot.retire_at = now + self.retire_delay
        else:
            self.slots.pop(slot.number)
            yield Close(slot.number)

    def _replace(self, now: float) -> Iterator[Action]:
        """Start the next replacement of a reload."""
        reload = self.reload
        if reload is None or reload.slot is not None:
            return
        while reload.waiting:
            slot = reload.waiting.pop(0)
            if slot in self._active():
                # Whatever boots there already may have read the old code.
                for member in self.in_slot(slot, WorkerState.STARTING):
                    yield self._hurry_out(member, now)
                reload.slot = slot
                yield Spawn(slot, reload.generation)
                return

    def _fill(self, now: float) -> Iterator[Action]:
        """Start a worker in every slot that has none, unless it is in back-off."""
        for number in self._active():
            slot = self.slots[number]
            if self.mode is HostState.STARTING and number != 0:
                return
            if self.reload is not None and self.reload.slot == number:
                continue
            wanted = (WorkerState.STARTING,) if number in self.recycling else (WorkerState.STARTING, WorkerState.READY)
            if now >= slot.not_before and not self.in_slot(number, *wanted):
                yield Spawn(number, self.generation)

    def _let_old_ones_go(self, now: float) -> Iterator[Action]:
        """Let only the newest ready worker of each slot serve, and limit how many old ones drain."""
        for number in self.slots:
            for member in self.in_slot(number, WorkerState.READY)[:-1]:
                yield self._let_go(member, WorkerState.DRAINING, self.drain_timeout, now)
            for member in self.in_slot(number, WorkerState.DRAINING)[:-_MOST_DRAINING_IN_A_SLOT]:
                soonest = now + self.stop_timeout + _KILL_AFTER_SECONDS
                if member.deadline is None or member.deadline > soonest:
                    yield self._let_go(member, WorkerState.DRAINING, self.stop_timeout, now)

    def _adopt(self, now: float) -> Iterator[Action]:
        """Give the listeners of every slot without a ready worker to a neighbour, and take them back later."""
        for slot in self.slots.values():
            if not slot.serving:
                continue
            has_own = bool(self.in_slot(slot.number, WorkerState.READY))
            adopter = None if slot.adopter is None else self.members.get(slot.adopter)
            if adopter is not None and adopter.state is not WorkerState.READY:
                adopter = None
            if slot.retiring and adopter is not None:
                continue
            if slot.retiring:
                slot.retiring, slot.retire_at = False, now
            if has_own and adopter is not None:
                yield Release(slot.number, adopter.pid)
                adopter = None
            elif not has_own and adopter is None:
                adopter = self._neighbour(slot.number)
                if adopter is not None:
                    slot.holders.add(adopter.pid)
                    yield Adopt(slot.number, adopter.pid)
            slot.adopter = None if adopter is None else adopter.pid

    def _stop_all(self, now: float) -> Iterator[Action]:
        seconds = max(0.0, (self._stop_at or now) - now)
        for member in self.members.values():
            if (self._hurry and not member.hurried) or member.state is WorkerState.STARTING:
                yield self._hurry_out(member, now)
            elif member.state is not WorkerState.STOPPING:
                yield self._let_go(member, WorkerState.STOPPING, seconds, now, final=True)

    def _hurry_out(self, member: WorkerRecord, now: float) -> LeaveNow:
        member.state, member.since, member.hurried = WorkerState.STOPPING, now, True
        member.deadline = now + _ABORT_SECONDS
        return LeaveNow(member.pid)

    def _let_go(
        self, member: WorkerRecord, state: WorkerState, seconds: float, now: float, *, final: bool = False
    ) -> Drain:
        if member.state is not state:
            member.state, member.since = state, now
        member.deadline = now + seconds + _KILL_AFTER_SECONDS
        return Drain(member.pid, seconds, final)

    def _back_off(self, slot: Slot, now: float) -> None:
        """Let a slot wait: not at all the first time, then 0.1 s doubling to 30 s, spread by a quarter."""
        slot.failures += 1
        if slot.failures == 1:
            slot.not_before = now
            return
        doublings = min(slot.failures - 2, 20)
        delay = min(_FIRST_BACKOFF_SECONDS * 2**doublings, _LONGEST_BACKOFF_SECONDS)
        slot.not_before = now + delay * self.jitter.uniform(0.75, 1.25)

    def _held(self, slot: Slot) -> bool:
        """Say whether anybody but its adopter may still have copies of a slot's listeners.

        While one has, the kernel counts them among the sockets of the group and lets clients come there. A worker
        that boots may not have closed yet what it inherited of other slots.
        """
        booting = (WorkerState.STARTING, WorkerState.STOPPING)
        return any(member.state in booting for member in self.members.values()) or not slot.holders <= {slot.adopter}

    def _is_replacement(self, member: WorkerRecord) -> bool:
        reload = self.reload
        return reload is not None and reload.slot == member.slot and member.generation == reload.generation

    def _active(self) -> list[int]:
        return [number for number in range(self.target) if number in self.slots]

    def _neighbour(self, slot: int) -> WorkerRecord | None:
        """Return the ready worker of the next slot that has one, going round."""
        ready = [member for member in self.members.values() if member.state is WorkerState.READY]
        return min(ready, key=lambda member: (member.slot <= slot, member.slot), default=None)

    def _deadlines(self, now: float) -> Iterator[float]:
        for member in self.members.values():
            if member.deadline is not None:
                yield member.deadline
        if self.mode is HostState.STOPPING:
            return
        for slot in self.slots.values():
            if slot.retire_at is not None:
                yield slot.retire_at
            if slot.leaving_since is None and slot.not_before > now:
                yield slot.not_before
