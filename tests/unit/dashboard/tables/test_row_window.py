"""Which rows are on the screen: all if they fit, else those around the selected one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost.dashboard.tables.row_window import rows_in_sight, window

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


@pytest.mark.parametrize(
    ("selected", "room", "ill", "shown"),
    [
        (None, 5, [], [0, 1, 2, 3]),
        (None, 5, [1], [0, 1, 2, 3]),
        (None, 5, [7, 9], [0, 1, 7, 9]),
        (None, 5, [2, 3, 7, 8, 9], [2, 3, 7, 8]),
        (5, 6, [0, 9], [0, 4, 5, 6, 9]),
        (5, 6, [0, 1, 2, 3, 9], [0, 1, 4, 5, 6]),
        (9, 6, [9], [5, 6, 7, 8, 9]),
        (5, 1, [0], [5]),
        (None, 1, [7], [7]),
        (None, 10, [7], [*range(10)]),
    ],
)
def test_ill_rows_are_in_sight_before_others(selected: int | None, room: int, ill: list[int], shown: list[int]) -> None:
    assert list(rows_in_sight(range(10), selected, room, ill, [1] * 10)) == shown


@given(HEIGHTS, st.data(), st.integers(0, 80))
def test_what_is_in_sight_has_the_selected_row_and_fits(heights: list[int], data: st.DataObject, room: int) -> None:
    rows = range(len(heights))
    selected = data.draw(st.none() | st.sampled_from(rows))
    ill = sorted(data.draw(st.sets(st.sampled_from(rows))))
    shown = rows_in_sight(rows, selected, room, ill, heights)
    assert list(shown) == sorted(set(shown))
    if selected is None:
        assert sum(heights[number] for number in shown) <= room or len(shown) == 1
        # No row that is well has the room of an ill one.
        if any(number not in ill for number in shown):
            left = room - 1 - sum(heights[number] for number in ill if number in shown)
            assert all(heights[number] > left for number in ill if number not in shown)
    elif heights[selected] < room:
        assert selected in shown
