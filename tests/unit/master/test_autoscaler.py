"""The load is sampled from what workers store, and steps of the policy change the number of workers."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any
from unittest.mock import Mock, call

import pytest

from planner_settings import host_settings
from reactorhost.config.service import Service
from reactorhost.config.worker_count import WorkerRange
from reactorhost.ipc.counters import Counters
from reactorhost.master import autoscaler
from reactorhost.master.autoscaler import Autoscaler
from reactorhost.master.plan.autoscale import Load
from reactorhost.master.plan.planner import Planner
from reactorhost.master.stats.samples import Samples
from reactorhost.master.workers.exit_report import Sample
from reactorhost.system import procfs


class Host:
    """A planner with ready workers, process ids from 100, and what they store."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, workers: int = 2, **services: int | None) -> None:
        settings = replace(host_settings(workers, **services), workers_range=WorkerRange(workers, 8))
        self.planner = Planner(replace(settings, max_connections=1000))
        self.now = 1000.0
        self.lateness = 0.0
        self.log, self.supervisor = Mock(), Mock()
        self.counters: dict[int, Counters] = {}
        self.waited: dict[int, float] = {}
        self.samples = Samples()
        self.listeners = Mock(waiting=Mock(return_value=0))
        pool = Mock(counters=self.counters.__getitem__)
        monitor = Mock(samples=self.samples)
        context: Any = Mock(planner=self.planner, pool=pool, log=self.log, monitor=monitor, listeners=self.listeners)
        self.autoscaler = Autoscaler(context, self.supervisor)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(procfs, "waited_seconds", lambda pid: self.waited.get(pid, 0.0))
        monkeypatch.setattr(autoscaler, "available_cpus", lambda: 4)
        self.planner.decide(self.now)
        for slot in range(workers):
            self.planner.forked(100 + slot, slot, 1, self.now)
            self.planner.ready(100 + slot, self.now)
            self.planner.decide(self.now)

    def second(self, busy: float = 0.0, cpu: float = 0.0, waited: float = 0.0, **gauges: float) -> Load | None:
        """Let a second pass in which every worker was busy, and so on; returns the sample that the policy got."""
        self.now += 1.0
        for pid in self.planner.workers:
            before = self.counters.get(pid, Counters())
            self.waited[pid] = self.waited.get(pid, 0.0) + waited
            self.counters[pid] = replace(
                before,
                tick=self.now - self.lateness,
                busy_seconds=before.busy_seconds + busy,
                cpu_seconds=before.cpu_seconds + cpu,
                **gauges,  # type: ignore[arg-type]  # names of fields
            )
        self.samples.take({pid: Sample(self.now, each, [], ()) for pid, each in self.counters.items()}, self.now)
        self.autoscaler.check()
        return self.planner.autoscale.load

    def load(self, **second: Any) -> Load:
        """Return the sample of the second of two equal seconds."""
        self.second(**second)
        load = self.second(**second)
        assert load is not None
        return load


def test_a_sample_is_made_of_what_the_workers_store(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch)
    host.listeners.waiting.return_value = 3
    load = host.load(busy=0.25, cpu=0.125, connections=50, lag_max_seconds=0.5)
    assert load == Load(2, 0.25, 0.05, 0.5, 3, 0.25, 4)


def test_one_second_makes_no_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Host(monkeypatch).second(busy=1.0) is None


@pytest.mark.parametrize(
    ("busy", "cpu", "waited", "share"),
    [
        (0.25, 0.5, 0.0, 0.5),
        (1.0, 0.5, 0.5, 0.5),
        (1.0, 0.25, 0.5, 0.5),
        (0.5, 0.25, 1.0, 0.25),
        (0.5, 3.0, 0.0, 1.0),
    ],
    ids=["tasks of asyncio", "computes", "blocks too", "waited before its turn", "threads"],
)
def test_a_worker_is_busy_while_it_waits_for_nothing(
    monkeypatch: pytest.MonkeyPatch, busy: float, cpu: float, waited: float, share: float
) -> None:
    assert Host(monkeypatch).load(busy=busy, cpu=cpu, waited=waited).busy == share


def test_a_worker_that_is_blocked_stores_nothing_and_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch)
    host.second()
    host.planner.workers[100].silent = True
    load = host.second()
    assert load is not None
    assert load.busy == 0.5


def test_a_worker_without_a_processor_stores_nothing_and_is_not_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch, workers=1)
    host.second()
    host.planner.workers[100].silent = True
    load = host.second(waited=0.75)
    assert load is not None
    assert load.busy == 0.25


def test_waiting_for_a_processor_is_compared_with_the_time_that_the_worker_has_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = Host(monkeypatch, workers=1)
    host.lateness = 0.5
    host.second(busy=1.0)
    host.second(busy=1.0, waited=0.5)
    load = host.second(busy=1.0)
    assert load is not None
    # What it has stored ends half a second before: a half of the second in which it waited, and a half of the next.
    assert load.busy == 0.75


def test_the_lag_is_that_of_the_worker_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch, workers=3)
    host.second()
    for pid, lag in zip((100, 101, 102), (0.1, 0.9, 0.2), strict=True):
        host.counters[pid].lag_max_seconds = lag
    load = host.second()
    assert load is not None
    assert load.lag_seconds == 0.2


def test_clients_that_wait_for_a_rate_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch, a=None, b=None)
    first, second = host.planner.settings.services
    limited: tuple[Service, ...] = (first, replace(second, accept_rate=10))
    host.planner.settings = replace(host.planner.settings, services=limited)
    host.load()
    assert host.listeners.waiting.call_args == call({"a"})


def test_workers_that_no_service_uses_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch, workers=3, a=2)
    assert host.load(busy=0.5).workers == 2


def test_a_step_is_requested_and_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch)
    for _ in range(4):
        host.second(busy=1.0)
    assert host.planner.scaling.target == 4
    assert host.log.info.call_args_list == [call("scaled_by_load", workers=4, before=2, reason="use 100%")]
    host.supervisor.schedule.assert_called_once_with()


@pytest.mark.parametrize("why", ["fixed", "stopping"])
def test_nothing_is_sampled_while_the_number_does_not_follow_the_load(
    monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    host = Host(monkeypatch)
    if why == "fixed":
        host.planner.autoscale.range = None
    else:
        host.planner.stop(host.now, at_once=False)
    for _ in range(10):
        host.second(busy=1.0)
    assert host.planner.scaling.target == 2
    host.listeners.waiting.assert_not_called()
