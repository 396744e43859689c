"""The watch of heartbeats: what it passes to the planner and logs, and when it looks again."""

from __future__ import annotations

import dataclasses
import time
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from planner_settings import host_settings
from reactorhost.ipc.stall import Stall
from reactorhost.master.heartbeats import HeartbeatWatch
from reactorhost.master.plan.planner import Planner
from reactorhost.master.plan.slot import Slot


class Watched:
    """A watch over one worker that serves; `now` is the time of the next check."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        planner = Planner(host_settings(1))
        planner.slots[0] = Slot(0)
        planner.forked(7, 0, 1, self.now)
        planner.ready(7, self.now)
        self.planner = planner
        self.worker = planner.workers[7]
        self.heartbeats = {7: self.now}
        self.log, self.reactor, self.supervisor = Mock(), Mock(), Mock()
        self.lines: Mock = self.log.bind.return_value
        monitor = Mock(heartbeats=lambda: self.heartbeats)
        self.stall: Stall | None = None
        pool = Mock(stall=lambda _pid: self.stall)
        context = SimpleNamespace(log=self.log, reactor=self.reactor, planner=planner, monitor=monitor, pool=pool)
        self._watch = HeartbeatWatch(context, self.supervisor)  # type: ignore[arg-type]

    def check(self, age: float) -> float:
        """Check when the last heartbeat has this age; returns in how many seconds the next check is."""
        self.heartbeats[7] = self.now - age
        self._watch.check()
        seconds: float = self.reactor.call_later.call_args.args[0]
        return seconds

    def logged(self) -> list[str]:
        return [call.args[0] for call in self.lines.method_calls]

    def noted(self) -> list[str]:
        """Return what the status has."""
        return [call.args[1] for call in self.log.remember.call_args_list]


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


@pytest.mark.parametrize(
    ("age", "seconds"),
    # One of an idle worker is in the future.
    [(-1.0, 2.0), (0.25, 0.75), (0.999, 0.02), (1.0, 0.25), (60.0, 0.25)],
)
def test_the_next_check_is_when_the_worker_becomes_silent(watched: Watched, age: float, seconds: float) -> None:
    assert watched.check(age) == pytest.approx(seconds)


def test_a_worker_is_silent_after_a_second_until_it_turns_again(watched: Watched) -> None:
    silent, decisions = [], []
    for age in (0.9, 1.0, 1.2, 0.1):
        watched.check(age)
        silent.append(watched.worker.silent)
        decisions.append(watched.supervisor.schedule.call_count)
    assert silent == [False, True, True, False]
    assert decisions == [0, 1, 1, 2]
    assert watched.logged() == ["worker_blocked", "worker_unblocked"]


def test_a_worker_that_is_blocked_again_and_again_is_logged_once_a_minute(watched: Watched) -> None:
    for _ in range(5):
        watched.check(1.5)
        watched.check(0.0)
        watched.now += 10.0
    assert watched.logged() == ["worker_blocked", "worker_unblocked"]
    watched.now += 10.0
    watched.check(1.5)
    watched.lines.warning.assert_called_with("worker_blocked", slot=0, pid=7, seconds=1.5, suppressed=4)
    assert watched.noted() == [*["worker_blocked", "worker_unblocked"] * 5, "worker_blocked"]


def test_a_worker_that_stays_blocked_is_logged_when_its_slot_may_have_a_line_again(watched: Watched) -> None:
    for age in (1.5, 0.0, 1.5):
        watched.check(age)
    assert watched.logged() == ["worker_blocked", "worker_unblocked"]
    watched.now += 60.0
    watched.check(61.5)
    watched.lines.warning.assert_called_with("worker_blocked", slot=0, pid=7, seconds=61.5, suppressed=0)
    watched.check(0.0)
    assert watched.logged() == watched.noted() == ["worker_blocked", "worker_unblocked"] * 2


def test_the_place_that_blocks_a_worker_is_logged(watched: Watched) -> None:
    watched.stall = Stall("made", "receive", "made.py:3", 99.0)
    watched.check(1.5)
    watched.lines.warning.assert_called_once_with(
        "worker_blocked", slot=0, pid=7, seconds=1.5, plugin="made", hook="receive", where="made.py:3", suppressed=0
    )


def test_a_worker_at_a_breakpoint_is_not_reported(watched: Watched) -> None:
    planner = watched.planner
    planner.settings = dataclasses.replace(planner.settings, debug=True)
    watched.check(60.0)
    assert watched.logged() == watched.noted() == []
