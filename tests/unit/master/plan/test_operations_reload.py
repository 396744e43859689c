"""The reload object: its states, its watchers, and the queue behind it."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from reactorhost.errors import ReactorhostError
from reactorhost.master.plan.operations import Reload, ReloadState
from reactorhost.master.plan.worker_table import WorkerRecord, WorkerState

ERROR = ReactorhostError("it did not boot")


class FakeWatcher:
    """Records what an operation reports."""

    def __init__(self) -> None:
        self.reported: list[object] = []

    def progress(self, text: str, **fields: object) -> None:
        self.reported.append(text)

    def done(self, **result: object) -> None:
        self.reported.append(result)

    def failed(self, error: ReactorhostError) -> None:
        self.reported.append(error)


def worker(slot: int, generation: int) -> WorkerRecord:
    return WorkerRecord(7, slot, generation, 0.0, WorkerState.STARTING, 0.0, None)


def running(*watchers: FakeWatcher, slots: tuple[int, ...] = (0, 1)) -> Reload:
    """Return a reload to generation 2 that has begun."""
    reload = Reload()
    for watcher in watchers:
        reload.request(watcher)
    reload.begin(2, slots)
    return reload


def test_a_reload_replaces_one_slot_after_the_other_and_reports_each() -> None:
    watcher = FakeWatcher()
    reload = running(watcher)
    assert reload.choose([0, 1]) == 0
    assert reload.choose([0, 1]) is None, "one replacement boots at a time"
    assert not reload.finish()
    reload.replacement_ready(71, [70])
    assert reload.choose([0, 1]) == 1
    reload.replacement_ready(81, [])
    assert reload.choose([0, 1]) is None
    assert reload.finish()
    assert not reload.finish()
    assert not reload.running
    assert watcher.reported == [
        "slot 0: pid 70 -> 71 ready (1 of 2)",
        "slot 1: pid none -> 81 ready (2 of 2)",
        {"generation": 2, "replaced": 2},
    ]


def test_only_a_worker_of_the_new_generation_in_the_chosen_slot_is_the_replacement() -> None:
    reload = running()
    assert not reload.is_replacement(worker(0, 2))
    reload.choose([0, 1])
    assert reload.is_replacement(worker(0, 2))
    assert not reload.is_replacement(worker(0, 1))
    assert not reload.is_replacement(worker(1, 2))


def test_a_slot_that_is_not_wanted_any_more_is_skipped_before_and_during_its_replacement() -> None:
    reload = running(slots=(0, 1, 2))
    assert reload.choose([1, 2]) == 1
    assert reload.choose([1]) is None
    assert reload.replaces(1)
    assert reload.choose([]) is None
    assert reload.finish()
    assert reload.replaced == 0


def test_a_failed_canary_fails_every_request_of_the_reload() -> None:
    first, second = FakeWatcher(), FakeWatcher()
    reload = running(first, second)
    reload.choose([0, 1])
    reload.fail(ERROR, "generation 1 in slots 0-1")
    assert (reload.state, reload.waiting) == (ReloadState.IDLE, [])
    assert first.reported == second.reported
    [failure] = first.reported
    assert str(failure) == "reload failed at slot 0 (generation 1 in slots 0-1): it did not boot"
    assert reload.error is ERROR
    assert not reload.finish()


def test_requests_during_a_reload_wait_for_one_more_that_serves_them_all() -> None:
    first, second, third = FakeWatcher(), FakeWatcher(), FakeWatcher()
    reload = running(first, slots=(0,))
    reload.request(second)
    reload.request(third)
    reload.choose([0])
    reload.fail(ERROR, "generation 1 in slot 0")
    failed = list(first.reported)
    assert len(failed) == 1
    assert second.reported == third.reported == ["waiting for the reload that is running"]
    assert reload.requested, "for the two that wait"
    reload.begin(3, [0])
    reload.choose([0])
    reload.replacement_ready(71, [70])
    assert reload.finish()
    assert second.reported[-1] == third.reported[-1] == {"generation": 3, "replaced": 1}
    assert first.reported == failed


def test_an_abandoned_reload_fails_the_waiting_requests_too() -> None:
    first, second = FakeWatcher(), FakeWatcher()
    reload = running(first)
    reload.request(second)
    reload.abandon(ERROR)
    assert not reload.running
    assert not reload.requested
    assert first.reported == [ERROR]
    assert second.reported[-1] is ERROR


STEPS: list[Callable[[Reload], object]] = [
    lambda reload: reload.choose([0, 1]),
    lambda reload: reload.choose([1]),
    lambda reload: reload.replacement_ready(71, []) if reload.state is ReloadState.REPLACING else None,
    lambda reload: reload.choose([]),
    lambda reload: reload.finish(),
    lambda reload: reload.fail(ERROR, "no worker in slot 0"),
    lambda reload: reload.request(),
    lambda reload: reload.begin(3, [0, 1]) if reload.requested and not reload.running else None,
    lambda reload: reload.abandon(ERROR),
]


@pytest.mark.parametrize("first", range(len(STEPS)))
def test_any_sequence_of_events_ends_every_request_exactly_once(first: int) -> None:
    for rest in itertools.product(STEPS, repeat=3):
        watcher, waiting = FakeWatcher(), FakeWatcher()
        reload = running(watcher)
        reload.request(waiting)
        for step in (STEPS[first], *rest):
            step(reload)
            assert (reload.slot >= 0) == (reload.state is ReloadState.REPLACING)
            assert reload.running or not reload.waiting
        reload.abandon(ERROR)
        for each in (watcher, waiting):
            assert sum(not isinstance(text, str) for text in each.reported) == 1
