"""Which rows are on the screen: all if they fit, else those around the selected one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost.dashboard.tables.row_window import window

HEIGHTS = st.lists(st.integers(1, 4), min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("at", "room", "shown"),
    [
        (0, 10, (0, 10)),
        (0, 5, (0, 4)),
        (5, 5, (3, 7)),
        (5, 6, (3, 8)),
        (9, 5, (6, 10)),
        # A row says more than a number of rows.
        (5, 1, (5, 6)),
        (5, 0, (5, 5)),
    ],
)
def test_the_selected_row_stays_in_the_middle(at: int, room: int, shown: tuple[int, int]) -> None:
    assert window(range(10), at, room) == shown


@given(HEIGHTS, st.data(), st.integers(6, 80))
def test_the_window_holds_the_selected_row_and_as_many_others_as_fit(
    heights: list[int], data: st.DataObject, room: int
) -> None:
    at = data.draw(st.integers(0, len(heights) - 1))
    start, stop = window(range(len(heights)), at, room, heights)
    assert start <= at < stop
    used = sum(heights[start:stop])
    if (start, stop) == (0, len(heights)):
        assert used <= room
        return
    assert used <= room - 1
    beside = [heights[row] for row in (start - 1, stop) if 0 <= row < len(heights)]
    assert all(used + height > room - 1 for height in beside)


def test_a_row_that_is_gone_counts_as_the_first() -> None:
    assert window([*"abcdef"], "z", 4) == window([*"abcdef"], None, 4) == (0, 3)
