"""Recycling and scaling through the planner: what the clients that requested them receive."""

from __future__ import annotations

import random
import signal

import pytest

from planner_settings import host_settings
from reactorhost.errors import BootError, ReactorhostError, UsageError
from reactorhost.master.plan.actions import Drain, Signal, Spawn
from reactorhost.master.plan.planner import Planner
from reactorhost.master.plan.worker_table import WorkerState

ERROR = BootError("no such module")


class FakeWatcher:
    """Records how an operation ended."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.fields: dict[str, object] = {}
        self.result: dict[str, object] | None = None
        self.error: ReactorhostError | None = None

    def progress(self, text: str, **fields: object) -> None:
        self.texts.append(text)
        self.fields = fields

    def done(self, **result: object) -> None:
        self.result = result

    def failed(self, error: ReactorhostError) -> None:
        self.error = error


class FakeHost:
    """A planner without processes; its workers boot in `boot`."""

    def __init__(self, workers: int) -> None:
        self.planner = Planner(host_settings(workers), random.Random(1))
        self.last_pid = 0
        self.settle()
        for _ in range(workers):
            self.boot()

    def settle(self, now: float = 0.0) -> list[object]:
        done: list[object] = []
        while actions := self.planner.decide(0.0):
            done += actions
            for action in actions:
                if isinstance(action, Spawn):
                    self.last_pid += 1
                    self.planner.forked(self.last_pid, action.slot, action.generation, 0.0)
        self.planner.reload.report(self.planner.workers.values(), now)
        self.planner.scaling.report(now)
        return done

    def boot(self) -> list[object]:
        """Let every worker that boots become ready."""
        for worker in list(self.planner.workers.values()):
            if worker.state is WorkerState.STARTING:
                self.planner.ready(worker.pid, 0.0)
        return self.settle()

    def exit(self, pid: int) -> None:
        self.planner.exited(pid, "exit status 3", ERROR, 0.0)
        self.settle()


def test_a_recycled_worker_drains_once_its_replacement_is_ready() -> None:
    host, watcher = FakeHost(2), FakeWatcher()
    host.planner.recycle(1, watcher)
    assert host.settle() == [Spawn(0, 1)]
    assert Drain(1, 60.0, final=False) in host.boot()
    assert watcher.result == {"slot": 0, "old": 1, "new": 3}


def test_a_process_that_does_not_serve_cannot_be_recycled() -> None:
    host = FakeHost(1)
    with pytest.raises(UsageError, match="pid 99 is not a worker that serves"):
        host.planner.recycle(99, FakeWatcher())


def test_a_replacement_that_does_not_boot_leaves_the_worker_and_no_back_off() -> None:
    host, watcher = FakeHost(1), FakeWatcher()
    host.planner.recycle(1, watcher)
    host.settle()
    host.exit(2)
    assert watcher.error is ERROR
    assert list(host.planner.workers) == [1]
    assert not host.planner.slots[0].backoff.failed


def test_a_recycled_worker_that_ends_first_is_replaced_as_after_any_crash() -> None:
    host, watcher = FakeHost(1), FakeWatcher()
    host.planner.recycle(1, watcher)
    host.settle()
    host.exit(1)
    assert watcher.error is not None
    assert list(host.planner.workers) == [2]
    host.boot()
    assert host.planner.scaling.ready_slots() == 1


def test_a_slot_that_leaves_ends_its_recycling() -> None:
    host, watcher = FakeHost(2), FakeWatcher()
    host.planner.recycle(2, watcher)
    host.settle()
    host.planner.scaling.request(1)
    host.settle()
    assert watcher.error is not None
    assert watcher.error.what == "slot 1 is not wanted any more"


def test_scaling_reports_until_the_workers_are_ready() -> None:
    host, watcher = FakeHost(1), FakeWatcher()
    host.planner.scaling.request(3, watcher)
    host.settle()
    assert watcher.texts == ["1 of 3 workers ready; worker 1: starting"]
    host.settle()
    assert len(watcher.texts) == 1
    host.boot()
    assert watcher.texts[-1] == "3 of 3 workers ready"
    assert watcher.result == {"workers": 3, "draining": 0}


def test_an_operation_reports_in_which_plugin_its_worker_has_been_for_longest() -> None:
    host, watcher = FakeHost(1), FakeWatcher()
    host.planner.scaling.request(3, watcher)
    host.settle()
    for pid, step, at in ((2, "import", 1.0), (3, "worker_start", 2.0)):
        host.planner.table.note_boot_step(pid, step, "chat", at)
        host.settle(at + 0.5)
    assert watcher.texts[1:] == [
        "1 of 3 workers ready; worker 2: starting",
        "1 of 3 workers ready; worker 1: importing chat",
    ]
    assert watcher.fields == {"done": 1, "total": 3, "step_seconds": 1.5}
    host.planner.ready(2, 3.0)
    host.settle(4.0)
    assert watcher.texts[-1] == "2 of 3 workers ready; worker 2: in worker_start of chat"


def test_a_reload_reports_what_its_replacement_does() -> None:
    host, watcher = FakeHost(2), FakeWatcher()
    # A worker of the old generation, which the reload does not wait for.
    host.exit(2)
    host.planner.reload.request(watcher)
    host.planner.begin_reload()
    host.settle()
    host.planner.table.note_boot_step(4, "configure", "chat", 3.0)
    host.settle(5.0)
    host.settle(6.0)
    assert watcher.texts == [
        "0 of 2 workers replaced; worker 0: starting",
        "0 of 2 workers replaced; worker 0: configuring chat",
    ]
    assert watcher.fields == {"done": 0, "total": 2, "step_seconds": 2.0}


def test_a_worker_that_exceeds_the_boot_timeout_is_ended_with_the_plugin_that_it_was_in() -> None:
    host = FakeHost(1)
    host.planner.scaling.request(2)
    host.settle()
    host.planner.table.note_boot_step(2, "import", "chat", 0.0)
    (end,) = host.planner.expire(10.5)
    assert end == Signal(2, signal.SIGABRT, "boot_timeout of 10 s exceeded, importing chat")


def test_a_newer_request_to_scale_ends_the_earlier_one() -> None:
    host, first, second = FakeHost(1), FakeWatcher(), FakeWatcher()
    host.planner.scaling.request(3, first)
    host.planner.scaling.request(2, second)
    assert first.error is not None
    host.settle()
    host.boot()
    assert second.result == {"workers": 2, "draining": 0}


def test_a_worker_that_does_not_boot_ends_the_request_and_is_retried() -> None:
    host, watcher = FakeHost(1), FakeWatcher()
    host.planner.scaling.request(2, watcher)
    host.settle()
    host.exit(2)
    assert watcher.error is not None
    assert watcher.error.what == "slot 1 is not ready: no such module"
    assert host.planner.table.in_slot(1, WorkerState.STARTING)


def test_a_slot_that_cannot_listen_limits_the_host() -> None:
    host, watcher = FakeHost(1), FakeWatcher()
    host.planner.scaling.request(3, watcher)
    host.planner.decide(0.0)
    host.planner.scaling.open_failed(1, ERROR)
    host.planner.scaling.open_failed(2, ERROR)
    host.settle()
    assert watcher.error is ERROR
    assert host.planner.scaling.target == 1
    assert list(host.planner.slots) == [0]


def test_a_stop_ends_every_operation() -> None:
    host = FakeHost(2)
    watchers = [FakeWatcher() for _ in range(3)]
    host.planner.reload.request(watchers[0])
    host.planner.recycle(1, watchers[1])
    host.planner.scaling.request(3, watchers[2])
    host.planner.stop(0.0, at_once=False)
    assert [each.error is not None for each in watchers] == [True] * 3
