"""Sample the load once a second, and change the number of workers as it requires (plan/autoscale.py)."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise

from reactorhost.config.cpus import available_cpus
from reactorhost.master.context import MasterContext
from reactorhost.master.plan.autoscale import Load
from reactorhost.master.plan.planner import HostState
from reactorhost.master.plan.worker_table import WorkerRecord, WorkerState
from reactorhost.master.supervisor import Supervisor
from reactorhost.system import procfs

_KNOWN_WAITS = 8


@dataclass(slots=True)
class Autoscaler:
    """Passes samples to the policy, and its steps to the planner."""

    context: MasterContext
    supervisor: Supervisor
    _waits: dict[int, _Waits] = field(default_factory=dict)

    def check(self) -> None:
        """Sample the load of the last second, and make the step that follows from it."""
        planner, now = self.context.planner, time.monotonic()
        if planner.autoscale.range is None or planner.state is not HostState.RUNNING:
            return
        load = self._load(now)
        before = planner.scaling.target
        step = None if load is None else planner.autoscale.decide(load, before, planner.limits.most(), now)
        if step is not None:
            self.context.log.info("scaled_by_load", workers=step.workers, before=before, reason=step.reason)
            planner.scaling.request(step.workers)
            self.supervisor.schedule()

    def _load(self, now: float) -> Load | None:
        """Return the load of the workers that serve, None if nothing is known of it yet."""
        planner, samples = self.context.planner, self.context.monitor.samples
        wanted = [slot for slot in planner.scaling.wanted() if slot < planner.limits.most()]
        serving = [worker for slot in wanted for worker in planner.table.in_slot(slot, WorkerState.READY)[-1:]]
        self._waits = {each.pid: self._waits.get(each.pid) or _Waits() for each in serving}
        for pid, waits in self._waits.items():
            waits.note(pid, now)
        # Of a new worker there are not two samples yet.
        busy = [share for each in serving if (share := self._busy(each, now)) is not None]
        if not busy:
            return None
        counters = [self.context.pool.counters(each.pid) for each in serving]
        connections = sum(each.connections for each in counters)
        lags = sorted(each.lag_max_seconds for each in counters)
        # Clients wait for the rate that the operator has set, however many workers there are.
        unlimited = {each.name for each in planner.settings.services if each.accept_rate is None}
        return Load(
            len(serving),
            sum(busy) / len(busy),
            connections / (len(serving) * planner.settings.max_connections),
            lags[len(lags) // 2],
            self.context.listeners.waiting(unlimited),
            sum(samples.cpu_percent(each.pid) or 0.0 for each in serving) / 100,
            available_cpus(),
        )

    def _busy(self, worker: WorkerRecord, now: float) -> float | None:
        """Return the share of the last second in which a worker waited for nothing, from 0 to 1.

        Time in which it waited for a processor does not count: more workers would only wait for the same ones.
        """
        samples, waits = self.context.monitor.samples, self._waits[worker.pid]
        if worker.silent:
            # It stores nothing while a hook blocks its loop, or while it has no processor.
            return max(0.0, 1.0 - waits.between(now - 1.0, now))
        busy, cpu = samples.busy(worker.pid), samples.cpu_percent(worker.pid)
        if busy is None or cpu is None:
            return None
        # Tasks of asyncio run outside of the turns that are measured. With threads a worker can use several processors.
        share = (busy.seconds - waits.between(busy.since, busy.until)) / (busy.until - busy.since)
        return min(1.0, max(share, cpu / 100))


class _Waits:
    """How long a process had waited for a processor, at some of the last seconds."""

    def __init__(self) -> None:
        self._known: deque[tuple[float, float]] = deque(maxlen=_KNOWN_WAITS)

    def note(self, pid: int, now: float) -> None:
        """Read it now."""
        self._known.append((now, procfs.waited_seconds(pid)))

    def between(self, since: float, until: float) -> float:
        """Return how much of the time from `since` to `until` the process waited."""
        return self._at(until) - self._at(since)

    def _at(self, moment: float) -> float:
        # Workers store their counters at moments of their own, up to a second before this one looks.
        waited = 0.0
        for (before, had_waited), (after, has_waited) in pairwise(self._known):
            share = (moment - before) / (after - before)
            waited = had_waited + (has_waited - had_waited) * min(1.0, max(0.0, share))
            if moment <= after:
                break
        return waited
