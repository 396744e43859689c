"""The deadline of a worker's shutdown, and the order of its last steps."""

from __future__ import annotations

import os
import types
from typing import Any

import pytest

from reactorhost import Worker, hookimpl
from reactorhost.ipc.messages import Message, Report
from reactorhost.plugins.loading import load_object
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller
from reactorhost.worker.builder import WorkerBuilder
from reactorhost.worker.bus.bus import BusSetup
from reactorhost.worker.bus.no_peers import NoPeers
from reactorhost.worker.context import Limits
from reactorhost.worker.hooks.thread_pool import ThreadPool
from reactorhost.worker.service import LoadedService
from reactorhost.worker.shutdown import Deadline, Shutdown
from reactorhost.worker.state import Lifecycle, WorkerState


def test_the_deadline_only_moves_closer() -> None:
    deadline = Deadline(closing_seconds=3.0)
    assert not deadline.passed(1e9)
    assert deadline.shorten(100.0, 30.0)
    assert not deadline.shorten(101.0, 30.0)
    assert not deadline.passed(129.9)
    assert deadline.passed(130.0)
    assert deadline.shorten(101.0, 5.0)
    assert deadline.passed(106.0)


@pytest.mark.parametrize(
    ("now", "threads", "tasks", "exit_functions"),
    [
        (100.0, 1.0, 1.0, 1.0),  # all connections ended early
        (130.0, 1.0, 1.0, 1.0),
        (131.0, 0.8, 1.0, 1.0),  # after the last flush
        (131.5, 0.3, 0.9, 1.0),
        (132.0, 0.1, 0.4, 0.64),
        (140.0, 0.1, 0.1, 0.1),
    ],
)
def test_each_step_has_a_third_of_the_time_and_all_end_before_the_kill(
    now: float, threads: float, tasks: float, exit_functions: float
) -> None:
    deadline = Deadline(closing_seconds=3.0)
    deadline.shorten(100.0, 30.0)
    assert deadline.thread_seconds(now) == pytest.approx(threads)
    assert deadline.task_seconds(now) == pytest.approx(tasks)
    assert deadline.exit_seconds(now) == pytest.approx(exit_functions)


def test_an_expired_deadline_leaves_threads_no_time() -> None:
    deadline = Deadline(closing_seconds=3.0)
    deadline.shorten(100.0, 30.0)
    deadline.expire(101.0)
    assert deadline.passed(101.0)
    assert deadline.thread_seconds(101.0) == 0.0
    assert deadline.task_seconds(101.0) == 1.0
    assert not deadline.shorten(101.0, 30.0)


class Recorder(NoPeers):
    """Notes what goes to other workers."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def publish(self, key: str, number: int, data: bytes) -> None:
        self.calls.append(f"publish {key}")

    def drop(self, pattern: str) -> None:
        self.calls.append(f"drop {pattern}")

    def stop(self) -> None:
        self.calls.append("stop")


class Leaving:
    """A worker without connections, which a plugin holds, its fake time, and which holds it has reported."""

    def __init__(self, plugin: object) -> None:
        self.clock = FakeClock(100.0)
        self.reactor = Reactor(FakePoller(self.clock), self.clock)
        self.held: list[list[str]] = []
        self.parts = WorkerBuilder(
            reactor=self.reactor, hook_failed=lambda *failure: pytest.fail(f"{failure}"), send=self.reported
        ).build([LoadedService("a", [load_object(plugin, "a")])], Limits())
        self.parts.call(self.parts.hooks.worker_start)
        self.lifecycle = Lifecycle()
        sockets: Any = types.SimpleNamespace(in_use=False, abandon=lambda: None)
        settings: Any = types.SimpleNamespace(closing_seconds=3.0)
        alarm: Any = None
        threads = ThreadPool(1, 1, lambda *failure: None, lambda: None)
        self.shutdown = Shutdown(
            self.parts, sockets, threads, self.lifecycle, alarm, lambda report: None, settings, os.getppid()
        )

    def advance(self, seconds: float) -> None:
        self.clock.now += seconds
        self.reactor.turn(0)
        self.reactor.turn(0)

    def reported(self, report: Message) -> None:
        if report["report"] is Report.HELD:
            self.held.append([each["reason"] for each in report["holds"]])

    def has_left(self) -> bool:
        return self.lifecycle.state is WorkerState.LEAVING


class Saving:
    """A plugin that needs some seconds to save its state."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.saved = False

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        self.worker = worker
        self.hold = worker.hold("it is not saved", on_drain=self.save)

    def save(self) -> None:
        self.worker.call_later(self.seconds, self.end)

    def end(self) -> None:
        self.saved = True
        self.hold.release()


def test_a_worker_leaves_when_a_plugin_that_holds_it_has_saved_its_state() -> None:
    leaving = Leaving(plugin := Saving(5.0))
    leaving.shutdown.drain(30.0, final=False)
    leaving.advance(0)
    leaving.advance(4.9)
    assert not leaving.has_left()
    leaving.advance(0.2)
    assert plugin.saved
    assert leaving.has_left()


def test_a_worker_that_is_held_leaves_when_its_connections_would_have_been_closed() -> None:
    leaving = Leaving(plugin := Saving(60.0))
    leaving.shutdown.drain(30.0, final=False)
    leaving.advance(0)
    leaving.advance(30.0)
    leaving.advance(0.9)
    assert not leaving.has_left()
    assert plugin.hold.active
    leaving.advance(0.2)
    assert leaving.has_left()
    assert not plugin.hold.active


@pytest.mark.parametrize("late", [True, False], ids=["in time", "in vain"])
def test_what_worker_stop_has_not_released_is_reported_at_the_end(late: bool) -> None:
    class Late(Saving):
        @hookimpl
        def worker_stop(self) -> None:
            if late:
                self.hold.release()

    leaving = Leaving(Late(60.0))
    leaving.shutdown.drain(30.0, final=False)
    leaving.advance(30.0)
    leaving.advance(1.0)
    assert leaving.has_left()
    leaving.shutdown.finish()
    assert leaving.held == [["it is not saved"], *([[]] if late else [])]


def test_a_worker_that_is_to_leave_at_once_is_not_held() -> None:
    leaving = Leaving(plugin := Saving(5.0))
    leaving.shutdown.quit_received()
    assert leaving.has_left()
    assert not plugin.hold.active


def test_a_worker_that_has_begun_to_leave_cannot_be_held() -> None:
    late: list[bool] = []

    class Late(Saving):
        @hookimpl
        def worker_stop(self, worker: Worker) -> None:
            late.append(worker.hold("too late", on_drain=lambda: pytest.fail("called")).active)

    leaving = Leaving(Late(1.0))
    leaving.shutdown.drain(30.0, final=False)
    leaving.advance(0)
    leaving.advance(1.0)
    assert leaving.has_left()
    leaving.shutdown.finish()
    leaving.advance(0)
    assert late == [False]


def test_the_bus_of_a_worker_stops_after_worker_stop_and_its_subscriptions_before() -> None:
    class Plugin:
        @hookimpl
        def worker_start(self, worker: Worker) -> None:
            worker.subscribe("news", lambda topic, data: pytest.fail("called"))

        @hookimpl
        def worker_stop(self, worker: Worker) -> None:
            worker.publish("bye", b"")

    outbound = Recorder()
    reactor = Reactor(FakePoller(FakeClock()))
    parts = WorkerBuilder(
        reactor=reactor,
        hook_failed=lambda *failure: pytest.fail(f"{failure}"),
        bus=BusSetup(new_outbound=lambda inbound, repeats: outbound),
    ).build([LoadedService("a", [load_object(Plugin(), "a")])], Limits())
    parts.call(parts.hooks.worker_start)
    sockets: Any = types.SimpleNamespace(in_use=False)
    settings: Any = types.SimpleNamespace(closing_seconds=3.0)
    alarm: Any = None
    threads = ThreadPool(1, 1, lambda *failure: None, lambda: None)
    shutdown = Shutdown(parts, sockets, threads, Lifecycle(), alarm, lambda report: None, settings, 1)
    parts.bus.publish("news", b"")
    shutdown.drain(1.0, final=False)
    reactor.turn(0)
    shutdown.finish()
    assert outbound.calls == ["publish t:news", "drop t:news", "publish t:bye", "stop"]
