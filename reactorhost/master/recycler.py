"""Replace the workers that have reached a limit, as an operator would by `recycle`."""

from __future__ import annotations

import time
from dataclasses import dataclass

from reactorhost.errors import ReactorhostError
from reactorhost.master.context import MasterContext
from reactorhost.master.plan.planner import HostState
from reactorhost.master.plan.recycle_limits import LIMITS, Excess, Usage
from reactorhost.master.supervisor import Supervisor
from reactorhost.system import procfs


@dataclass(slots=True)
class Recycler:
    """Compares what workers have used with their limits."""

    context: MasterContext
    supervisor: Supervisor

    def check(self) -> None:
        """Request the replacements that are due."""
        planner = self.context.planner
        settings = planner.settings
        if planner.state is not HostState.RUNNING or all(getattr(settings, name) is None for name in LIMITS):
            return
        usage = {pid: self._usage(pid, reads_rss=settings.max_rss is not None) for pid in self.context.pool.pids()}
        for excess in planner.recycle_limits.due(usage, settings, time.monotonic()):
            planner.recycle(excess.worker.pid, _Replacement(self.context, excess))
            self.supervisor.schedule()

    def _usage(self, pid: int, *, reads_rss: bool) -> Usage:
        counters = self.context.pool.counters(pid)
        return Usage(procfs.resident_bytes(pid) if reads_rss else None, counters.accepted, counters.messages)


@dataclass(frozen=True, slots=True)
class _Replacement:
    """Logs how the replacement of a worker ends."""

    context: MasterContext
    excess: Excess

    def progress(self, text: str, **fields: object) -> None:
        """Do nothing: the start of the new worker is logged already."""

    def done(self, **result: object) -> None:
        """Count and log it."""
        worker, reason = self.excess.worker, self.excess.setting
        self.context.planner.recycle_limits.recycled[reason] += 1
        value, limit = round(self.excess.value, 1), round(self.excess.limit, 1)
        self.context.log.info(
            "worker_recycled", slot=worker.slot, pid=worker.pid, reason=reason, value=value, limit=limit
        )

    def failed(self, error: ReactorhostError) -> None:
        """Log why there is no replacement; the cause has a line of its own."""
        worker = self.excess.worker
        self.context.log.info(
            "worker_not_recycled", slot=worker.slot, pid=worker.pid, reason=self.excess.setting, error=error.what
        )
