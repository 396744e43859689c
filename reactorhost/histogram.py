"""Durations counted in buckets, each a fifth wider than the one before: percentiles at constant cost.

Pure. A bucket is a quarter of an octave, so a figure read back is at most an eighth off. Counts of several processes
and differences of two moments are histograms too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_FIRST_BITS = 10
_OCTAVES = 26
BUCKETS = 1 + 4 * _OCTAVES
"""The first is for everything below 512 ns, the last for everything from 30 s."""


def bucket(nanoseconds: int) -> int:
    """Return the number of the bucket that a duration falls into."""
    octave = nanoseconds.bit_length() - _FIRST_BITS
    if octave < 0:
        return 0
    return min(1 + 4 * octave + (nanoseconds >> (octave + 7) & 3), BUCKETS - 1)


def middle_seconds(number: int) -> float:
    """Return the duration that stands for a bucket, in seconds."""
    if number == 0:
        return 256e-9
    octave, quarter = divmod(number - 1, 4)
    return (9 + 2 * quarter << octave + 6) * 1e-9


def percentile(counts: Sequence[int], part: float) -> float | None:
    """Return the duration in seconds that `part` (0 to 1) of all do not exceed, or None of none."""
    total = sum(counts)
    if not total:
        return None
    wanted = part * total
    seen = 0
    last = 0
    for number, count in enumerate(counts):
        if count:
            seen += count
            last = number
            if seen >= wanted:
                break
    return round(middle_seconds(last), 9)


def difference(newer: Sequence[int], older: Sequence[int]) -> list[int]:
    """Return what was counted between two moments."""
    return [new - old for new, old in zip(newer, older, strict=True)]


def total(histograms: Iterable[Sequence[int]]) -> list[int]:
    """Return the counts of several histograms together."""
    sums = [0] * BUCKETS
    for counts in histograms:
        sums = [left + right for left, right in zip(sums, counts, strict=True)]
    return sums
