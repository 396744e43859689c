"""The monitor: samples every worker and the master itself once a second, and finds loops that stand still."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from reactorhost.master.stats.hook_error import HookError
from reactorhost.master.stats.memory_readings import MemoryReadings
from reactorhost.master.stats.reported_metrics import ReportedMetrics
from reactorhost.master.stats.samples import Samples
from reactorhost.master.stats.service_sums import ServiceSums
from reactorhost.master.stats.silent_processes import SilentProcesses
from reactorhost.master.workers.exit_report import ExitReport
from reactorhost.master.workers.pool import WorkerPool
from reactorhost.reactor import Reactor
from reactorhost.system.procfs import proportional_bytes, resident_bytes


@dataclass(slots=True)
class Monitor:
    """What is measured of the workers and of the master.

    Attributes:
        lag_max_seconds: longest turn of the master's own loop in the last second.
        cpu_percent: the master's processor time in the last second, or None before the second sample.
        errors: the newest exception of each plugin.
        metrics: the plugins' own metrics.
        services: what services have counted.
        resident: the resident memory of processes.
        proportional: the same with shared pages divided among their users (PSS).
        silent: the processor time of workers that do not write it themselves.
    """

    reactor: Reactor
    pool: WorkerPool
    services: ServiceSums
    samples: Samples = field(default_factory=Samples)
    resident: MemoryReadings = field(
        default_factory=lambda: MemoryReadings(
            resident_bytes, most_reads=16, period_seconds=1.0, least_seconds=0.0, oldest_seconds=10.0
        )
    )
    proportional: MemoryReadings = field(
        # The kernel walks all pages of a process: half a millisecond, and more of a large one.
        default_factory=lambda: MemoryReadings(
            proportional_bytes, most_reads=1, period_seconds=2.0, least_seconds=5.0, oldest_seconds=150.0
        )
    )
    silent: SilentProcesses = field(default_factory=SilentProcesses)
    errors: dict[str, HookError] = field(default_factory=dict)
    metrics: ReportedMetrics = field(default_factory=ReportedMetrics)
    lag_max_seconds: float = 0.0
    cpu_percent: float | None = None
    _cpu: tuple[float, float] | None = None

    def sample(self, now: float) -> None:
        """Take the samples of this second."""
        samples = self.pool.samples(now)
        self.samples.take(samples, now)
        self.silent.take({pid: sample.counters for pid, sample in samples.items()}, now)
        self.services.take(self.pool.service_pages(), now)
        self.lag_max_seconds = self.reactor.longest_turn
        self.reactor.longest_turn = 0.0
        cpu = time.process_time()
        if self._cpu is not None and now > self._cpu[0]:
            self.cpu_percent = round(100 * (cpu - self._cpu[1]) / (now - self._cpu[0]), 1)
        self._cpu = (now, cpu)

    def stalled(self, limit: float, now: float) -> list[tuple[int, float]]:
        """Return the workers whose loop did not turn for `limit` seconds, and for how long it did not."""
        # If the master itself was suspended within that time (a laptop that slept, a debugger), the workers were too.
        if not limit or now - self.samples.regular_since < limit:
            return []
        return [(pid, now - beat) for pid, beat in self.heartbeats().items() if now - beat >= limit]

    def heartbeats(self) -> dict[int, float]:
        """Return the heartbeat of each worker, by process id; one that boots has none."""
        beats = ((pid, self.pool.counters(pid).heartbeat) for pid in self.pool.pids())
        return {pid: beat for pid, beat in beats if beat}

    def worker_ended(self, pid: int, slot: int, report: ExitReport) -> None:
        """Add the counters of a worker that ended to the totals."""
        self.samples.worker_ended(pid, slot, report.last)
        self.services.worker_ended(report.services)
        self.resident.forget(pid)
        self.proportional.forget(pid)
        self.metrics.worker_ended(pid)
