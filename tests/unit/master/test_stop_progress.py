"""What a stop waits for is said in words."""

from __future__ import annotations

import time
from typing import Any
from unittest.mock import Mock

import pytest

from planner_settings import host_settings
from reactorhost.ipc.connection_query import Row
from reactorhost.ipc.counters import Counters
from reactorhost.ipc.stall import Stall
from reactorhost.master.plan.planner import HostState, Planner
from reactorhost.master.stop_progress import StopProgress
from reactorhost.system import procfs


class Stop:
    """A stop of a host with two workers that have so many connections."""

    def __init__(self, connections: int) -> None:
        self.planner = Planner(host_settings(2))
        self.planner.decide(0.0)
        for slot in (0, 1):
            self.planner.forked(100 + slot, slot, 1, 0.0)
            self.planner.ready(100 + slot, 0.0)
            self.planner.decide(0.0)
        self.planner.stop(0.0, at_once=False)
        self.planner.decide(0.0)
        self.requests = Mock()
        context: Any = Mock(planner=self.planner, requests=self.requests)
        context.pool.connections = lambda: connections
        self.heartbeats: dict[int, float] = {}
        self.stalls: dict[int, Stall] = {}
        context.pool.counters = lambda pid: Counters(heartbeat=self.heartbeats[pid])
        context.pool.stall = self.stalls.get
        self.progress = StopProgress(context)

    def client(self) -> str:
        """Return what is said of a client."""
        return self.progress.report().waits_for

    def answer(self, *rows: Row) -> None:
        """Answer the last request, each worker with one of these rows."""
        workers, _, on_answer, on_done = self.requests.send.call_args.args
        for worker, row in zip(workers, rows, strict=False):
            on_answer(worker, {"rows": [row]})
            on_answer(worker, {"rows": []})
        on_done(())


def row(idle: float, state: str = "open", queued: int = 0) -> Row:
    return {
        "peer": f"127.0.0.1:{idle:.0f}",
        "idle_seconds": idle,
        "state": state,
        "queued_bytes": queued,
    }


@pytest.mark.parametrize(
    ("client", "text"),
    [
        (row(5), "127.0.0.1:5 idle for 5 s"),
        (row(5, "lingering"), "127.0.0.1:5 does not close its side"),
        (row(5, "flushing", 9), "127.0.0.1:5 has 9 bytes to receive"),
        (row(5, "open", 9), "127.0.0.1:5 has 9 bytes to receive"),
    ],
)
def test_the_client_that_is_silent_for_longest_is_named(client: Row, text: str) -> None:
    stop = Stop(2)
    assert stop.client() == ""
    stop.answer(row(1), client)
    assert stop.client() == text
    # It has ended, and none is left.
    stop.answer()
    assert stop.client() == ""


def test_workers_get_another_request_only_when_they_have_answered() -> None:
    stop = Stop(1)
    stop.progress.report()
    stop.progress.report()
    assert stop.requests.send.call_count == 1
    workers, *_ = stop.requests.send.call_args.args
    assert [worker.pid for worker in workers] == [100, 101]
    stop.answer()
    stop.planner.workers[100].silent = True
    stop.heartbeats[100] = time.monotonic()
    stop.progress.report()
    workers, *_ = stop.requests.send.call_args.args
    assert [worker.pid for worker in workers] == [101]


def test_the_worker_whose_loop_stands_still_for_longest_is_named_before_a_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stop = Stop(2)
    stop.client()
    stop.answer(row(5))
    now = time.monotonic()
    for pid, seconds in ((100, 3.0), (101, 12.0)):
        stop.planner.workers[pid].silent = True
        stop.heartbeats[pid] = now - seconds
    assert stop.client() == "worker 1 silent for 12 s"
    stop.stalls[101] = Stall("slow", "receive", "slow.py:15", now, "10.0.0.7:4711")
    assert stop.client() == "worker 1 silent for 12 s in slow.receive at slow.py:15 for 10.0.0.7:4711"
    # The code that it was in does not hold it.
    monkeypatch.setattr(procfs, "state", {101: "stopped"}.get)
    assert stop.client() == "worker 1 silent for 12 s, stopped by a signal"
    for pid in (100, 101):
        stop.planner.workers[pid].silent = False
    assert stop.client() == "127.0.0.1:5 idle for 5 s"


@pytest.mark.parametrize(
    ("connections", "state"), [(0, HostState.STOPPING), (1001, HostState.STOPPING), (1, HostState.LEAVING)]
)
def test_no_client_is_looked_for_if_none_or_many_are_left_or_they_are_still_accepted(
    connections: int, state: HostState
) -> None:
    stop = Stop(connections)
    stop.planner.state = state
    stop.planner.stopping.announce(1.0, 2.0)
    stop.progress.report()
    stop.requests.send.assert_not_called()
