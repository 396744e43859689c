"""The end of a start: workers that are ready, or a failure."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from unittest.mock import Mock

import pytest

from planner_settings import host_settings
from reactorhost.config.settings import Layer, Origin
from reactorhost.errors import BootError, ReactorhostError
from reactorhost.ipc.counters import Counters, Timings
from reactorhost.ipc.hold_reason import HoldReason
from reactorhost.ipc.messages import Order, Report
from reactorhost.ipc.service_pages import ServiceRecords
from reactorhost.master.context import MasterContext
from reactorhost.master.lifecycle import Lifecycle
from reactorhost.master.plan.planner import HostState, Planner
from reactorhost.master.plan.worker_table import WorkerState
from reactorhost.master.stats.ended_workers import ExitReason
from reactorhost.master.stats.monitor import Monitor
from reactorhost.master.stats.service_sums import ServiceSums
from reactorhost.master.supervisor import Supervisor
from reactorhost.master.workers.exit_report import OUT_OF_MEMORY, ExitReport, Sample, StackDump
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller


class Host:
    """A lifecycle whose workers exist as records only."""

    def __init__(self, workers: int, forks: Iterable[int]) -> None:
        self.started = Mock()
        self.log = Mock()
        self.clock = FakeClock()
        self.reactor = Reactor(FakePoller(self.clock), self.clock)
        self.planner = Planner(host_settings(workers))
        self.pool = pool = Mock(pids=list, samples=lambda now: {}, service_pages=list, connections=lambda: 0)
        pool.fork = Mock(side_effect=forks)
        listeners = Mock(effective_backlog=lambda: 1 << 30)
        monitor = Monitor(self.reactor, pool, ServiceSums(1))
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
    ended.assert_called_once_with(100, 0, report)
    for each in (host.context.requests, host.context.introductions):
        each.worker_ended.assert_called_once_with(100)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("layer", "warns"), [(Layer.DEFAULT, False), (Layer.FILE, True)])
def test_a_backlog_that_the_kernel_limits_is_logged_if_it_was_set(layer: Layer, warns: bool) -> None:
    host = Host(1, [100])
    settings = host.planner.settings
    host.planner.settings = replace(settings, origins={**settings.origins, "backlog": Origin(layer)})
    host.context.listeners.effective_backlog = lambda: 4096  # type: ignore[method-assign]
    host.settle()
    host.planner.ready(100, 0.0)
    host.settle()
    host.started.assert_called_once_with()
    expected = {"backlog_limited": {"asked": settings.backlog, "effective": 4096}}
    assert host.events("warning") == (expected if warns else {})


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


@pytest.mark.parametrize(
    ("how", "stack", "reason", "event"),
    [
        ("exit status 0", None, "", "worker_exited"),
        # It still booted, and had no handler of its own.
        ("signal 3 (SIGQUIT)", None, "", "worker_exited"),
        # `worker_killed` was logged before.
        ("signal 9 (SIGKILL)", None, "still draining after its deadline", "worker_exited"),
        ("signal 9 (SIGKILL)" + OUT_OF_MEMORY, None, "", "worker_crashed"),
        # Its own alarm: a hook blocked its loop until the time to stop was over.
        ("signal 14 (SIGALRM)", None, "", "worker_crashed"),
        ("exit status 3", None, "", "worker_crashed"),
        (
            "signal 6 (SIGABRT)",
            StackDump("File ...", "slow.py:3"),
            "still draining after its deadline",
            "worker_crashed",
        ),
    ],
)
def test_a_worker_that_cuts_its_clients_off_as_it_leaves_has_crashed(
    how: str, stack: StackDump | None, reason: str, event: str
) -> None:
    host = leaving(0.0)
    worker = host.planner.workers[100]
    assert worker.state is WorkerState.STOPPING
    worker.reason = reason
    last = Sample(1.0, Counters(connections=7, tick=0.5), [Timings()], ())
    host.lifecycle._exited(100, ExitReport(how, 0, last, stack, None, ServiceRecords()))
    logged = host.events("info") | host.events("error")
    assert [name for name in logged if name in ("worker_exited", "worker_crashed")] == [event]
    assert logged[event].get("connections", 7) == 7
    expected = ExitReason.EXPECTED if event == "worker_exited" else ExitReason.CRASHED
    counted = ExitReason.OUT_OF_MEMORY if how.endswith(OUT_OF_MEMORY) else expected
    assert host.context.monitor.samples.ended.exits[counted] == 1


def test_a_worker_that_was_to_end_before_it_served_may_fail_to_boot() -> None:
    host = leaving(0.0)
    report = ExitReport("exit status 4", 0, Sample(1.0, Counters(), [Timings()], ()), None, None, ServiceRecords())
    host.lifecycle._exited(100, report)
    assert host.events("info")["worker_exited"]["how"] == "exit status 4"


def leaving(delay: float) -> Host:
    """Return a host whose worker serves, and that was requested to stop by a signal."""
    host = Host(1, [100])
    host.planner.settings = replace(host.planner.settings, drain_delay=delay)
    host.settle()
    host.planner.ready(100, 0.0)
    host.settle()
    host.lifecycle.stop(delayed=True)
    host.reactor.turn(0)
    return host


def state(host: Host) -> HostState:
    return host.planner.state


def orders(host: Host) -> list[object]:
    """Return the orders to the worker."""
    return [call.args[1]["order"] for call in host.pool.order.call_args_list]


def test_a_delayed_stop_changes_nothing_but_the_state_at_first() -> None:
    host = leaving(7.0)
    assert state(host) is HostState.LEAVING
    assert Order.DRAIN not in orders(host)
    host.context.listeners.close.assert_not_called()  # type: ignore[attr-defined]
    assert host.events("info")["host_leaving"]["seconds"] == 7.0


def test_the_stop_begins_after_its_delay_and_has_all_of_its_time() -> None:
    host = leaving(7.0)
    host.clock.now += 6.9
    host.reactor.turn(0)
    assert state(host) is HostState.LEAVING
    host.clock.now += 0.2
    host.reactor.turn(0)
    assert state(host) is HostState.STOPPING
    host.context.listeners.close.assert_called_once_with()  # type: ignore[attr-defined]
    (drain,) = [call.args[1] for call in host.pool.order.call_args_list if call.args[1]["order"] is Order.DRAIN]
    assert drain["seconds"] == pytest.approx(host.planner.settings.stop_drain_seconds, abs=0.5)


def test_a_worker_that_crashes_during_the_delay_is_replaced() -> None:
    host = leaving(7.0)
    host.pool.fork = Mock(return_value=101)
    host.planner.exited(100, "signal 9", BootError("ended"), 0.0)
    host.settle()
    assert list(host.planner.workers) == [101]


@pytest.mark.parametrize(
    ("arguments", "then"),
    [
        # A second client of `stop` only follows.
        ({"delayed": True}, HostState.LEAVING),
        ({}, HostState.STOPPING),
        ({"at_once": True}, HostState.STOPPING),
    ],
)
def test_a_second_stop_may_end_the_delay(arguments: dict[str, bool], then: HostState) -> None:
    host = leaving(7.0)
    host.lifecycle.stop(Mock(), **arguments)
    assert state(host) is then
    # The timer of the delay does not begin a second stop.
    host.clock.now += 10.0
    host.reactor.turn(0)
    host.context.listeners.close.assert_called_once_with()  # type: ignore[attr-defined]


def test_the_progress_of_a_delayed_stop_has_both_times() -> None:
    host = leaving(7.0)
    watcher = Mock()
    host.lifecycle.stop(watcher, delayed=True)
    host.clock.now += 1.0
    host.reactor.turn(0)
    text = watcher.progress.call_args.args[0]
    assert text == "clients are accepted for 7 s more; 0 connections open on 1 worker, at most 12 s left"


def test_the_progress_of_a_stop_has_what_plugins_hold_the_workers_for() -> None:
    host = Host(2, [100, 101])
    host.settle()
    reported = dict(call.args for call in host.pool.on.call_args_list)[Report.HELD]
    watcher = Mock()
    host.lifecycle.stop(watcher)
    for pid in (100, 101, 99):
        reported(pid, {"holds": [{"plugin": "store", "reason": "the disk is full"}]})
    host.reactor.turn(0)
    (text,), fields = watcher.progress.call_args
    assert re.fullmatch(r"at most \d+ s left, held by store: the disk is full", text)
    assert fields["held"]


@pytest.mark.parametrize(
    ("holds", "stops", "status"),
    [(["the disk is full"], True, 1), ([], True, 0), (["the disk is full"], False, 0)],
    ids=["in vain", "released", "before the stop"],
)
def test_a_stop_fails_if_a_worker_has_ended_before_a_plugin_was_done(
    holds: list[str], stops: bool, status: int
) -> None:
    host = Host(1, [100, 101])
    host.settle()
    host.planner.ready(100, 0.0)
    host.settle()
    watcher = Mock()
    if stops:
        host.lifecycle.stop(watcher)
        host.reactor.turn(0)
    host.planner.workers[100].holds = tuple(HoldReason("store", reason) for reason in holds)
    last = Sample(1.0, Counters(tick=0.5), [Timings()], ())
    host.lifecycle._exited(100, ExitReport("exit status 0", 0, last, None, None, ServiceRecords()))
    if not stops:
        host.settle()
        host.lifecycle.stop(watcher)
        host.reactor.turn(0)
        host.lifecycle._exited(101, ExitReport("exit status 0", 0, last, None, None, ServiceRecords()))
    host.reactor.call_soon(host.reactor.stop)
    failures: list[ReactorhostError] = []
    try:
        host.lifecycle.run()
    except ReactorhostError as error:
        failures.append(error)
    assert "host_stopped" in host.events("info")
    assert [str(each) for each in failures] == ["the host has stopped before store was done: the disk is full"] * status
    assert [each.exit_status for each in failures] == [8] * status
    assert [call.args[0] for call in watcher.failed.call_args_list] == failures


@pytest.mark.parametrize("delay", [0.0, 7.0])
def test_a_host_without_a_delay_or_a_ready_worker_stops_at_once(delay: float) -> None:
    host = Host(1, [100])
    host.planner.settings = replace(host.planner.settings, drain_delay=delay)
    host.settle()
    if not delay:
        host.planner.ready(100, 0.0)
        host.settle()
    host.lifecycle.stop(delayed=True)
    assert state(host) is HostState.STOPPING
