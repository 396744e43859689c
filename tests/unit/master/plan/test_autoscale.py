"""How many workers a load requires, and that a load causes no more steps than it has to."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from reactorhost.config.worker_count import WorkerRange
from reactorhost.master.plan.autoscale import Autoscale, Load, Step

IDLE = Load(workers=2, busy=0.0, connections=0.0, lag_seconds=0.001, queued=0, cpus=0.0, cpus_usable=64)
MANY = 256


class Simulation:
    """Workers that share a load: `demand` is in workers that would be busy all the time.

    Attributes:
        steps: second, workers and reason of each step.
    """

    def __init__(self, least: int, most: int, workers: int | None = None, **sample: float) -> None:
        self.policy = Autoscale(WorkerRange(least, most))
        self.workers = least if workers is None else workers
        self.second = 0
        self.steps: list[tuple[int, int, str]] = []
        self.sample = replace(IDLE, **sample)  # type: ignore[arg-type]  # names of fields

    def run(self, seconds: int, demand: Callable[[int], float] | float, **sample: float) -> list[int]:
        """Let time pass; returns the workers of each step."""
        before = len(self.steps)
        for _ in range(seconds):
            level = demand(self.second) if callable(demand) else demand
            busy = min(1.0, level / self.workers)
            load = replace(self.sample, workers=self.workers, busy=busy, **sample)  # type: ignore[arg-type]
            self.decide(load)
            self.second += 1
        return [workers for _, workers, _ in self.steps[before:]]

    def decide(self, load: Load) -> Step | None:
        step = self.policy.decide(load, self.workers, MANY, float(self.second))
        if step is not None:
            self.workers = step.workers
            self.steps.append((self.second, step.workers, step.reason))
        return step


def test_an_idle_host_stays_at_the_fewest_workers() -> None:
    assert Simulation(2, 16).run(3600, 0.01) == []


def test_an_overloaded_host_grows_within_seconds_by_doubling_and_then_stays() -> None:
    host = Simulation(1, 32)
    assert host.run(60, 5.0) == [2, 4, 8]
    assert [second for second, _, _ in host.steps] == [2, 5, 8]
    assert host.run(3600, 5.0) == []


def test_growth_ends_at_the_most_workers() -> None:
    host = Simulation(2, 5)
    assert host.run(3600, 50.0) == [4, 5]


def test_a_step_says_why() -> None:
    host = Simulation(2, 16)
    host.run(3, 1.8)
    host.run(120, 0.12)
    assert [reason for _, _, reason in host.steps] == ["use 90%", "use 3% at most for 60 s"]


@pytest.mark.parametrize("seconds", [1, 2])
def test_a_short_peak_causes_no_growth(seconds: int) -> None:
    host = Simulation(1, 16)
    assert host.run(600, lambda second: 5.0 if second % 30 < seconds else 0.2) == []


@pytest.mark.parametrize(
    ("lag_seconds", "busy", "grows"),
    [(0.3, 0.51, True), (0.1, 0.6, True), (0.3, 0.5, False), (0.099, 0.74, False), (5.0, 0.3, False)],
)
def test_lag_counts_only_while_the_workers_are_busy(lag_seconds: float, busy: float, grows: bool) -> None:
    host = Simulation(4, 16)
    assert bool(host.run(10, 4 * busy, lag_seconds=lag_seconds)) is grows


def test_growth_because_of_lag_is_not_repeated() -> None:
    host = Simulation(4, 64)
    assert host.run(3600, 2.1, lag_seconds=0.3) == [5]
    assert host.steps[0][2] == "lag 300 ms, use 52%"


def test_clients_that_wait_cause_growth_although_the_workers_are_not_busy() -> None:
    host = Simulation(4, 64)
    assert host.run(3, 0.1, queued=31) == []
    assert host.run(3, 0.1, queued=32) == [6]
    assert host.steps[0][2] == "32 clients wait to be accepted"
    assert host.run(600, 0.1, queued=9) == [], "nor does it shrink while some wait"


def test_open_connections_count_like_use() -> None:
    host = Simulation(4, 64)
    assert host.run(3, 0.1, connections=0.8) == [8]
    assert host.run(600, 0.1, connections=0.4) == []
    assert host.run(62, 0.1, connections=0.2) == [4]


def test_workers_that_use_the_processors_up_get_no_help() -> None:
    host = Simulation(2, 16)
    assert host.run(60, 9.0, cpus=1.8, cpus_usable=2) == []
    assert host.run(60, 9.0, cpus=1.8, cpus_usable=2, queued=1000) == []
    assert host.run(3, 9.0, cpus=1.8, cpus_usable=2, connections=0.8) == [4], "connections need no processor"
    assert host.run(3, 9.0, cpus=1.7, cpus_usable=2)[:1] == [8]


def test_shrinking_takes_a_minute_that_allows_it_and_at_most_halves() -> None:
    host = Simulation(2, 16, workers=16)
    assert host.run(60, 0.2) == []
    assert host.run(1, 0.2) == [8]
    assert host.run(122, 0.2) == [4, 2]
    assert host.run(3600, 0.2) == []


def test_the_busiest_second_of_the_minute_decides() -> None:
    host = Simulation(2, 16, workers=16)
    assert host.run(61, lambda second: 4.0 if second == 30 else 0.1) == [10]


def test_a_second_that_needs_all_workers_begins_the_minute_anew() -> None:
    host = Simulation(2, 16, workers=16)
    assert host.run(3600, lambda second: 6.5 if second % 50 == 0 else 0.1) == []


def test_workers_that_boot_are_waited_for() -> None:
    host = Simulation(2, 64)
    host.run(3, 2.0)
    assert host.workers == 4
    for _ in range(28):
        assert host.decide(replace(IDLE, workers=2, busy=1.0)) is None
        host.second += 1
    assert host.run(3, 4.0) == [8]


@pytest.mark.parametrize(("ready", "grows"), [(12, True), (11, False)])
def test_a_few_workers_that_never_boot_do_not_prevent_growth(ready: int, grows: bool) -> None:
    host = Simulation(8, 64, workers=8)
    host.run(3, 7.0)
    assert host.workers == 16
    steps = []
    for _ in range(40):
        steps.append(host.decide(replace(IDLE, workers=ready, busy=1.0)))
        host.second += 1
        if steps[-1] is not None:
            break
    assert any(steps) is grows


def test_after_a_slot_that_cannot_be_opened_growth_is_tried_again_after_a_minute() -> None:
    host = Simulation(2, 16)
    host.run(3, 2.0)
    attempts = []
    while host.second < 600:
        host.workers = 2
        if host.decide(replace(IDLE, busy=1.0)) is not None:
            attempts.append(host.second)
        host.second += 1
    gaps = [after - before for before, after in itertools.pairwise(attempts)]
    assert len(gaps) > 5
    assert all(60 <= gap <= 65 for gap in gaps), gaps


def test_samples_from_before_a_gap_do_not_count() -> None:
    host = Simulation(1, 16)
    host.run(2, 1.0)
    host.second += 60
    assert host.run(2, 1.0) == []
    assert host.run(1, 1.0) == [2]
    calm = Simulation(2, 16, workers=16)
    calm.run(50, 0.1)
    calm.second += 60
    assert calm.run(60, 0.1) == []


def test_without_a_range_the_number_stays() -> None:
    host = Simulation(1, 16)
    host.policy.range = None
    assert host.run(3600, 9.0) == []


def test_a_number_outside_of_a_changed_range_is_corrected_at_once() -> None:
    host = Simulation(2, 16, workers=8)
    host.policy.range = WorkerRange(10, 16)
    assert host.run(1, 5.0) == [10]
    host.policy.range = WorkerRange(2, 4)
    assert host.run(1, 5.0) == [4]
    assert host.steps[-1][2] == "outside of 2-4"


def test_workers_that_no_service_uses_are_not_added() -> None:
    policy = Autoscale(WorkerRange(1, 16))
    steps = [policy.decide(replace(IDLE, workers=2, busy=1.0), 2, 3, float(second)) for second in range(3)]
    assert steps == [None, None, Step(3, "use 100%")]


# No more steps than the load has.


@given(demand=st.floats(0, 40), workers=st.integers(1, 32), lag=st.sampled_from([0.001, 0.5]))
@hypothesis_settings(deadline=None, max_examples=20)
def test_a_load_that_stays_the_same_settles_at_a_number_that_fits(demand: float, workers: int, lag: float) -> None:
    host = Simulation(1, 32, workers=workers, lag_seconds=lag)
    first = host.run(600, demand)
    assert host.run(1800, demand) == []
    assert len(first) <= 6
    assert sorted(first, reverse=first[:1] < [workers]) == first, "in one direction only"
    assert demand / host.workers <= 0.75 or host.workers == 32
    assert host.workers <= max(1, math.ceil(demand / 0.37)) + 1 or host.workers == workers


@given(st.lists(st.tuples(st.floats(0, 40), st.integers(1, 90)), min_size=1, max_size=30), st.integers(1, 32))
@hypothesis_settings(deadline=None, max_examples=20)
def test_a_step_stays_in_the_range_and_at_most_doubles_or_halves(phases: list[tuple[float, int]], workers: int) -> None:
    host = Simulation(2, 24, workers=min(24, max(2, workers)))
    before = host.workers
    for demand, seconds in phases:
        for after in host.run(seconds, demand):
            assert 2 <= after <= 24
            assert (before + 1) // 2 <= after <= 2 * before
            before = after


@pytest.mark.parametrize("period", [20, 90, 180, 300, 600])
def test_a_load_that_comes_and_goes_ends_with_the_workers_that_it_needs(period: int) -> None:
    host = Simulation(1, 16)
    day = 86400
    host.run(day, lambda second: 3.0 if second % period < period / 2 else 0.1)
    assert host.workers in (4, 5, 6, 7)
    assert len(host.steps) <= 30
    last, _, _ = host.steps[-1]
    assert last < 2 * 3600, "after two hours it knows"


def test_noise_causes_no_steps() -> None:
    chance = random.Random(7)
    host = Simulation(1, 16)
    host.run(6 * 3600, lambda second: max(0.0, chance.gauss(3.0, 0.6)))
    assert len(host.steps) <= 6, host.steps
    assert 4 <= host.workers <= 12


def test_a_day_follows_the_load_up_and_down() -> None:
    host = Simulation(2, 16)
    used = []
    for hour in range(24):
        level = 0.3 + 5.7 * (1 - math.cos(2 * math.pi * hour / 24)) / 2
        host.run(3600, level)
        used.append((host.workers, level))
    assert all(level / workers <= 0.75 for workers, level in used)
    assert max(workers for workers, _ in used) >= 10
    assert used[-1][0] <= 4
    assert len(host.steps) <= 16


# Loads that were recorded (tests/benchmarks/load_recorder.py), served by as many workers as the policy wants.


@dataclass(frozen=True, slots=True)
class Recording:
    """A load, a row a second: use, lag and queue of a fixed number of workers."""

    workers: int
    rows: list[tuple[float, float, int]]

    @staticmethod
    def of(name: str) -> Recording:
        data = json.loads(Path(__file__).with_name("loads").joinpath(f"{name}.json").read_text())
        return Recording(data["workers"], [tuple(row) for row in data["samples"]])

    def replay(self, host: Simulation) -> list[int]:
        """Pass the load to the policy; returns the number of workers in each second."""
        numbers = []
        for use, lag, queued in self.rows:
            demand = use * self.workers
            # Recorded with workers to spare. With too few, messages wait for each other.
            full = demand >= host.workers
            sample = {"lag_seconds": max(lag, 0.5) if full else lag, "queued": queued}
            host.run(1, demand, **sample)
            numbers.append(host.workers)
        return numbers


def test_a_recorded_idle_host_stays_at_the_fewest() -> None:
    host = Simulation(1, 16)
    Recording.of("idle").replay(host)
    assert host.steps == []


def test_a_recorded_burst_is_followed_up_within_seconds_and_down_within_minutes() -> None:
    host = Simulation(1, 16)
    numbers = Recording.of("burst").replay(host)
    # It begins at second 30 and ends at second 90.
    assert numbers[28] == 1
    assert 4 <= numbers[45] <= 8
    assert set(numbers[50:90]) == {numbers[50]}
    assert numbers[140] == numbers[50], "not before the minute is over"
    assert numbers[-1] == 1
    assert [workers for _, workers, _ in host.steps] == sorted({*numbers[:50]} - {1}) + [4, 2, 1][-3:]


def test_a_recorded_day_is_followed_up_and_down() -> None:
    recording = Recording.of("daily")
    host = Simulation(1, 16)
    numbers = recording.replay(host)
    noon = len(numbers) // 2
    assert numbers[5] == 1
    assert 5 <= numbers[noon] <= 10
    assert numbers[:noon] == sorted(numbers[:noon])
    assert numbers[noon:] == sorted(numbers[noon:], reverse=True)
    assert numbers[-1] < numbers[noon]
    assert len(host.steps) <= 10


def test_recorded_waves_end_with_the_workers_of_their_crests() -> None:
    host = Simulation(1, 16)
    numbers = Recording.of("waves").replay(host)
    assert len(set(numbers[20:])) == 1
    assert 4 <= numbers[-1] <= 8


def test_recorded_slow_hooks_cause_no_more_workers_than_their_use_needs() -> None:
    recording = Recording.of("slow_hook")
    assert min(lag for _, lag, _ in recording.rows[2:]) >= 0.3
    host = Simulation(1, 16)
    numbers = recording.replay(host)
    assert numbers[-1] <= 8, "they use about 2 workers, at most 3"
    assert set(numbers[60:]) == {numbers[-1]}


def test_recorded_work_on_processors_that_others_use_causes_little_growth() -> None:
    recording = Recording.of("processors")
    assert max(lag for _, lag, _ in recording.rows) > 0.4, "the loops waited for a processor"
    host = Simulation(1, 16)
    numbers = recording.replay(host)
    assert numbers[15] == 1
    assert numbers[-1] == 2, "it is worth half a processor"
