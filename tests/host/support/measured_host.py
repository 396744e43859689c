"""A master without processes, whose workers' counters a test sets: for tests of what is collected from it."""

from __future__ import annotations

import copy
import logging
import mmap
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast
from unittest.mock import Mock

from planner_settings import host_settings
from reactorhost.errors import BootError
from reactorhost.histogram import bucket
from reactorhost.ipc.counters import SERVICE_TOTALS, Counters, Timings
from reactorhost.ipc.service_pages import GAUGES, Lanes, ServiceRecords, records_of
from reactorhost.ipc.shared_cells import SharedCells, cells_bytes
from reactorhost.master.context import MasterContext
from reactorhost.master.lifecycle import Lifecycle
from reactorhost.master.listen.slot_socket import Queue
from reactorhost.master.metrics.collect import collect
from reactorhost.master.metrics.values import Values
from reactorhost.master.plan.actions import Spawn
from reactorhost.master.plan.planner import Planner
from reactorhost.master.stats.bus_monitor import BusMonitor
from reactorhost.master.stats.events import EventRing
from reactorhost.master.stats.monitor import Monitor
from reactorhost.master.stats.service_sums import ServiceSums
from reactorhost.master.stats.shared_counters import SharedCounterRows
from reactorhost.master.supervisor import Supervisor
from reactorhost.master.workers.exit_report import ExitReport, Sample
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller

STARTED_AT = 1_700_000_000.0


class FakePool:
    """The pages of workers, without processes."""

    def __init__(self, reactor: Reactor) -> None:
        self.reactor = reactor
        self.pages: dict[int, Sample] = {}
        self.loaded: dict[str, dict[str, Any]] = {}
        self.scoreboard = Mock(shared_cells=SharedCells(mmap.mmap(-1, cells_bytes(4))))
        self.on = Mock()
        self.order = Mock()

    def samples(self, now: float) -> dict[int, Sample]:
        return {pid: replace(copy.deepcopy(page), at=now) for pid, page in self.pages.items()}

    def service_pages(self) -> list[Any]:
        records = [self.service_records(page) for page in self.pages.values()]
        return [(Mock(counted=lambda each: each.counted, timed=lambda *_: 0), each) for each in records]

    def service_records(self, page: Sample) -> ServiceRecords:
        """Return the records of a worker whose only service has counted what the worker has."""
        names = (*GAUGES, *SERVICE_TOTALS)
        return records_of(Lanes(names, ()), [[getattr(page.counters, name) for name in names]])

    def counters(self, pid: int) -> Counters:
        return self.pages[pid].counters

    def pids(self) -> list[int]:
        return list(self.pages)

    def stall(self, pid: int) -> None:
        return None

    def boot(self, pid: int) -> None:
        return None

    def plugins(self) -> dict[str, dict[str, Any]]:
        return self.loaded


class MeasuredHost:
    """Planner, lifecycle and statistics of a host, with the workers that a test adds."""

    def __init__(
        self, workers: int = 2, plugins: Sequence[str] = ("echo",), *, services: Sequence[str] = (), **changed: Any
    ) -> None:
        settings = host_settings(workers, **dict.fromkeys(services))
        chains = tuple(replace(each, plugins=tuple(plugins)) for each in settings.services)
        self.now = time.monotonic()
        self.plugins = tuple(plugins)
        self.listening: list[tuple[str, str, Queue]] = []
        reactor = Reactor(FakePoller(FakeClock()))
        # A pool in all that is used of it.
        self.pool = pool = cast("Any", FakePool(reactor))
        self.planner = Planner(replace(settings, services=chains, **changed))
        self.log = EventRing(logging.getLogger("reactorhost.measured"))
        self.monitor = Monitor(reactor, pool, ServiceSums(len(chains)))
        self.context = MasterContext(
            reactor,
            self.log,
            Mock(queues=lambda: iter(self.listening)),
            self.planner,
            pool,
            self.monitor,
            Mock(),
            Mock(),
            SharedCounterRows(pool, self.log),
            BusMonitor(pool, self.monitor.samples.past, self.log),
        )
        self.lifecycle = Lifecycle(self.context, Supervisor(self.context), Mock(), Mock())
        self._next_pid = 100

    def settle(self) -> None:
        """Fork the workers that the planner wants."""
        while decided := self.planner.decide(self.now):
            for action in decided:
                if isinstance(action, Spawn):
                    self.planner.forked(self._next_pid, action.slot, action.generation, self.now)
                    timings = [Timings() for _ in range(1 + len(self.plugins))]
                    self.pool.pages[self._next_pid] = Sample(self.now, Counters(), timings, self.plugins)
                    self._next_pid += 1

    def start(self) -> list[int]:
        """Let a worker in every slot become ready; returns their process ids by slot."""
        self.settle()
        for pid in range(100, 100 + self.planner.scaling.target):
            self.planner.ready(pid, self.now)
            # Slot 0 boots alone.
            self.settle()
        return sorted(self.planner.workers)

    def count(self, pid: int, **numbers: float) -> None:
        """Set counters of a worker."""
        for name, value in numbers.items():
            setattr(self.pool.pages[pid].counters, name, value)

    def received(self, pid: int, *seconds: float, plugin: int | None = None, errors: int = 0) -> None:
        """Add timed calls of `receive`: of the whole, or of the plugin at a position."""
        timings = self.pool.pages[pid].timings[0 if plugin is None else 1 + plugin]
        timings.errors += errors
        for each in seconds:
            nanoseconds = round(each * 1e9)
            timings.calls += 1
            timings.nanoseconds += nanoseconds if plugin is not None else 0
            timings.receive_nanoseconds += nanoseconds
            timings.receive[bucket(nanoseconds)] += 1

    def end(self, pid: int, how: str = "signal 9 (SIGKILL)") -> None:
        """Let a worker end, as the pool reports it, and its slot be filled."""
        last = self.pool.pages.pop(pid)
        report = ExitReport(how, 0, last, None, BootError("it failed"), self.pool.service_records(last))
        self.lifecycle._exited(pid, report)
        # The lifecycle reads the clock itself: not before its back-off ends.
        self.now = time.monotonic()
        self.settle()

    def collect(self) -> Values:
        """Return what a scrape has after a sample that is taken now."""
        self.monitor.services.take(self.pool.service_pages(), self.now)
        return collect(self.context, STARTED_AT, self.now)
