"""Token buckets that are one time each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost_guard.meters import Meter, limit


def test_a_burst_passes_at_once_and_then_the_rate() -> None:
    meter = Meter(limit(10.0, 5.0))
    assert [meter.take(1, 100.0) for _ in range(6)] == [True] * 5 + [False]
    assert meter.wait(100.0) == pytest.approx(0.1)
    assert meter.take(1, 100.1)
    assert not meter.take(1, 100.1)
    assert [meter.take(1, 200.0) for _ in range(6)] == [True] * 5 + [False]


@given(
    st.integers(1, 50),
    st.integers(1, 50),
    st.lists(st.floats(0, 2, allow_nan=False), min_size=1, max_size=200),
)
def test_no_span_of_time_has_more_than_the_burst_and_the_rate(rate: int, burst: int, waits: list[float]) -> None:
    meter = Meter(limit(rate, burst))
    now, taken = 1000.0, []
    for wait in waits:
        now += wait
        if meter.take(1, now):
            taken.append(now)
    for first, begin in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= burst + rate * (taken[last] - begin) + 0.01


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 100))
def test_a_client_that_keeps_to_the_rate_is_never_refused(rate: int, burst: int, messages: int) -> None:
    meter = Meter(limit(rate, burst))
    assert all(meter.take(1, 1000.0 + number / rate) for number in range(messages))


def test_a_message_larger_than_the_burst_passes_a_full_bucket_and_is_paid_for_later() -> None:
    meter = Meter(limit(100.0, 100.0))
    assert meter.take(1000, 50.0)
    assert not meter.take(1, 58.9)
    assert meter.take(1, 59.1)


def test_what_another_worker_has_given_out_is_missing_even_beyond_the_burst() -> None:
    meter = Meter(limit(1.0, 10.0))
    meter.take_elsewhere(30.0, 0.0)
    assert meter.wait(0.0) == pytest.approx(21.0)
    assert not meter.take(1, 20.9)
    assert meter.take(1, 21.0)
    assert meter.unshared == 1


def test_a_refused_token_is_not_taken() -> None:
    meter = Meter(limit(1.0, 1.0))
    assert meter.take(1, 0.0)
    for _ in range(100):
        assert not meter.take(1, 0.5)
    assert meter.take(1, 1.0)
    assert meter.unshared == 2


def test_a_limit_that_slows_counts_what_comes_too_early_and_says_how_long_to_wait() -> None:
    meter = Meter(limit(10.0, 5.0, 1.0))
    assert meter.take(5, 100.0)
    assert not meter.take(1, 100.0)
    assert meter.take_late(1, 100.0) == pytest.approx(0.2)
    assert not meter.take(1, 100.1)
    assert meter.take(1, 100.2)
    assert meter.unshared == 7
    assert meter.wait(100.2) == pytest.approx(0.1)


def test_a_limit_that_slows_refuses_what_would_be_too_late() -> None:
    meter = Meter(limit(10.0, 1.0, 0.55))
    assert meter.take(1, 100.0)
    waits = [meter.take_late(1, 100.0) for _ in range(7)]
    assert waits[5:] == [None, None]
    assert waits[:5] == pytest.approx([0.2, 0.3, 0.4, 0.5, 0.6])
    assert meter.wait(100.0) == pytest.approx(0.6)


@given(st.integers(1, 10**7).map(lambda number: number / 7), st.sampled_from([1.0, 3.0, 20.0, 3600.0]))
def test_what_is_exactly_as_late_as_allowed_is_taken_at_any_time(now: float, seconds: float) -> None:
    meter = Meter(limit(1.0 / seconds, 1.0, seconds))
    assert meter.take(1, now)
    assert meter.take_late(1, now) == pytest.approx(2 * seconds)
    assert meter.late(now) == pytest.approx(2 * seconds)
    assert meter.take_late(1, now) is None
    assert meter.late(now + seconds) == 0.0


def test_a_limit_that_does_not_slow_refuses() -> None:
    meter = Meter(limit(10.0, 1.0))
    assert meter.take(1, 100.0)
    assert meter.take_late(1, 100.0) is None
    assert meter.unshared == 1
    assert meter.wait(100.0) == pytest.approx(0.1)


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 20), st.lists(st.integers(1, 3), max_size=100))
def test_clients_that_wait_as_long_as_required_keep_to_the_rate(
    rate: int, burst: int, clients: int, sizes: list[int]
) -> None:
    meter = Meter(limit(rate, burst, 1e9))
    ready = [1000.0] * clients
    taken = 0
    for size in sizes:
        now = min(ready)
        if not meter.take(size, now):
            wait = meter.take_late(size, now)
            assert wait is not None
            ready[ready.index(now)] = now + wait
        taken += size
        # Each client may be ahead by one message, and a message may be larger than what is left.
        assert taken <= burst + rate * (now - 1000.0) + 3 * (clients + 1) + 0.01


def test_a_refilled_bucket_is_full() -> None:
    meter = Meter(limit(1.0, 2.0))
    meter.take(2, 0.0)
    meter.refill()
    assert meter.take(1, 0.0)
    assert meter.take(1, 0.0)
    assert meter.limit.burst == 2.0
