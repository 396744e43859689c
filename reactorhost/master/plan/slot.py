"""A slot: a stable place for a worker, whose listeners outlive every worker in it.

    OPENING, OPENING_BACKOFF   no client reaches the slot yet: its listeners open when its first worker is ready
    STARTING, BACKOFF, READY   clients reach it; without a worker of its own, another slot's worker accepts for it
    LEAVING, RETIRING          the host was scaled down: its listeners stay until their queues are certainly empty

A slot that leaves before it was ready once is removed at once: no client can wait there.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Mapping
from dataclasses import dataclass, field

_FIRST_SECONDS = 0.1
_LONGEST_SECONDS = 30.0
_LONGEST_AFTER_CRASH_SECONDS = 1.0
_STEADY_SECONDS = 30.0
_SPREAD = 0.25
# Past this the delay has reached its limit by far, and 2**n would only grow.
_MOST_DOUBLINGS = 20


class SlotState(enum.Enum):
    """What a slot waits for. A replacement that boots beside a ready worker does not change the state.

    Attributes:
        OPENING: its first worker starts.
        OPENING_BACKOFF: its first worker failed; the next try waits.
        STARTING: a worker starts.
        BACKOFF: the worker failed; the next try waits.
        READY: a worker of its own serves.
        LEAVING: it is not wanted; another worker serves its listeners.
        RETIRING: the adopter was ordered to close its copies of the listeners; the master closes its own after that.
    """

    OPENING = "opening"
    OPENING_BACKOFF = "opening_backoff"
    STARTING = "starting"
    BACKOFF = "backoff"
    READY = "ready"
    LEAVING = "leaving"
    RETIRING = "retiring"


class SlotEvent(enum.Enum):
    """What changes the state of a slot.

    Attributes:
        SPAWN: a worker is started in it.
        WAIT: it has no worker, and its back-off is not over.
        READY: a worker of its own became ready.
        LOST: its last ready worker ended, drains or is stuck.
        UNWANTED: the host was scaled down below it.
        WANTED: the host was scaled up before the slot was closed.
        RETIRE: nothing but its adopter can have copies of its listeners.
        KEEP: its listeners cannot be closed yet.
    """

    SPAWN = "spawn"
    WAIT = "wait"
    READY = "ready"
    LOST = "lost"
    UNWANTED = "unwanted"
    WANTED = "wanted"
    RETIRE = "retire"
    KEEP = "keep"


# Every pair that is not here is a bug of the planner.
TRANSITIONS: Mapping[tuple[SlotState, SlotEvent], SlotState] = {
    (SlotState.OPENING, SlotEvent.SPAWN): SlotState.OPENING,
    (SlotState.OPENING, SlotEvent.WAIT): SlotState.OPENING_BACKOFF,
    (SlotState.OPENING, SlotEvent.READY): SlotState.READY,
    (SlotState.OPENING_BACKOFF, SlotEvent.SPAWN): SlotState.OPENING,
    (SlotState.OPENING_BACKOFF, SlotEvent.WAIT): SlotState.OPENING_BACKOFF,
    (SlotState.STARTING, SlotEvent.SPAWN): SlotState.STARTING,
    (SlotState.STARTING, SlotEvent.WAIT): SlotState.BACKOFF,
    (SlotState.STARTING, SlotEvent.READY): SlotState.READY,
    (SlotState.STARTING, SlotEvent.UNWANTED): SlotState.LEAVING,
    (SlotState.BACKOFF, SlotEvent.SPAWN): SlotState.STARTING,
    (SlotState.BACKOFF, SlotEvent.WAIT): SlotState.BACKOFF,
    (SlotState.BACKOFF, SlotEvent.UNWANTED): SlotState.LEAVING,
    # A replacement: of a reload, or of a worker that is recycled, which may be in back-off too.
    (SlotState.READY, SlotEvent.SPAWN): SlotState.READY,
    (SlotState.READY, SlotEvent.WAIT): SlotState.READY,
    (SlotState.READY, SlotEvent.READY): SlotState.READY,
    (SlotState.READY, SlotEvent.LOST): SlotState.STARTING,
    (SlotState.READY, SlotEvent.UNWANTED): SlotState.LEAVING,
    (SlotState.LEAVING, SlotEvent.WANTED): SlotState.STARTING,
    (SlotState.LEAVING, SlotEvent.RETIRE): SlotState.RETIRING,
    (SlotState.LEAVING, SlotEvent.KEEP): SlotState.LEAVING,
    (SlotState.RETIRING, SlotEvent.WANTED): SlotState.STARTING,
    (SlotState.RETIRING, SlotEvent.KEEP): SlotState.LEAVING,
}

_STATUS = {SlotState.OPENING: "starting", SlotState.OPENING_BACKOFF: "backoff", SlotState.RETIRING: "leaving"}


@dataclass(slots=True)
class Backoff:
    """How a slot's workers failed in a row, and when (monotonic seconds) the next one starts.

    A worker that does not boot fails for a cause that lasts, so the delay grows to 30 s. One that became ready can end
    by what a client sent: its slot is back within about a second, or a client that repeats it would end the service.

    Attributes:
        boot_failures: workers in a row that did not become ready.
        crashes: workers in a row that became ready and ended within 30 s.
        until: the next worker starts then,
        urgent_at: or then, if no worker of the host serves and the last one here had become ready.
    """

    boot_failures: int = 0
    crashes: int = 0
    until: float = 0.0
    urgent_at: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether a worker failed since the slot was last steady."""
        return self.boot_failures + self.crashes > 0

    def add_boot_failure(self, now: float, jitter: random.Random) -> None:
        """Set the delay: none after the first failure of any kind, then 0.1 s doubling to 30 s."""
        self.boot_failures += 1
        failures = self.boot_failures + (self.crashes > 0)
        self.until = self.urgent_at = now + _delay(failures, _LONGEST_SECONDS, jitter)

    def add_crash(self, now: float, ran_seconds: float, jitter: random.Random) -> None:
        """Set the delay: none after the first crash, then 0.1 s doubling to 1 s."""
        self.boot_failures = 0
        self.crashes = 1 if ran_seconds >= _STEADY_SECONDS else self.crashes + 1
        self.until = now + _delay(self.crashes, _LONGEST_AFTER_CRASH_SECONDS, jitter)
        # Not at once: a plugin that ends every worker right after its boot would make the host fork without pause.
        self.urgent_at = min(self.until, now + _FIRST_SECONDS)


def _delay(failures: int, longest: float, jitter: random.Random) -> float:
    if failures == 1:
        return 0.0
    # Without the spread, slots that fail for one cause (a database that is down) would retry in step.
    doublings = min(failures - 2, _MOST_DOUBLINGS)
    return min(_FIRST_SECONDS * 2.0**doublings, longest) * jitter.uniform(1 - _SPREAD, 1 + _SPREAD)


@dataclass(slots=True)
class Slot:
    """One slot: its state, and what belongs to it.

    Attributes:
        number: position of the slot, from 0; that of a remnant (service_limits.py) is above those of all workers.
        services: the services that it has listeners of. Those of unix addresses are shared, and no slot's own.
        backoff: how its workers failed in a row, and the delay that follows.
        adopter: process id of the other slot's worker that serves its listeners, while it has no ready worker.
        retire_at: when to try to close its listeners, in monotonic seconds; only of a slot that leaves.
        refused_by: process id of the worker that was the last one without free descriptors for its listeners.
        adopt_at: before this, in monotonic seconds, no other worker is ordered to adopt it.
        holders: process ids of the workers that may have copies of its listeners.
        restarts: unexpected ends of its workers.
        last_exit: how the last of them ended.
        reason: why the last worker ended or did not boot, in the words of its error if it reported one.
    """

    number: int
    state: SlotState = SlotState.OPENING
    services: frozenset[str] = frozenset()
    backoff: Backoff = field(default_factory=Backoff)
    adopter: int | None = None
    retire_at: float | None = None
    refused_by: int | None = None
    adopt_at: float = 0.0
    holders: set[int] = field(default_factory=set)
    restarts: int = 0
    last_exit: str | None = None
    reason: str | None = None

    def apply(self, event: SlotEvent) -> None:
        """Change the state.

        Raises:
            KeyError: the event cannot happen in this state.
        """
        self.state = TRANSITIONS[self.state, event]
        # So that no timer fires for a slot that is wanted again, or whose adopter was ordered already.
        if self.state is not SlotState.LEAVING:
            self.retire_at = None

    @property
    def reachable(self) -> bool:
        """Whether clients reach its listeners."""
        return self.state not in (SlotState.OPENING, SlotState.OPENING_BACKOFF)

    @property
    def wanted(self) -> bool:
        """Whether it is to have a worker."""
        return self.state not in (SlotState.LEAVING, SlotState.RETIRING)

    @property
    def status(self) -> str:
        """The state as the status document names it, which does not distinguish a slot's first worker."""
        return _STATUS.get(self.state, self.state.value)
