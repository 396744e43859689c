"""Sparklines: the last minutes in one line of bars."""

from __future__ import annotations

from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"
_SECONDS = 180
"""The time that a sparkline shows, if it is not so wide that a second each is more."""


def sparkline(samples: Sequence[float], end: float, width: int, *, seconds: int = _SECONDS) -> str:
    """Return bars of one sample a second, the newest last; only where nothing happened a bar is the lowest.

    A bar of several seconds begins at a multiple of them, so that bars wander but do not change on their way.

    Args:
        samples: one a second, the newest last.
        end: Unix time in seconds of the newest.
        width: bars to be made; where there are no samples yet stay spaces.
        seconds: the time to be shown at least.
    """
    if width < 1 or not samples:
        return " " * max(width, 0)
    each = max(1, -(-seconds // width))
    open_seconds = int(end) % each + 1
    bars: list[float] = []
    stop = len(samples)
    start = stop - open_seconds
    while stop > 0 and len(bars) < width:
        some = samples[max(start, 0) : stop]
        bars.append(sum(some) / len(some))
        start, stop = start - each, start
    most = max(bars)
    return "".join(_bar(bar, most) for bar in reversed(bars)).rjust(width)


def _bar(value: float, most: float) -> str:
    if value <= 0 or most <= 0:
        return _BARS[0]
    return _BARS[1 + min(6, int(value / most * 7))]
