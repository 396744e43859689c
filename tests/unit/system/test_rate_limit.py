"""A rate limit admits a number of lines in each window, and counts the suppressed ones."""

from __future__ import annotations

import math

from reactorhost.system.rate_limit import RateLimit


def test_a_few_lines_a_second_are_admitted_and_the_rest_is_counted() -> None:
    limit = RateLimit(3)
    assert [limit.admits(10.0 + number / 10) for number in range(6)] == [True] * 3 + [False] * 3
    assert limit.take_suppressed() == 3
    assert limit.take_suppressed() == 0


def test_a_line_after_the_window_begins_the_next_window() -> None:
    limit = RateLimit(1)
    assert limit.admits(10.0)
    assert not limit.admits(10.9)
    assert limit.admits(11.0)
    assert not limit.admits(11.9)


def test_a_window_may_be_longer_than_a_second() -> None:
    limit = RateLimit(1, 60.0)
    assert limit.admits(10.0)
    assert not limit.admits(69.9)
    assert limit.admits(70.0)


def test_the_first_line_is_admitted_at_any_time_of_the_clock() -> None:
    assert RateLimit(1, 60.0).admits(0.0)


def test_each_key_has_its_own_window_and_count() -> None:
    limit = RateLimit(1)
    assert limit.admits(10.0, "one")
    assert limit.admits(10.0, "other")
    assert not limit.admits(10.0, "one")
    assert limit.take_suppressed("other") == 0
    assert limit.take_suppressed("one") == 1


def test_the_key_used_least_recently_is_forgotten_first() -> None:
    limit = RateLimit(1, math.inf)
    assert limit.admits(10.0, "first")
    for number in range(199):
        assert limit.admits(10.0, number)
    assert not limit.admits(10.0, "first")
    assert limit.admits(10.0, "one more")
    assert not limit.admits(10.0, "first")
    assert limit.admits(10.0, 0)


def test_a_condition_is_logged_once_until_it_is_over() -> None:
    limit = RateLimit(1, math.inf)
    assert limit.admits(10.0)
    assert not limit.admits(1e9)
    limit.reset()
    assert limit.admits(1e9)


def test_looking_for_room_counts_nothing() -> None:
    limit = RateLimit(1)
    assert limit.has_room(10.0)
    assert limit.admits(10.0)
    assert not limit.has_room(10.5)
    assert limit.take_suppressed() == 0


def test_a_line_suppressed_for_another_reason_leaves_room() -> None:
    limit = RateLimit(1)
    limit.note_suppressed()
    assert limit.admits(10.0)
    assert limit.take_suppressed() == 1
