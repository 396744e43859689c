"""Lines that strangers cause: a few a second are written, and none is forgotten."""

from __future__ import annotations

from reactorhost.system.rate_limit import RateLimit


def test_a_few_lines_a_second_are_let_through_and_the_rest_is_counted() -> None:
    limit = RateLimit(3)
    assert [limit.admits(10.0 + number / 10) for number in range(6)] == [True] * 3 + [False] * 3
    assert limit.take_held_back() == 3
    assert limit.take_held_back() == 0


def test_the_next_second_has_lines_of_its_own() -> None:
    limit = RateLimit(1)
    assert limit.admits(10.0)
    assert not limit.admits(10.9)
    assert limit.admits(11.0)
