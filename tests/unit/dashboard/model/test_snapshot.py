"""Snapshots: how each document changes them."""

from __future__ import annotations

from documents import NOON, document, history, rates
from reactorhost.dashboard.model.snapshot import Trend, following


def test_the_trend_starts_with_the_history_and_grows_by_a_sample_each_second() -> None:
    first = following(None, document(1, history=history(60)))
    assert len(first.trend.messages) == 60
    same = following(first, document(1, time=NOON + 0.4))
    assert same.trend is first.trend
    later = following(same, document(1, time=NOON + 1.2, rates=rates(2.0)))
    assert later.trend.messages[-2:] == (first.trend.messages[-1], 47_200.0)
    assert later.trend.end == NOON + 1.2


def test_missed_seconds_are_filled() -> None:
    first = following(None, document(1, history=history(60)))
    assert len(following(first, document(1, time=NOON + 5)).trend.messages) == 65
    assert len(following(first, document(1, time=NOON + 5000)).trend.messages) == 300


def test_without_history_the_trend_starts_with_one_sample() -> None:
    assert len(following(None, document(1)).trend.messages) == 1
    assert Trend().after(document(1, history=history(0))) == Trend(NOON)


def test_the_peak_is_the_highest_rate_until_it_is_reset() -> None:
    first = following(None, document(1, rates=rates(3.0)))
    second = following(first, document(1, rates=rates(1.0)))
    assert second.peak == 70_800.0
    assert second.with_peak_reset().peak == 23_600.0


def test_another_master_starts_a_new_snapshot() -> None:
    first = following(None, document(1, history=history(60), rates=rates(3.0)))
    other = following(first, document(1, pid=1, rates=rates(1.0)), paused=True)
    assert (other.peak, len(other.trend.messages), other.body["pid"]) == (23_600.0, 1, 1)


def test_pause_keeps_the_body_but_not_the_document() -> None:
    first = following(None, document(1))
    paused = following(first, document(1, generation=9), paused=True)
    assert (paused.document["generation"], paused.body["generation"]) == (9, 7)
