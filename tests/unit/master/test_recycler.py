"""Workers that have reached a limit are replaced, and the log and the status have the reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import Mock, call

import pytest

from planner_settings import host_settings
from reactorhost.errors import BootError, ReactorhostError
from reactorhost.ipc.counters import Counters
from reactorhost.master.plan.planner import Planner
from reactorhost.master.recycler import Recycler
from reactorhost.system import procfs


class Host:
    """A planner with one worker, process id 100, and what the recycler sees beside it."""

    def __init__(self, **limits: Any) -> None:
        self.planner = Planner(replace(host_settings(1), **limits))
        self.log, self.supervisor = Mock(), Mock()
        self.counters = Counters()
        pool = Mock(pids=lambda: list(self.planner.workers), counters=lambda pid: self.counters)
        context: Any = Mock(planner=self.planner, pool=pool, log=self.log)
        self.recycler = Recycler(context, self.supervisor)
        self.planner.decide(0.0)
        self.planner.forked(100, 0, 1, 0.0)
        self.planner.ready(100, 0.0)

    def replacement(self) -> None:
        """Let the replacement boot."""
        self.planner.decide(0.0)
        self.planner.forked(101, 0, 1, 0.0)


def test_a_worker_over_its_limit_is_replaced() -> None:
    host = Host(max_messages_per_worker=1000)
    host.counters.messages = 899
    host.recycler.check()
    host.supervisor.schedule.assert_not_called()
    host.counters.messages = 1000
    host.recycler.check()
    host.supervisor.schedule.assert_called_once_with()
    host.replacement()
    host.planner.ready(101, 0.0)
    assert host.planner.recycle_limits.recycled["max_messages_per_worker"] == 1
    (logged,) = host.log.info.call_args_list
    assert logged.args == ("worker_recycled",)
    assert 900 <= logged.kwargs.pop("limit") <= 1000
    assert logged.kwargs == {"slot": 0, "pid": 100, "reason": "max_messages_per_worker", "value": 1000}


def test_a_replacement_that_does_not_boot_is_logged_and_not_counted() -> None:
    host = Host(max_connections_per_worker=10)
    host.counters.accepted = 10
    host.recycler.check()
    host.replacement()
    host.planner.exited(101, "exit status 4", BootError("plugin x does not load"), 0.0)
    assert host.planner.recycle_limits.recycled["max_connections_per_worker"] == 0
    assert host.log.info.call_args_list == [
        call(
            "worker_not_recycled",
            slot=0,
            pid=100,
            reason="max_connections_per_worker",
            error="plugin x does not load",
        )
    ]


@pytest.mark.parametrize("limits", [{}, {"max_age": 1e9}, {"max_rss": 1 << 30}])
def test_the_memory_of_workers_is_read_only_for_its_limit(
    monkeypatch: pytest.MonkeyPatch, limits: dict[str, float]
) -> None:
    monkeypatch.setattr(procfs, "resident_bytes", read := Mock(return_value=1 << 20))
    host = Host(**limits)
    host.recycler.check()
    assert read.call_args_list == ([call(100)] if "max_rss" in limits else [])


def test_a_worker_that_grew_too_large_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procfs, "resident_bytes", lambda pid: 64 << 20)
    host = Host(max_rss=64 << 20)
    host.recycler.check()
    assert 0 in host.planner.recycling


def test_no_worker_is_replaced_while_the_host_stops() -> None:
    host = Host(max_age=1.0)
    host.planner.stop(0.0, at_once=False)
    host.recycler.check()
    host.supervisor.schedule.assert_not_called()


def test_a_stop_ends_a_replacement() -> None:
    host = Host(max_age=1.0)
    host.recycler.check()
    assert 0 in host.planner.recycling
    host.planner.stop(0.0, at_once=False)
    (logged,) = host.log.info.call_args_list
    assert logged.kwargs["error"] == ReactorhostError("the host is being stopped").what
