"""Recycling by limits: which workers have served enough, and when they are replaced.

Each worker has limits of its own, between 90 and 100 % of the settings, so that workers that started together are not
replaced together. The share is drawn once for each worker, so a changed setting moves its limit by the same factor.

A worker over a limit serves on
- while a reload runs or is requested, which replaces it anyway,
- while a tenth of the workers boots or is replaced,
- while so many earlier workers of its slot drain that one more would shorten the time of the oldest (planner.py),
- after a replacement that did not boot, for a back-off.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from reactorhost.config.settings import Settings
from reactorhost.master.plan.operations import Recycling, Reload
from reactorhost.master.plan.scale import Scaling
from reactorhost.master.plan.worker_table import WorkerRecord, WorkerState, WorkerTable

LIMITS = ("max_age", "max_rss", "max_connections_per_worker", "max_messages_per_worker")
_LOWEST_SHARE = 0.9
_WORKERS_FOR_ONE = 10
# One less than the planner lets drain in a slot, so that a reload has room for its own.
_MOST_DRAINING = 3
# A limit below what the plugins need would replace workers without end. This bounds what that costs.
_SECONDS_BEFORE_RSS = 30.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a worker has used: resident memory now, connections accepted and messages received so far."""

    rss_bytes: int | None
    accepted: int
    messages: int


@dataclass(frozen=True, slots=True)
class Excess:
    """A limit that a worker has reached; `limit` is the worker's own."""

    worker: WorkerRecord
    setting: str
    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class RecycleRecord:
    """The workers that were replaced, by setting, and the share of the settings that each worker may reach."""

    recycled: dict[str, int]
    shares: dict[int, float]


class RecycleLimits:
    """Chooses the workers that are replaced because of a limit.

    Attributes:
        recycled: workers that were replaced, by the setting that caused it.
    """

    def __init__(
        self, table: WorkerTable, scaling: Scaling, reload: Reload, recycling: Recycling, jitter: random.Random
    ) -> None:
        self.recycled = dict.fromkeys(LIMITS, 0)
        self._table = table
        self._scaling = scaling
        self._reload = reload
        self._recycling = recycling
        self._jitter = jitter
        self._shares: dict[int, float] = {}

    def export(self) -> RecycleRecord:
        """Return the numbers and the shares, for another program."""
        return RecycleRecord(dict(self.recycled), dict(self._shares))

    def restore(self, record: RecycleRecord) -> None:
        """Continue with those of another program, which may have had other settings."""
        self.recycled.update((name, count) for name, count in record.recycled.items() if name in self.recycled)
        self._shares = dict(record.shares)

    def due(self, usage: Mapping[int, Usage], settings: Settings, now: float) -> list[Excess]:
        """Return the workers to replace now, those that have been ready for longest first."""
        self._shares = {pid: share for pid, share in self._shares.items() if pid in self._table.workers}
        if self._reload.running or self._reload.requested or now < self._recycling.backoff.until:
            return []
        wanted = self._scaling.wanted()
        starting = {each.slot for each in self._table.workers.values() if each.state is WorkerState.STARTING}
        busy = sum(slot in starting or slot in self._recycling for slot in wanted)
        room = max(1, len(wanted) // _WORKERS_FOR_ONE) - busy
        ready = [worker for slot in wanted for worker in self._table.in_slot(slot, WorkerState.READY)]
        over = (
            excess
            for worker in sorted(ready, key=lambda each: each.since)
            if self._may_leave(worker) and (excess := self._excess(worker, usage, settings, now)) is not None
        )
        return list(islice(over, max(0, room)))

    def _may_leave(self, worker: WorkerRecord) -> bool:
        # With a deadline it got TERM, and leaves already.
        if worker.slot in self._recycling or worker.deadline is not None:
            return False
        return len(self._table.in_slot(worker.slot, WorkerState.DRAINING)) < _MOST_DRAINING

    def _excess(
        self, worker: WorkerRecord, usage: Mapping[int, Usage], settings: Settings, now: float
    ) -> Excess | None:
        share = self._shares.get(worker.pid)
        if share is None:
            share = self._shares[worker.pid] = self._jitter.uniform(_LOWEST_SHARE, 1.0)
        for setting, value in _values(usage.get(worker.pid), now - worker.since):
            most = getattr(settings, setting)
            if most is not None and value is not None and value >= most * share:
                return Excess(worker, setting, value, most * share)
        return None


def _values(used: Usage | None, ready_seconds: float) -> Iterator[tuple[str, float | None]]:
    """Yield the value that each setting limits, None if it is unknown."""
    yield "max_age", ready_seconds
    if used is not None:
        yield "max_rss", used.rss_bytes if ready_seconds >= _SECONDS_BEFORE_RSS else None
        yield "max_connections_per_worker", used.accepted
        yield "max_messages_per_worker", used.messages
