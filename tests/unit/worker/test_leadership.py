"""The leadership of a worker: which hooks and jobs run when, and that the report is the last of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from leading_workers import LeadingWorker
from reactorhost import Worker, hookimpl
from reactorhost.ipc.moments import Moment
from reactorhost.reactor import Reactor
from reactorhost.testing import PluginBench
from reactorhost.testing.fakes import FakeClock, FakePoller
from reactorhost.worker.hooks.job_times import Ticks
from reactorhost.worker.leadership import LeadershipState

Bench = Callable[..., PluginBench]


class World:
    """One worker, whose hooks return when the test lets them."""

    def __init__(self) -> None:
        self.clock = FakeClock(100.0)
        self.reactor = Reactor(FakePoller(self.clock), self.clock)
        self.worker = LeadingWorker(self.reactor)
        self.leadership = self.worker.leadership
        self.leadership.on_stepped_down = lambda: self.left.append(self.leadership.role.is_leader)
        self.left: list[bool] = []
        self.ticks: list[float] = []
        self.worker.jobs.add(Ticks(1.0), lambda: self.ticks.append(self.clock.now))

    def advance(self, seconds: float) -> None:
        self.clock.now += seconds
        self.reactor.turn(0)


def test_jobs_begin_when_leader_start_has_returned_and_make_up_for_what_was_due_since() -> None:
    world = World()
    world.leadership.lead(Moment(98.5, 0.0))
    assert world.leadership.role.is_leader
    world.advance(0.5)
    assert world.ticks == []
    world.worker.a_hook_returns()
    assert world.ticks == [100.5]
    world.advance(0.5)
    assert world.ticks == [100.5, 101.0]


def test_the_report_follows_leader_stop_and_says_up_to_when_jobs_were_started() -> None:
    world = World()
    world.leadership.lead(Moment(99.5, 0.0))
    world.worker.a_hook_returns()
    world.advance(1.2)
    world.leadership.step_down()
    world.advance(3.0)
    assert world.leadership.stepping_down
    assert world.leadership.role.is_leader, "during leader_stop"
    assert list(world.worker.reports) == []
    world.worker.a_hook_returns()
    assert list(world.worker.reports) == [{"report": "stepped_down", "until": 101.2, "until_unix": 0.0}]
    assert world.left == [False]
    assert world.ticks == [100.0, 101.2]


def test_a_worker_that_steps_down_before_leader_start_has_returned_leaves_its_jobs_to_the_next_one() -> None:
    world = World()
    world.leadership.lead(Moment(98.5, 7.0))
    world.leadership.step_down()
    assert world.worker.calls.hurried == 1, "it need not finish"
    for _ in range(2):
        world.worker.a_hook_returns()
    assert world.ticks == []
    assert list(world.worker.reports) == [{"report": "stepped_down", "until": 98.5, "until_unix": 7.0}]


def test_a_worker_that_leaves_answers_that_it_does_not_lead() -> None:
    world = World()
    world.leadership.step_down()
    assert world.leadership.state is LeadershipState.RETIRED
    assert list(world.worker.reports) == []
    world.leadership.lead(Moment(98.5, 7.0))
    assert list(world.worker.reports) == [{"report": "stepped_down", "until": 98.5, "until_unix": 7.0}]
    assert not world.leadership.role.is_leader


def test_a_leader_stop_that_never_returns_ends_with_the_process() -> None:
    world = World()
    world.leadership.lead(Moment(100.0, 0.0))
    world.worker.a_hook_returns()
    world.leadership.step_down()
    world.leadership.hurry(1.0)
    world.advance(0.9)
    assert world.left == []
    world.advance(0.1)
    assert world.left == [True], "the worker may leave, and leads until it has ended"
    world.worker.a_hook_returns()
    assert list(world.worker.reports) == []


@pytest.mark.parametrize("in_time", [False, True])
def test_a_leader_that_steps_down_slowly_is_logged(in_time: bool) -> None:
    world = World()
    world.leadership.lead(Moment(100.0, 0.0))
    world.worker.a_hook_returns()
    world.leadership.step_down()
    if in_time:
        world.worker.a_hook_returns()
    world.advance(5.0)
    logged = [call.kwargs for call in world.worker.log.warning.call_args_list]
    assert logged == ([] if in_time else [{"seconds": 5.0, "waits_for": "a hook"}])


def test_hurry_cancels_an_async_job_before_leader_stop() -> None:
    async def run() -> None:
        from reactorhost.plugins.host_task import HostTask

        loop, world = asyncio.get_running_loop(), World()
        world.worker.jobs.add(Ticks(1.0), lambda: HostTask(asyncio.Event().wait(), loop=loop))
        world.leadership.lead(Moment(99.5, 0.0))
        world.worker.a_hook_returns()
        await asyncio.sleep(0)
        world.leadership.step_down()
        assert not world.worker.calls.waiting, "leader_stop waits for the job"
        world.advance(5.0)
        world.worker.log.warning.assert_called_once_with("step_down_slow", seconds=5.0, waits_for="a job")
        world.leadership.hurry(1.0)
        for _ in range(3):
            await asyncio.sleep(0)
        world.worker.a_hook_returns()
        assert world.left == [False]

    asyncio.run(run())


def test_hurry_is_nothing_to_a_worker_that_does_not_step_down() -> None:
    world = World()
    world.leadership.hurry(1.0)
    world.advance(2.0)
    assert world.leadership.state is LeadershipState.FOLLOWING


# On a bench.


class Leader:
    """Notes its hooks and jobs."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        self.seen.append(("worker_start", worker.leader, worker.count))
        worker.call_every(1.0, self.seen.append, "tick", once="host")

    @hookimpl
    def leader_start(self, worker: Worker) -> None:
        self.seen.append(("leader_start", worker.leader))

    @hookimpl
    def leader_stop(self, worker: Worker) -> None:
        self.seen.append(("leader_stop", worker.leader))

    @hookimpl
    def worker_stop(self, worker: Worker) -> None:
        self.seen.append(("worker_stop", worker.leader))


def test_the_worker_of_a_bench_leads_from_its_start_to_its_stop(plugin_bench: Bench) -> None:
    plugin = Leader()
    bench = plugin_bench(plugin)
    bench.advance(2.0)
    bench.stop()
    assert plugin.seen == [
        ("worker_start", False, 1),
        ("leader_start", True),
        *("tick", "tick"),
        ("leader_stop", True),
        ("worker_stop", False),
    ]


class AsyncLeader:
    """Takes its time for everything."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def take(self, name: str) -> None:
        self.seen.append(f"{name} begins")
        await asyncio.sleep(0.25)
        self.seen.append(f"{name} ends")

    @hookimpl
    async def worker_start(self, worker: Worker) -> None:
        worker.call_every(1.0, self.take, "job", once="host")

    @hookimpl
    async def leader_start(self, worker: Worker) -> None:
        await self.take("start")

    @hookimpl
    async def leader_stop(self, worker: Worker) -> None:
        await self.take("stop")


def test_async_hooks_and_jobs_of_the_leader_follow_each_other(plugin_bench: Bench) -> None:
    plugin = AsyncLeader()
    bench = plugin_bench(plugin)
    while plugin.seen[-1] != "job begins":
        bench.advance(0.125)
    bench.stop()
    assert plugin.seen == [f"{name} {what}" for name in ("start", "job", "stop") for what in ("begins", "ends")]


def test_a_leader_start_that_never_returns_is_cancelled(plugin_bench: Bench) -> None:
    seen: list[str] = []

    class Endless:
        @hookimpl
        async def leader_start(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                seen.append("cancelled")

        @hookimpl
        def leader_stop(self) -> None:
            seen.append("stop")

    plugin_bench(Endless()).stop()
    assert seen == ["cancelled", "stop"]


@pytest.mark.parametrize("hook", ["leader_start", "leader_stop"])
def test_what_a_hook_of_the_leader_raises_is_the_tests(plugin_bench: Bench, hook: str) -> None:
    def fails() -> None:
        raise ValueError("no")

    plugin = type("Failing", (), {hook: staticmethod(hookimpl(fails))})()
    with pytest.raises(ValueError, match="no") as raised, PluginBench(plugin):
        pass
    assert raised.value.__notes__ == [f"raised in {hook} of plugin Failing"]


class Hooks:
    """Plugins that use the leadership, and one that does not."""

    class Neither:
        @hookimpl
        def worker_start(self, worker: Worker) -> None:
            worker.call_every(1.0, print)

    class Start:
        @hookimpl
        def leader_start(self) -> None:
            pass

    class Stop:
        @hookimpl
        def leader_stop(self) -> None:
            pass

    class Job:
        @hookimpl
        def worker_start(self, worker: Worker) -> None:
            worker.call_every(1.0, print, once="host")


@pytest.mark.parametrize(
    ("plugin", "used"), [(Hooks.Neither, False), (Hooks.Start, True), (Hooks.Stop, True), (Hooks.Job, True)]
)
def test_it_is_known_whether_a_plugin_uses_the_leadership(plugin_bench: Bench, plugin: type, used: bool) -> None:
    assert plugin_bench(plugin())._parts.leadership.used is used
