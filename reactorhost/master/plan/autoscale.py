"""The number of workers that a load requires, for a host with a range of them.

The measure is the use of a worker: the share of the last second in which its loop waited neither for clients nor for a
processor, or of a processor that it used, or the share of `max_connections` that it has open, whichever is larger. It
is a mean over all workers that serve, so use times workers is what the load is worth, and the number that brings the
use to a goal can be computed.

Grow, when the last three samples agree, to the number that brings the use to 45 %, at most to twice the workers:
- the use is above 75 %, or
- the use is above 50 %, and half of the workers had a turn of 100 ms: clients notice, and shorter queues will help, or
- clients wait in the accept queues although the use is lower: half as many workers more.
Not while the workers use the processors up: then more of them only divide what there is. Connections are the exception.

Shrink, when each sample of a minute would allow it, to the number at which the busiest of them has a use of 40 %, at
most by half.

Why this does not oscillate. Between the use that is aimed at (45, 40) and those that act (75, 50, and 40 after the
workers are fewer) is room, so a load that stays the same causes no second step. For a load that comes and goes, a
growth within five minutes after a shrink doubles the minute, up to 16, so workers are kept for what comes back soon.
After a step the samples begin anew, and no step follows before the workers of the last one serve.

Lag alone is no reason: a hook that blocks for 300 ms makes every turn with it as long, whatever the number of workers.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

from reactorhost.config.worker_count import WorkerRange

_HIGH_USE = 0.75
_HIGH_USE_WITH_LAG = 0.5
_GOAL_AFTER_GROWTH = 0.45
_GOAL_AFTER_SHRINK = 0.4
_LONG_LAG_SECONDS = 0.1
_LONG_QUEUE_PER_WORKER = 8
_CPUS_USED_UP = 0.9
_SAMPLES_TO_GROW = 3
_PATIENCE_SECONDS = 60.0
_LONGEST_PATIENCE_SECONDS = 960.0
_REGRET_SECONDS = 300.0
_FORGET_SECONDS = 3600.0
_LONGEST_BOOT_SECONDS = 30.0
_ENOUGH_READY = 0.75
_RETRY_SECONDS = 60.0
_LONGEST_GAP_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Load:
    """The load of the workers that serve, over about the last second.

    Attributes:
        workers: how many they are.
        busy: mean share of the time in which a loop waited for nothing, or of a processor that its process used.
        connections: share of `max_connections` that they have open.
        lag_seconds: longest turn of the worker in the middle.
        queued: clients that wait to be accepted.
        cpus: processors that they use together.
        cpus_usable: processors that the host may use.
    """

    workers: int
    busy: float
    connections: float
    lag_seconds: float
    queued: int
    cpus: float
    cpus_usable: int

    @property
    def use(self) -> float:
        """Return the larger share."""
        return max(self.busy, self.connections)


@dataclass(frozen=True, slots=True)
class Step:
    """A change of the number of workers, and why."""

    workers: int
    reason: str


@dataclass(frozen=True, slots=True)
class AutoscaleRecord:
    """What another program needs: see `Autoscale`. It begins with samples of its own."""

    range: WorkerRange | None
    step: Step | None
    step_at: float
    wanted: int | None
    held_until: float
    grown_at: float
    shrunk_at: float
    patience: float


class Autoscale:
    """Decides once a second how many workers there are to be.

    Attributes:
        range: where the number stays; None while it does not follow the load.
        load: the newest sample.
        step: the last step.
        step_at: when it was, in monotonic seconds.
    """

    def __init__(self, workers_range: WorkerRange | None) -> None:
        self.range = workers_range
        self.load: Load | None = None
        self.step: Step | None = None
        self.step_at = -math.inf
        self._sampled_at = -math.inf
        self._wanted: int | None = None
        self._held_until = -math.inf
        self._grown_at = -math.inf
        self._shrunk_at = -math.inf
        self._patience = _PATIENCE_SECONDS
        self._growth: deque[Load] = deque(maxlen=_SAMPLES_TO_GROW)
        self._calm_since = math.inf
        self._peak = 0.0

    def export(self) -> AutoscaleRecord:
        """Return the range and the steps so far, for another program."""
        return AutoscaleRecord(
            self.range,
            self.step,
            self.step_at,
            self._wanted,
            self._held_until,
            self._grown_at,
            self._shrunk_at,
            self._patience,
        )

    def restore(self, record: AutoscaleRecord) -> None:
        """Continue with the range and after the steps of another program."""
        self.range, self.step, self.step_at = record.range, record.step, record.step_at
        self._wanted, self._held_until, self._patience = record.wanted, record.held_until, record.patience
        self._grown_at, self._shrunk_at = record.grown_at, record.shrunk_at

    def decide(self, load: Load, target: int, most: int, now: float) -> Step | None:
        """Return the step to make now; `target` workers are wanted, and no more than `most` have work to do."""
        self.load = load
        gap, self._sampled_at = now - self._sampled_at, now
        if self.range is None:
            self._wanted = None
            return None
        if self._wanted != target:
            # Not by a step: a request, or a slot that cannot be opened, which would fail again at once.
            if self._wanted is not None:
                self._held_until = now + _RETRY_SECONDS
            self._wanted = target
            self._begin_anew()
        if gap > _LONGEST_GAP_SECONDS:
            # The master was suspended.
            self._begin_anew()
        limits = replace(self.range, most=max(self.range.least, min(self.range.most, most)))
        step = self._step(load, target, limits, now)
        if step is not None:
            self._note(step, target, now)
        return step

    def _step(self, load: Load, target: int, limits: WorkerRange, now: float) -> Step | None:
        if target != limits.nearest(target):
            return Step(limits.nearest(target), f"outside of {limits}")
        if load.workers < target and self._may_boot(load, target, now):
            self._begin_anew()
            return None
        return self._growth_step(load, target, limits, now) or self._shrink_step(load, target, limits, now)

    def _may_boot(self, load: Load, target: int, now: float) -> bool:
        """Say whether the missing workers are to be waited for; a few that never boot must not keep others away."""
        since = now - max(self._grown_at, self._held_until)
        return since < _LONGEST_BOOT_SECONDS or load.workers < _ENOUGH_READY * target

    def _growth_step(self, load: Load, target: int, limits: WorkerRange, now: float) -> Step | None:
        reason = _reason_to_grow(load)
        if reason is None:
            self._growth.clear()
            return None
        self._calm_since = math.inf
        self._growth.append(load)
        if len(self._growth) < _SAMPLES_TO_GROW or now < self._held_until:
            return None
        use = sum(each.use for each in self._growth) / _SAMPLES_TO_GROW
        needed = _needed(load.workers, use, _GOAL_AFTER_GROWTH)
        if needed <= target:
            needed = target + max(1, target // 2)
        workers = limits.nearest(min(needed, 2 * target))
        return Step(workers, reason) if workers > target else None

    def _shrink_step(self, load: Load, target: int, limits: WorkerRange, now: float) -> Step | None:
        needed = _needed(load.workers, load.use, _GOAL_AFTER_SHRINK)
        if needed >= target or load.queued >= _LONG_QUEUE_PER_WORKER:
            self._calm_since = math.inf
            return None
        if self._calm_since == math.inf:
            self._calm_since, self._peak = now, 0.0
        self._peak = max(self._peak, load.use)
        if now - self._calm_since < self._patience or now < self._held_until:
            return None
        needed = _needed(load.workers, self._peak, _GOAL_AFTER_SHRINK)
        workers = limits.nearest(max(needed, (target + 1) // 2))
        return Step(workers, f"use {self._peak:.0%} at most for {self._patience:.0f} s") if workers < target else None

    def _note(self, step: Step, target: int, now: float) -> None:
        if step.workers > target:
            if now - self._shrunk_at < _REGRET_SECONDS:
                self._patience = min(2 * self._patience, _LONGEST_PATIENCE_SECONDS)
            self._grown_at = now
        else:
            if now - self._grown_at > _FORGET_SECONDS:
                self._patience = _PATIENCE_SECONDS
            self._shrunk_at = now
        self.step, self.step_at, self._wanted = step, now, step.workers
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._growth.clear()
        self._calm_since = math.inf


def _reason_to_grow(load: Load) -> str | None:
    if load.connections > _HIGH_USE:
        return f"connections {load.connections:.0%} of max_connections"
    if load.cpus >= _CPUS_USED_UP * load.cpus_usable:
        return None
    if load.busy > _HIGH_USE:
        return f"use {load.busy:.0%}"
    if load.busy > _HIGH_USE_WITH_LAG and load.lag_seconds >= _LONG_LAG_SECONDS:
        return f"lag {load.lag_seconds * 1000:.0f} ms, use {load.busy:.0%}"
    if load.queued >= _LONG_QUEUE_PER_WORKER * load.workers:
        return f"{load.queued} clients wait to be accepted"
    return None


def _needed(workers: int, use: float, goal: float) -> int:
    """Return how many workers bring the use to the goal; 1e-9 for products that are whole but for rounding."""
    return max(1, math.ceil(workers * use / goal - 1e-9))
