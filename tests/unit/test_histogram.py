"""Every duration has a bucket, and the middle of the bucket is close to it."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies

from reactorhost import histogram
from reactorhost.histogram import BUCKETS, bucket, difference, middle_seconds, percentiles, total


@given(strategies.integers(512, 30_000_000_000))
def test_the_middle_of_a_bucket_is_at_most_an_eighth_off(nanoseconds: int) -> None:
    assert middle_seconds(bucket(nanoseconds)) == pytest.approx(nanoseconds * 1e-9, rel=0.13)


@given(strategies.integers(0, 10**12), strategies.integers(0, 10**12))
def test_a_longer_duration_is_never_in_an_earlier_bucket(one: int, other: int) -> None:
    assert (bucket(min(one, other)), True) <= (bucket(max(one, other)), True)
    assert 0 <= bucket(one) < BUCKETS


@given(strategies.integers(0, BUCKETS - 2))
def test_the_end_of_a_bucket_is_the_beginning_of_the_next(number: int) -> None:
    end = histogram.upper_nanoseconds(number)
    assert (bucket(end - 1), bucket(end)) == (number, number + 1)


def test_the_shortest_and_the_longest_have_a_bucket() -> None:
    assert bucket(0) == bucket(511) == 0
    assert bucket(512) == 1
    assert bucket(10**15) == BUCKETS - 1


def counts(*durations: float) -> list[int]:
    made = [0] * BUCKETS
    for seconds in durations:
        made[bucket(int(seconds * 1e9))] += 1
    return made


def test_percentiles_of_known_counts() -> None:
    made = counts(*[10e-6] * 98, 1e-3, 1.0)
    assert percentiles(made, 0.5, 0.99, 1.0) == [pytest.approx(each, rel=0.13) for each in (10e-6, 1e-3, 1.0)]
    assert percentiles([0] * BUCKETS, 0.5, 1.0) == [None, None]
    assert percentiles((), 0.5) == [None]


@given(strategies.lists(strategies.floats(1e-7, 20), min_size=1, max_size=60), strategies.floats(0.01, 1))
def test_a_percentile_is_one_of_the_durations(durations: list[float], part: float) -> None:
    [found] = percentiles(counts(*durations), part)
    wanted = sorted(durations)[max(0, -(-int(part * 1e9) * len(durations) // 10**9) - 1)]
    assert found is not None
    assert bucket(round(found * 1e9)) == bucket(int(wanted * 1e9))


def test_histograms_add_up_and_subtract() -> None:
    one, other = counts(1e-6, 1e-3), counts(1e-3)
    assert total([one, other]) == counts(1e-6, 1e-3, 1e-3)
    assert difference(total([one, other]), other) == one
    assert total([]) == [0] * histogram.BUCKETS
