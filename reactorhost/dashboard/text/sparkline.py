"""Sparklines: the last minutes as one line of bars."""

from __future__ import annotations

from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"
_SECONDS = 180
"""The least time that a sparkline shows; with more bars than this, each bar is one second."""


def sparkline(
    samples: Sequence[float], end: float, width: int, *, seconds: int = _SECONDS, highest: float | None = None
) -> str:
    """Return a line of bars, the newest at the right; the lowest bar is used for zero only.

    A bar that stands for several seconds starts at a multiple of that number. So a bar moves to the left as time passes
    but keeps its height; if the bars were counted from the newest sample, all of them would change every second.

    Args:
        samples: one per second, the newest last.
        end: Unix time of the newest sample, in seconds.
        width: the number of bars. Spaces stand where there are no samples.
        seconds: the least time to show.
        highest: the value of a full bar; by default the highest bar, so that only bars of one line can be compared.
    """
    if width < 1 or not samples:
        return " " * max(width, 0)
    seconds_per_bar = max(1, -(-seconds // width))
    newest_bar_seconds = int(end) % seconds_per_bar + 1
    bars: list[float] = []
    stop = len(samples)
    start = stop - newest_bar_seconds
    while stop > 0 and len(bars) < width:
        part = samples[max(start, 0) : stop]
        bars.append(sum(part) / len(part))
        start, stop = start - seconds_per_bar, start
    if highest is None:
        highest = max(bars)
    return "".join(_bar(bar, highest) for bar in reversed(bars)).rjust(width)


def _bar(value: float, highest: float) -> str:
    if value <= 0 or highest <= 0:
        return BARS[0]
    return BARS[1 + min(6, int(value / highest * 7))]
