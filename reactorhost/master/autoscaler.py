"""Sample the load once a second, and change the number of workers as it requires (plan/autoscale.py)."""

from __future__ import annotations

import time
from dataclasses import dataclass

from reactorhost.config.cpus import available_cpus
from reactorhost.master.context import MasterContext
from reactorhost.master.plan.autoscale import Load
from reactorhost.master.plan.planner import HostState
from reactorhost.master.plan.worker_table import WorkerRecord, WorkerState
from reactorhost.master.supervisor import Supervisor


@dataclass(slots=True)
class Autoscaler:
    """Passes samples to the policy, and its steps to the planner."""

    context: MasterContext
    supervisor: Supervisor

    def check(self) -> None:
        """Sample the load of the last second, and make the step that follows from it."""
        planner, now = self.context.planner, time.monotonic()
        if planner.autoscale.range is None or planner.state is not HostState.RUNNING:
            return
        load = self._load()
        before = planner.scaling.target
        step = None if load is None else planner.autoscale.decide(load, before, planner.limits.most(), now)
        if step is not None:
            self.context.log.info("scaled_by_load", workers=step.workers, before=before, reason=step.reason)
            planner.scaling.request(step.workers)
            self.supervisor.schedule()

    def _load(self) -> Load | None:
        """Return the load of the workers that serve, None if nothing is known of it yet."""
        planner, samples = self.context.planner, self.context.monitor.samples
        wanted = [slot for slot in planner.scaling.wanted() if slot < planner.limits.most()]
        serving = [worker for slot in wanted for worker in planner.table.in_slot(slot, WorkerState.READY)[-1:]]
        # Of a new worker there are not two samples yet.
        busy = [share for each in serving if (share := self._busy(each)) is not None]
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

    def _busy(self, worker: WorkerRecord) -> float | None:
        """Return the share of the last second in which a worker was busy, from 0 to 1."""
        if worker.silent:
            # It stores nothing while a hook blocks its loop.
            return 1.0
        samples = self.context.monitor.samples
        busy, cpu = samples.busy_percent(worker.pid), samples.cpu_percent(worker.pid)
        if busy is None or cpu is None:
            return None
        # Tasks of asyncio run outside of the turns that are measured. With threads a worker can use several processors.
        return min(1.0, max(busy, cpu) / 100)
