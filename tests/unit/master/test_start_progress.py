"""What a start reports to the command that began it."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import Mock

from planner_settings import host_settings
from reactorhost.ipc.status import StatusDocument
from reactorhost.master.plan.actions import Spawn
from reactorhost.master.plan.planner import Planner
from reactorhost.master.start_progress import StartProgress
from reactorhost.master.stop_progress import StopReport
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller


class FakeStarter:
    """Records what is shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, float | None, float | None]] = []
        self.refreshed = 0

    def show(
        self, text: str, done: float | None = None, total: float | None = None, step_seconds: float | None = None
    ) -> None:
        self.shown.append((text, done, total))

    def refresh(self) -> None:
        self.refreshed += 1

    def stopping(self, report: StopReport) -> None:
        raise AssertionError("the lifecycle calls it")

    def started(self, document: StatusDocument) -> None:
        raise AssertionError("the lifecycle calls it")


class Start:
    """A start that is followed, of a host whose workers are records; the pid of the first one is 100."""

    def __init__(self, workers: int) -> None:
        self.clock, self.starter = FakeClock(), FakeStarter()
        self.reactor = Reactor(FakePoller(self.clock), self.clock)
        self.planner = Planner(host_settings(workers))
        self.lifecycle = Mock(started=False)
        self.lifecycle.context = SimpleNamespace(reactor=self.reactor, planner=self.planner)
        self.lifecycle.supervisor.after_settling = []
        StartProgress(self.lifecycle, self.starter).follow()
        self.settle()

    def settle(self) -> None:
        """Carry out what the planner decides, as the supervisor does."""
        while actions := self.planner.decide(0.0):
            for action in actions:
                if isinstance(action, Spawn):
                    self.planner.forked(100 + action.slot, action.slot, action.generation, 0.0)
        for callback in self.lifecycle.supervisor.after_settling:
            callback()

    def reported(self, pid: int, step: str) -> None:
        """Let a worker report a step of its boot."""
        self.planner.table.note_boot_step(pid, step, "chat", 0.0)
        self.settle()

    def ready(self, pid: int) -> None:
        """Let a worker become ready."""
        self.planner.ready(pid, 0.0)
        self.settle()

    def wait_a_second(self) -> None:
        """Let a second pass."""
        for _ in range(8):
            self.clock.now += 0.125
            self.reactor.turn(0)


def test_it_reports_the_workers_that_are_ready_and_what_the_others_do() -> None:
    start = Start(2)
    start.reported(100, "import")
    start.settle()
    start.reported(100, "worker_start")
    start.ready(100)
    assert start.starter.shown == [
        ("0 of 2 workers ready; worker 0: starting", 0, 2),
        ("0 of 2 workers ready; worker 0: importing chat", 0, 2),
        ("0 of 2 workers ready; worker 0: in worker_start of chat", 0, 2),
        ("1 of 2 workers ready; worker 1: starting", 1, 2),
    ]


def test_the_seconds_go_on_until_the_host_is_ready_and_nothing_is_shown_after_that() -> None:
    start = Start(1)
    start.wait_a_second()
    assert start.starter.refreshed >= 4
    start.lifecycle.started = True
    shown, refreshed = len(start.starter.shown), start.starter.refreshed
    start.ready(100)
    start.wait_a_second()
    assert (len(start.starter.shown), start.starter.refreshed) == (shown, refreshed)


def test_a_start_that_is_given_up_reports_how_many_workers_still_run() -> None:
    start = Start(1)
    start.planner.stop(0.0, at_once=True)
    start.settle()
    assert start.starter.shown[-1] == ("given up, waiting for the end of 1 worker", None, None)
