"""Sparklines show the last minutes, and bars do not change while they wander to the left."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reactorhost.dashboard.text.sparkline import sparkline


def test_nothing_yet_is_empty_and_idle_is_low() -> None:
    assert sparkline((), 0.0, 5) == "     "
    assert sparkline((0.0, 0.0), 1.0, 5, seconds=5) == "   ▁▁"


def test_only_where_nothing_happened_a_bar_is_the_lowest() -> None:
    assert sparkline((0, 1, 500, 1000), 3.0, 4, seconds=4) == "▁▂▅█"


def test_the_newest_stands_at_the_right() -> None:
    assert sparkline((1.0, 1.0, 1.0, 8.0), 3.0, 4, seconds=4)[-1] == "█"


def test_bars_of_several_seconds_stay_what_they_are_as_time_goes_on() -> None:
    samples = [float(value % 7 + 1) for value in range(200)]
    now = sparkline(samples[:180], 179.0, 30, seconds=90)
    later = sparkline(samples[:183], 182.0, 30, seconds=90)
    assert now[1:] == later[:-1]


@given(st.lists(st.floats(0, 1e12), max_size=300), st.integers(0, 2_000_000_000), st.integers(-3, 300))
def test_a_sparkline_is_as_wide_as_asked(samples: list[float], end: int, width: int) -> None:
    assert len(sparkline(samples, float(end), width)) == max(width, 0)
