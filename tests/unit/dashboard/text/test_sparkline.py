"""Sparklines: bars of the last minutes that keep their height as they move to the left."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reactorhost.dashboard.text.sparkline import sparkline


def test_no_samples_are_spaces_and_zero_is_the_lowest_bar() -> None:
    assert sparkline((), 0.0, 5) == "     "
    assert sparkline((0.0, 0.0), 1.0, 5, seconds=5) == "   ▁▁"


def test_the_lowest_bar_is_used_for_zero_only() -> None:
    assert sparkline((0, 1, 500, 1000), 3.0, 4, seconds=4) == "▁▂▅█"


def test_the_newest_sample_is_at_the_right() -> None:
    assert sparkline((1.0, 1.0, 1.0, 8.0), 3.0, 4, seconds=4)[-1] == "█"


def test_bars_of_several_seconds_keep_their_height_as_they_move() -> None:
    samples = [float(value % 7 + 1) for value in range(200)]
    now = sparkline(samples[:180], 179.0, 30, seconds=90)
    later = sparkline(samples[:183], 182.0, 30, seconds=90)
    assert now[1:] == later[:-1]


def test_lines_on_one_scale_can_be_compared() -> None:
    assert sparkline((10.0,), 0.0, 1, seconds=1) == "█"
    assert sparkline((10.0,), 0.0, 1, seconds=1, highest=80.0) == "▂"


@given(st.lists(st.floats(0, 1e12), max_size=300), st.integers(0, 2_000_000_000), st.integers(-3, 300))
def test_a_sparkline_has_the_requested_width(samples: list[float], end: int, width: int) -> None:
    assert len(sparkline(samples, float(end), width)) == max(width, 0)
