"""Histograms of durations in logarithmic buckets, from which percentiles are read at constant cost.

Nothing here makes a system call. A bucket is a quarter of an octave, so a percentile is at most an eighth off. Sums
over processes and differences between two moments are histograms too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import sub

_FIRST_BITS = 10
_OCTAVES = 26
BUCKETS = 1 + 4 * _OCTAVES
"""The first bucket is for durations below 512 ns, the last for those from 30 s."""


def bucket(nanoseconds: int) -> int:
    """Return the number of a duration's bucket."""
    octave = nanoseconds.bit_length() - _FIRST_BITS
    if octave < 0:
        return 0
    # The two bits below the leading one are the quarter of the octave.
    return min(1 + 4 * octave + (nanoseconds >> (octave + 7) & 3), BUCKETS - 1)


def middle_seconds(number: int) -> float:
    """Return the middle of a bucket, in seconds."""
    if number == 0:
        return 256e-9
    octave, quarter = divmod(number - 1, 4)
    return (9 + 2 * quarter << octave + 6) * 1e-9


def upper_nanoseconds(number: int) -> int:
    """Return the end of a bucket, which it does not contain; the last bucket has none, and must not be passed."""
    octave, quarter = divmod(number - 1, 4)
    return (5 + quarter << octave + 7) if number else 512


def percentiles(counts: Sequence[int], *parts: float) -> list[float | None]:
    """Return the durations in seconds that each part (0 to 1) of all durations does not exceed; None without any."""
    sums = list(accumulate(counts))
    if not sums or not sums[-1]:
        return [None] * len(parts)
    # At least 1: a part of 0 is the first bucket that has a count, and not the first one.
    numbers = [bisect_left(sums, max(1, part * sums[-1])) for part in parts]
    return [round(middle_seconds(number), 9) for number in numbers]


def difference(newer: Sequence[int], older: Sequence[int]) -> list[int]:
    """Return the counts between two moments."""
    return list(map(sub, newer, older))


def total(histograms: Iterable[Sequence[int]]) -> list[int]:
    """Return the sum of several histograms."""
    # The zeros are the sum if there is no histogram.
    return list(map(sum, zip([0] * BUCKETS, *histograms, strict=True)))
