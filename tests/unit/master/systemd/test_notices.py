"""The life of a host as a service manager is notified of it."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from planner_settings import host_settings
from reactorhost.errors import ReactorhostError
from reactorhost.master.plan.planner import HostState, Planner
from reactorhost.master.plan.slot import Slot
from reactorhost.master.plan.worker_table import WorkerState
from reactorhost.master.systemd.notices import ManagerNotices, reporting_failure
from reactorhost.system.fork import ForkRegistry
from reactorhost.system.manager_variables import ManagerVariables

_STATES = ("READY=1", "RELOADING=1", "STOPPING=1")


class Host:
    """The notices of a host with two workers as records; `now` is the time."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, watchdog_seconds: float | None = None, *, started: bool = False
    ) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        self.planner = Planner(host_settings(2))
        self.supervisor = SimpleNamespace(after_settling=[], schedule=Mock())
        self.lifecycle = SimpleNamespace(started=started, each_second=[], supervisor=self.supervisor)
        self.reactor = Mock()
        self.lines: list[str] = []
        outbox = SimpleNamespace(send=lambda *lines, **kind: self.lines.extend(lines))
        pool = SimpleNamespace(connections=lambda: 3)
        context = SimpleNamespace(planner=self.planner, pool=pool, reactor=self.reactor)
        self.notices = ManagerNotices(
            context,  # type: ignore[arg-type]
            self.lifecycle,  # type: ignore[arg-type]
            outbox,  # type: ignore[arg-type]
            watchdog_seconds,
        )
        self.notices.begin()

    def start(self) -> None:
        """Let both workers become ready."""
        for slot in (0, 1):
            self.planner.slots[slot] = Slot(slot)
            self.planner.forked(100 + slot, slot, 1, self.now)
            self.planner.ready(100 + slot, self.now)
        self.lifecycle.started = True
        self.settle()
        self.sent()

    def settle(self) -> None:
        for callback in self.supervisor.after_settling:
            callback()

    def second(self) -> list[str]:
        """Let a second pass; returns what was sent."""
        self.now += 1.0
        for callback in self.lifecycle.each_second:
            callback()
        return self.sent()

    def hang_up(self, request: Mock) -> None:
        """Send HUP, whose callback is `request`."""
        self.notices.around({signal.SIGHUP: request})[signal.SIGHUP]()

    def sent(self) -> list[str]:
        """Return what was sent since the last call."""
        lines, self.lines[:] = list(self.lines), []
        return lines

    def states(self) -> list[str]:
        """Return the states that were sent since the last call."""
        return [line for line in self.sent() if line in _STATES]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(monkeypatch)


def test_the_process_that_is_followed_is_named_first(host: Host) -> None:
    assert host.sent() == [f"MAINPID={os.getpid()}", "STATUS=Starting: 0 of 2 workers ready"]


def test_a_program_that_continues_a_host_does_not_report_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch, started=True)
    assert host.sent() == [f"MAINPID={os.getpid()}"]
    host.settle()
    assert host.sent() == []


def test_a_host_is_ready_when_its_start_is_complete_and_not_before(host: Host) -> None:
    host.settle()
    assert host.states() == []
    host.lifecycle.started, host.planner.state = True, HostState.RUNNING
    host.settle()
    host.settle()
    assert host.states() == ["READY=1"]


def test_a_stop_is_reported_once(host: Host) -> None:
    host.start()
    host.planner.stop(host.now, at_once=False)
    host.settle()
    host.settle()
    sent = host.sent()
    assert sent[0] == "STOPPING=1"
    assert sent[1:] == ["STATUS=Stopping: 3 connections on 2 workers, at most 5 s left"]


def test_a_stop_is_reported_when_its_delay_begins(host: Host) -> None:
    host.start()
    host.planner.settings = replace(host.planner.settings, drain_delay=20.0)
    host.planner.leave(host.now)
    assert host.second()[:2] == [
        "STOPPING=1",
        "STATUS=Stopping in 19 s (drain_delay): 2 workers ready, 3 connections",
    ]
    assert len(extensions(host, 10)) == 10
    host.planner.stop(host.now, at_once=False)
    host.settle()
    assert host.states() == []
    # stop_timeout is 5, and 10 more are for ending what did not leave.
    assert len(extensions(host, 60)) == 20 + 5 + 10 - 11


def test_a_reload_is_reported_with_its_time_and_ends_with_ready(host: Host) -> None:
    host.start()
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    host.planner.reload.request()
    host.settle()
    state, moment, status = host.sent()
    assert state == "RELOADING=1"
    assert before <= int(moment.removeprefix("MONOTONIC_USEC=")) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert status == "STATUS=Reloading: 0 of 0 workers replaced, 2 workers ready, 3 connections"
    host.planner.begin_reload()
    host.settle()
    # Another one is requested meanwhile: not ready in between.
    host.planner.reload.request()
    host.planner.reload.fail(ReactorhostError("broken"), "generation 1 in slot 0")
    host.settle()
    assert host.states() == []
    host.planner.begin_reload()
    host.planner.reload.waiting.clear()
    assert host.planner.reload.finish()
    host.settle()
    assert host.sent() == ["READY=1", "STATUS=Serving: 2 workers ready, 3 connections"]


def test_a_reload_that_failed_stays_in_the_status_until_one_succeeds(host: Host) -> None:
    host.start()
    host.planner.reload.request()
    host.planner.begin_reload()
    host.settle()
    host.planner.reload.fail(ReactorhostError("slot 0 did not boot"), "generation 1 in slot 0")
    host.settle()
    expected = "STATUS=Serving: 2 workers ready, 3 connections; the last reload failed: slot 0 did not boot"
    assert host.sent()[-2:] == ["READY=1", expected]
    host.planner.reload.request()
    host.planner.begin_reload()
    host.planner.reload.waiting.clear()
    host.planner.reload.finish()
    assert host.second() == ["STATUS=Serving: 2 workers ready, 3 connections"]


def test_a_hangup_is_reported_before_its_reload_and_once(host: Host) -> None:
    host.start()
    host.hang_up(Mock(side_effect=host.planner.reload.request))
    assert host.states() == ["RELOADING=1"]
    host.supervisor.schedule.assert_called_once_with()
    host.planner.begin_reload()
    host.settle()
    assert host.states() == []
    # While it runs, another one is reported anew: the service manager waits for one that is newer than its signal.
    host.hang_up(Mock(side_effect=host.planner.reload.request))
    assert host.states() == ["RELOADING=1"]
    host.settle()
    assert host.states() == []


def test_a_hangup_that_changes_nothing_ends_with_ready_and_a_reason(host: Host) -> None:
    host.start()
    host.hang_up(Mock())
    host.settle()
    sent = [line for line in host.sent() if not line.startswith("MONOTONIC_USEC")]
    status = "STATUS=Serving: 2 workers ready, 3 connections; the new configuration was refused, see the log"
    assert sent == ["RELOADING=1", "READY=1", status]
    host.planner.reload.request()
    host.settle()
    host.planner.begin_reload()
    host.planner.reload.waiting.clear()
    host.planner.reload.finish()
    host.settle()
    assert "STATUS=Serving: 2 workers ready, 3 connections" in host.sent()


def test_a_hangup_before_the_start_is_complete_is_not_reported(host: Host) -> None:
    host.hang_up(Mock())
    host.settle()
    assert host.states() == []


def test_a_hangup_that_stops_the_host_is_a_stop(host: Host) -> None:
    host.start()
    host.hang_up(Mock(side_effect=lambda: host.planner.stop(host.now, at_once=False)))
    host.settle()
    assert host.states()[-1] == "STOPPING=1"


def test_the_status_is_sent_when_it_changed(host: Host) -> None:
    host.start()
    assert host.second() == []
    host.planner.table.become_stuck(host.planner.workers[101], "stuck", host.now)
    assert host.second() == ["STATUS=Serving: 1 of 2 workers ready, 3 connections"]


# Time limits.


def extensions(host: Host, seconds: int) -> list[int]:
    """Return how many seconds each notification of these seconds asks for."""
    prefix = "EXTEND_TIMEOUT_USEC="
    lines = [line for _ in range(seconds) for line in host.second() if line.startswith(prefix)]
    return [int(line.removeprefix(prefix)) // 1_000_000 for line in lines]


def test_the_time_limit_is_not_extended_while_the_host_serves(host: Host) -> None:
    host.start()
    assert extensions(host, 5) == []


def test_a_start_extends_the_time_limit_while_workers_become_ready(host: Host) -> None:
    # boot_timeout is 10, and 10 more are for ending what did not boot.
    assert extensions(host, 30) == [10] * 11 + list(range(9, 0, -1))
    host.planner.slots[0] = Slot(0)
    host.planner.forked(100, 0, 1, host.now)
    host.planner.ready(100, host.now)
    assert extensions(host, 3) == [10] * 3


def test_a_reload_extends_the_time_limit_with_each_replacement(host: Host) -> None:
    host.start()
    host.planner.reload.request()
    host.planner.begin_reload()
    assert len(extensions(host, 30)) == 20
    host.planner.reload.replacement_ready(103, [100])
    assert len(extensions(host, 30)) == 20


def test_a_stop_extends_the_time_limit_as_long_as_it_may_take(host: Host) -> None:
    host.start()
    host.planner.stop(host.now, at_once=False)
    # stop_timeout is 5.
    assert len(extensions(host, 30)) == 15


# Watchdog.


@pytest.mark.parametrize(
    ("states", "stops", "feeds"),
    [
        ({100: {}, 101: {}}, False, True),
        ({100: {"silent": True}, 101: {}}, False, True),
        ({100: {"silent": True}, 101: {"silent": True}}, False, False),
        ({100: {"full": True}, 101: {"full": True}}, False, True),
        ({100: {"state": WorkerState.STARTING}}, False, False),
        ({}, False, False),
        ({}, True, True),
    ],
    ids=["all turn", "one turns", "none turns", "full", "none is ready", "none is left", "none is left at a stop"],
)
def test_the_watchdog_is_fed_while_a_worker_serves(
    monkeypatch: pytest.MonkeyPatch, states: dict[int, dict[str, object]], *, stops: bool, feeds: bool
) -> None:
    host = Host(monkeypatch, watchdog_seconds=3.0)
    host.start()
    workers = host.planner.workers
    for pid in tuple(workers):
        if pid not in states:
            del workers[pid]
        for name, value in states.get(pid, {}).items():
            setattr(workers[pid], name, value)
    if stops:
        host.planner.stop(host.now, at_once=False)
    seconds, feed = host.reactor.call_later.call_args.args
    assert seconds == 1.5
    host.sent()
    feed()
    assert host.sent() == (["WATCHDOG=1"] if feeds else [])
    assert host.reactor.call_later.call_count == 2


def test_the_watchdog_is_fed_during_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch, watchdog_seconds=3.0)
    assert "WATCHDOG=1" in host.sent()


def test_without_a_watchdog_no_timer_runs(host: Host) -> None:
    host.start()
    host.reactor.call_later.assert_not_called()


# Failures before the reactor runs.


def test_without_a_service_manager_there_is_no_socket() -> None:
    with reporting_failure(ManagerVariables(), ForkRegistry()) as sock:
        assert sock is None
