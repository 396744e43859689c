"""The `Worker` objects of a worker process, one for each plugin."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from reactorhost.api.connection import Connection
from reactorhost.api.worker import Worker
from reactorhost.reactor import Reactor
from reactorhost.worker.bus.bus import Bus
from reactorhost.worker.hooks.holds import Holds
from reactorhost.worker.hooks.hook_errors import HookFailure
from reactorhost.worker.hooks.jobs import JobSchedule
from reactorhost.worker.hooks.metrics import Metrics
from reactorhost.worker.hooks.soon_calls import SoonCalls
from reactorhost.worker.hooks.thread_pool import ThreadPool
from reactorhost.worker.hooks.timers import PluginTimers
from reactorhost.worker.hooks.watches import Watches
from reactorhost.worker.hooks.worker_timers import WorkerTimers
from reactorhost.worker.outbound.connections import OutboundConnections
from reactorhost.worker.role import Role
from reactorhost.worker.service import RunningService


@dataclass(slots=True, eq=False, repr=False)
class WorkerFacades:
    """Makes and keeps the `Worker` of each plugin.

    Each plugin has an object of its own, so that its timers, threads and connections are known to be its own;
    `hook_failed` is called with exceptions of timers, and `check_thread` with the name of each method that is called.
    """

    slot: int
    generation: int
    services: Sequence[RunningService]
    reactor: Reactor
    threads: ThreadPool
    metrics: Metrics
    outbound: OutboundConnections
    role: Role
    bus: Bus
    own_jobs: JobSchedule
    host_jobs: JobSchedule
    soon: SoonCalls
    watches: Watches
    holds: Holds
    hook_failed: HookFailure
    check_thread: Callable[[str], object]
    _workers: dict[str, Worker] = field(default_factory=dict)
    _timers: dict[str, WorkerTimers] = field(default_factory=dict)

    def of(self, plugin: str) -> Worker:
        """Return the `Worker` of a plugin, the same object every time."""
        worker = self._workers.get(plugin)
        if worker is None:
            own = PluginTimers(self.reactor, partial(self.hook_failed, plugin, "timer", None))
            timers = self._timers[plugin] = WorkerTimers(own, self.own_jobs, self.host_jobs)
            worker = self._workers[plugin] = Worker(
                plugin,
                self.slot,
                os.getpid(),
                self.generation,
                self._connections,
                timers,
                self.threads,
                self.metrics,
                self.outbound,
                self.role,
                self.bus,
                self.check_thread,
                self.reactor.clock,
                self.soon,
                self.watches,
                self.holds,
            )
        return worker

    def _connections(self) -> Iterator[Connection]:
        return (connection for service in self.services for connection in service.connections())

    def cancel_calls(self) -> None:
        """Cancel the timers and watches of every plugin, and the async functions that run."""
        for jobs in (self.own_jobs, self.host_jobs):
            jobs.cancel_all()
        for each in self._timers.values():
            each.timers.cancel_all()
        self.soon.cancel_tasks()
        self.watches.cancel_all()
