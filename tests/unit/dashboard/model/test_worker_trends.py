"""Trends of workers: a sample each second, forgotten with the worker, frozen while the view is paused."""

from __future__ import annotations

from documents import NOON, document, rates, worker
from reactorhost.dashboard.model.snapshot import following
from reactorhost.dashboard.model.worker_trends import MOST_SAMPLES, WorkerTrends
from reactorhost.ipc.status import StatusDocument


def at(seconds: float, *scales: float) -> StatusDocument:
    workers = [worker(number, 100 + number, rates=rates(scale)) for number, scale in enumerate(scales)]
    return document(0, workers=workers, time=NOON + seconds)


def test_every_second_adds_a_sample_for_each_worker() -> None:
    trends = WorkerTrends().after(at(0, 1.0, 2.0)).after(at(1, 3.0, 0.0))
    assert trends.samples == {100: (23_600.0, 70_800.0), 101: (47_200.0, 0.0)}
    assert trends.highest == 70_800.0
    assert trends.after(at(1.5, 9.0, 9.0)) is trends


def test_missed_seconds_are_filled_and_old_ones_dropped() -> None:
    first = WorkerTrends().after(at(0, 1.0))
    assert first.after(at(3, 2.0)).samples == {100: (23_600.0, *[47_200.0] * 3)}
    assert len(first.after(at(5000, 2.0)).samples[100]) == MOST_SAMPLES


def test_a_worker_that_ended_is_forgotten_and_a_new_one_starts_with_one_sample() -> None:
    trends = WorkerTrends().after(at(0, 1.0, 1.0)).after(at(9, 1.0))
    assert list(trends.samples) == [100]
    assert len(trends.after(at(20, 1.0, 1.0)).samples[101]) == 1
    assert WorkerTrends().highest == 0.0


def test_the_trends_stand_still_while_the_view_is_paused() -> None:
    before = following(None, at(0, 1.0))
    assert following(before, at(1, 2.0), paused=True).worker_trends is before.worker_trends
    assert len(following(before, at(1, 2.0)).worker_trends.samples[100]) == 2
