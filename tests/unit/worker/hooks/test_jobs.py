"""Schedules: jobs are started while the schedule is active, all at one moment, and it can be continued elsewhere."""

from __future__ import annotations

import asyncio
from datetime import UTC
from typing import Any, cast

import pytest
from hypothesis import given, strategies

from reactorhost.ipc.moments import Moment
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller
from reactorhost.worker.hooks.job_times import CronTimes, Ticks
from reactorhost.worker.hooks.jobs import Job, JobSchedule


class World:
    """The schedules of two workers on one clock."""

    def __init__(self, now: float = 100.0) -> None:
        self.clock = FakeClock(now)
        self.reactor = Reactor(FakePoller(self.clock), self.clock)
        self.progress: list[float] = []
        self.ahead = 1e9
        self.started: list[str] = []
        self.schedule, self.successor = (
            JobSchedule(
                self.reactor, lambda: self.clock.now + self.ahead, lambda until: self.progress.append(until.monotonic)
            )
            for _ in range(2)
        )

    def moment(self, now: float) -> Moment:
        return Moment(now, now + self.ahead)

    def note(self, name: str) -> None:
        self.started.append(f"{name} {self.clock.now:g}")

    def advance(self, seconds: float, *, late: bool = False) -> None:
        """Let time pass; `late`: in one turn, as after a hook that blocked."""
        end = self.clock.now + seconds
        while not late and self.clock.now + (left := self.reactor.wait_seconds(self.clock.now)) <= end:
            self.clock.now += left
            self.reactor.turn(0)
        self.clock.now = end
        self.reactor.turn(0)


def test_jobs_are_started_at_their_ticks_between_begin_and_end_only() -> None:
    world = World(99.5)
    world.schedule.add(Ticks(2.0), lambda: world.note("two"))
    world.schedule.add(Ticks(3.0), lambda: world.note("three"))
    world.advance(3.0)
    assert world.started == []
    world.schedule.begin(world.moment(102.5))
    world.advance(5.5)
    assert world.started == ["two 104", "three 105", "two 106", "two 108", "three 108"]
    assert world.progress == [104.0, 105.0, 106.0, 108.0]
    world.schedule.end(lambda: world.started.append("idle"))
    world.advance(9.0)
    assert world.started[5:] == ["idle"]


def test_what_was_due_before_begin_is_started_at_once_and_once() -> None:
    world = World()
    world.schedule.add(Ticks(1.0), lambda: world.note("job"))
    world.advance(5.5)
    world.schedule.begin(world.moment(101.5))
    assert world.started == ["job 105.5"]


def test_progress_is_noted_before_a_job_is_started() -> None:
    world = World()
    world.schedule.add(Ticks(1.0), lambda: world.started.append(str(world.progress)))
    world.schedule.begin(world.moment(100.0))
    world.advance(1.0)
    assert world.started == ["[101.0]"]


def test_a_job_that_is_cancelled_or_cancels_another_one_is_not_started() -> None:
    world = World()
    cancelling: list[Job] = []

    def cancel() -> None:
        for job in cancelling:
            job.cancel()

    first = world.schedule.add(Ticks(1.0), cancel)
    second = world.schedule.add(Ticks(1.0), lambda: world.note("second"))
    cancelling.append(second)
    third = world.schedule.add(Ticks(1.0), lambda: world.note("third"))
    third.cancel()
    third.cancel()
    world.schedule.begin(world.moment(100.0))
    world.advance(3.0)
    first.cancel()
    assert world.started == []
    assert len(world.reactor._timers) == 0


@pytest.mark.parametrize("late", [False, True])
def test_a_tick_at_the_very_moment_of_a_hand_over_is_started_once(late: bool) -> None:
    world = World()
    for each in (world.schedule, world.successor):
        each.add(Ticks(1.0), lambda: world.note("job"))
    world.schedule.begin(world.moment(100.0))
    if late:
        # The order to leave is read in the turn in which the tick is due, before its timers.
        world.reactor.call_soon(lambda: None)
        world.clock.now = 101.0
        world.reactor.now = 101.0
    else:
        world.advance(1.0)
    world.schedule.end(lambda: None)
    world.successor.begin(world.schedule.until)
    world.advance(0.9)
    assert world.started == ["job 101"]


@given(strategies.lists(strategies.tuples(strategies.floats(0.0, 3.0), strategies.booleans(), strategies.booleans())))
def test_no_tick_is_lost_or_doubled_over_any_hand_overs(steps: list[tuple[float, bool, bool]]) -> None:
    """Each step: how long it takes, whether as one late turn, and whether another worker takes over after it."""
    world = World()
    for each in (world.schedule, world.successor):
        each.add(Ticks(0.5), lambda: numbers.append(int(world.clock.now / 0.5)))
    numbers: list[int] = []
    leader, other = world.schedule, world.successor
    leader.begin(world.moment(100.0))
    coalesced = False
    for seconds, late, hands_over in steps:
        world.advance(seconds, late=late)
        coalesced = coalesced or late
        if hands_over:
            leader.end(lambda: None)
            leader, other = other, leader
            leader.begin(other.until)
    last = int(world.clock.now / 0.5)
    assert len(set(numbers)) == len(numbers)
    assert numbers[-1:] == ([last] if last > 200 else [])
    if not coalesced:
        assert numbers == list(range(201, last + 1))


def test_end_waits_for_an_async_job_which_skips_its_ticks_and_hurry_cancels_it() -> None:
    world = World()

    async def run() -> None:
        async def job() -> None:
            world.note("begins")
            await asyncio.Event().wait()

        from reactorhost.plugins.host_task import HostTask

        loop = asyncio.get_running_loop()
        world.schedule.add(Ticks(1.0), lambda: HostTask(job(), loop=loop))
        world.schedule.begin(world.moment(100.0))
        for _ in range(3):
            world.advance(1.0)
            await asyncio.sleep(0)
        world.schedule.end(lambda: world.note("idle"))
        await asyncio.sleep(0)
        assert world.started == ["begins 101"]
        world.schedule.hurry()
        for _ in range(3):
            await asyncio.sleep(0)
        assert world.started == ["begins 101", "idle 103"]

    asyncio.run(run())


def test_a_job_that_is_added_late_does_not_make_up_for_ticks_before() -> None:
    world = World(99.0)
    world.schedule.begin(world.moment(99.0))
    world.advance(7.5)
    world.schedule.add(Ticks(10.0), lambda: world.note("job"))
    world.successor.add(Ticks(10.0), lambda: world.note("job"))
    world.schedule.end(lambda: None)
    world.successor.begin(world.schedule.until)
    world.advance(3.6)
    assert world.started == ["job 110"]


HOUR = 3600.0


@pytest.mark.parametrize(
    ("set_after", "change", "started"),
    [
        (100.0, 0.0, [800]),
        (100.0, 0.2 * HOUR, [100]),
        (100.0, 2.5 * HOUR, [100]),
        (900.0, -0.5 * HOUR, [800, 800 + 1.5 * HOUR]),
        (900.0, -4.1 * HOUR, [800, 1160, 1160 + HOUR]),
    ],
    ids=["unchanged", "forward", "forward by hours", "back", "corrected"],
)
@pytest.mark.parametrize("handed_over", [False, True])
def test_a_wall_clock_that_is_set_loses_no_time_and_repeats_none(
    set_after: float, change: float, started: list[float], handed_over: bool
) -> None:
    # 1e9 is 800 seconds before a full hour.
    world, times = World(0.0), []
    for each in (world.schedule, world.successor):
        each.add(CronTimes("0 * * * *", UTC), lambda: times.append(world.clock.now))
    world.schedule.begin(world.moment(0.0))
    world.advance(set_after)
    world.ahead += change
    if handed_over:
        world.schedule.end(lambda: None)
        world.successor.begin(world.schedule.until)
    world.advance(0.5 * HOUR if change >= 0 else 1.9 * HOUR - 900.0)
    # A leader looks at once, and then each minute.
    assert len(times) == len(started)
    assert all(0 <= time - expected < (1 if handed_over else 61) for time, expected in zip(times, started, strict=True))


def test_all_jobs_are_removed_at_the_end() -> None:
    world = World()
    world.schedule.add(Ticks(1.0), cast("Any", world.note))
    world.schedule.begin(world.moment(100.0))
    world.schedule.cancel_all()
    world.advance(5.0)
    assert world.started == []
