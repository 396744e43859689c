"""The end of a start: workers that are ready, or a failure."""

from __future__ import annotations

import os
from collections.abc import Iterable
from unittest.mock import Mock

import pytest

from planner_settings import host_settings
from reactorhost.errors import BootError
from reactorhost.master.context import MasterContext
from reactorhost.master.lifecycle import Lifecycle
from reactorhost.master.plan.planner import HostState, Planner
from reactorhost.master.stats.monitor import Monitor
from reactorhost.master.supervisor import Supervisor
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller


class Host:
    """A lifecycle whose workers exist as records only."""

    def __init__(self, workers: int, forks: Iterable[int]) -> None:
        self.started = Mock()
        self.log = Mock()
        self.reactor = Reactor(FakePoller(FakeClock()))
        self.planner = Planner(host_settings(workers))
        self.pool = pool = Mock(pids=list, samples=lambda now: {}, connections=lambda: 0)
        pool.fork = Mock(side_effect=forks)
        listeners = Mock(effective_backlog=lambda: 1 << 30)
        monitor = Monitor(self.reactor, pool)
        self.context = context = MasterContext(
            self.reactor, self.log, listeners, self.planner, pool, monitor, Mock(), Mock(), Mock(), Mock()
        )
        self.supervisor = Supervisor(context)
        self.lifecycle = Lifecycle(context, self.supervisor, Mock(), self.started)

    def settle(self) -> None:
        """Let the planner decide, and everything follow that its decisions cause."""
        self.supervisor.schedule()
        self.reactor.turn(0)

    def events(self, level: str) -> dict[str, dict[str, object]]:
        """Return the fields of the newest event of each name that was logged at a level."""
        return {call.args[0]: call.kwargs for call in getattr(self.log, level).call_args_list}


def test_what_has_to_do_with_a_worker_is_notified_of_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(1, [100, 101])
    host.settle()
    report = Mock(how="exit status 3", out_of_memory=False, boot_error=lambda *of: BootError("ended"))
    host.pool.reap = Mock(return_value=report)
    monkeypatch.setattr(Monitor, "worker_ended", ended := Mock())
    monkeypatch.setattr(os, "wait4", Mock(side_effect=[(100, 0, None), ChildProcessError]))
    host.lifecycle.reap()
    ended.assert_called_once_with(100, 0, report.last)
    for each in (host.context.requests, host.context.introductions):
        each.worker_ended.assert_called_once_with(100)  # type: ignore[attr-defined]


def test_a_start_fails_if_no_worker_is_left_when_each_slot_has_had_its_try() -> None:
    host = Host(2, range(100, 200))
    host.settle()
    host.planner.ready(100, 0.0)
    host.settle()
    for pid in (100, 101):
        host.planner.exited(pid, "exit status 7", BootError("ended"), 0.0)
    host.settle()
    assert host.planner.state is HostState.STOPPING
    for pid in tuple(host.planner.workers):
        host.planner.exited(pid, "signal 3 (SIGQUIT)", BootError("ended"), 0.0)
    with pytest.raises(BootError, match="exit status 7"):
        host.lifecycle.run()
    host.started.assert_not_called()


def test_a_start_with_a_slot_that_failed_is_complete_with_a_warning() -> None:
    host = Host(2, range(100, 200))
    host.settle()
    host.planner.ready(100, 0.0)
    host.settle()
    host.planner.exited(101, "exit status 3", BootError("ended"), 0.0)
    host.settle()
    host.started.assert_called_once_with()
    assert host.events("warning")["workers_missing"] == {"ready": 1, "wanted": 2}
    assert host.events("info")["host_ready"] == {"workers": 1}
