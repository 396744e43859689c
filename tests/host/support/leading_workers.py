"""The leadership of workers as they know it themselves, with the orders and reports that are on their way."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any, cast
from unittest.mock import Mock

from reactorhost.ipc.moments import Moment
from reactorhost.master.plan.actions import Drain, Lead
from reactorhost.master.plan.planner import Planner
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller
from reactorhost.worker.hooks.jobs import JobSchedule
from reactorhost.worker.leadership import WorkerLeadership
from reactorhost.worker.role import Role


class HeldCalls:
    """Stands in for `WorkerCalls`: a hook has returned when a test lets it."""

    def __init__(self) -> None:
        self.waiting: deque[Callable[[], object]] = deque()
        self.hurried = 0

    def call(self, hook: str, *, then: Callable[[], object]) -> None:
        self.waiting.append(then)

    def hurry(self) -> None:
        """Count, and cancel nothing."""
        self.hurried += 1


class LeadingWorker:
    """One worker: the real state machine of its leadership on a line that delivers when a test lets it."""

    def __init__(self, reactor: Reactor) -> None:
        self.orders: deque[Lead | Drain] = deque()
        self.reports: deque[dict[str, Any]] = deque()
        self.calls = HeldCalls()
        self.jobs = JobSchedule(reactor, lambda: 0.0, lambda until: None)
        self.log = Mock()
        self.leadership = WorkerLeadership(
            reactor, Role(), self.jobs, cast("Any", self.calls), self.reports.append, self.log
        )

    def reads_an_order(self) -> None:
        if self.orders:
            order = self.orders.popleft()
            if isinstance(order, Lead):
                self.leadership.lead(order.since)
            else:
                self.leadership.step_down()

    def a_hook_returns(self) -> None:
        if self.calls.waiting:
            self.calls.waiting.popleft()()


class LeadingWorkers:
    """All workers of a planner, or of the one that continues with its records."""

    def __init__(self, planner: Planner) -> None:
        clock = FakeClock(100.0)
        self._reactor = Reactor(FakePoller(clock), clock)
        self.planner = planner
        self.of: defaultdict[int, LeadingWorker] = defaultdict(lambda: LeadingWorker(self._reactor))

    def leading(self) -> list[int]:
        """Return the workers that take themselves for the leader."""
        return [pid for pid, worker in self.of.items() if worker.leadership.role.is_leader]

    def read_report(self, pid: int) -> None:
        """Let the master read the next report of a worker."""
        if self.of[pid].reports:
            report = self.of[pid].reports.popleft()
            self.planner.leadership.stepped_down(pid, Moment(report["until"], report["until_unix"]))

    def end(self, pid: int) -> None:
        """End a process; what it has reported is read before it is reaped."""
        while self.of[pid].reports:
            self.read_report(pid)
        del self.of[pid]

    def deliver_all(self, pid: int) -> None:
        """Deliver what is on its way to a worker, and from it."""
        worker = self.of[pid]
        while worker.orders or worker.calls.waiting or worker.reports:
            worker.reads_an_order()
            worker.a_hook_returns()
            self.read_report(pid)
