"""The part of a table that is on the screen, and which line belongs to which row."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import Self

from reactorhost.dashboard.text.line import Line, Piece, cut, line, padded, with_style


class RowLine(tuple[Piece, ...]):  # noqa: SLOT001
    """A line of the screen that belongs to a row; a click on it selects the row."""

    key: Hashable

    def __new__(cls, pieces: Line, key: Hashable) -> Self:
        """Return the line with the key of its row."""
        made = super().__new__(cls, pieces)
        made.key = key
        return made


def row_lines(drawn: Iterable[Line], key: Hashable, width: int, *, is_selected: bool) -> list[Line]:
    """Return the lines of a row; those of the selected one are in reverse, over the whole width."""
    return [RowLine(with_style(padded(each, width), "reverse") if is_selected else each, key) for each in drawn]


def window(
    keys: Sequence[Hashable],
    selected: Hashable | None,
    room: int,
    heights: Sequence[int] | None = None,
    *,
    is_counted: bool = True,
) -> tuple[int, int]:
    """Return the range of the rows to draw: the selected one stays in the middle while the others scroll.

    Args:
        keys: of all rows.
        selected: the key of the selected row; of one that is gone, the first row is shown.
        room: in lines.
        heights: the lines of each row; by default one.
        is_counted: whether a last line counts the rows that are not shown. It needs room too, but not that of the only
            row.
    """
    heights = [1] * len(keys) if heights is None else heights
    if sum(heights) <= room:
        return 0, len(heights)
    if is_counted:
        room = max(room - 1, min(room, 1))
    start = stop = keys.index(selected) if selected in keys else 0
    used = 0
    above = False
    while True:
        # By turns below and above, and on one side only when the other has ended or has no room.
        sides = [start - 1, stop] if above else [stop, start - 1]
        beside = next((row for row in sides if 0 <= row < len(heights) and used + heights[row] <= room), None)
        if beside is None:
            return start, stop
        above = beside == stop
        used += heights[beside]
        start, stop = min(start, beside), max(stop, beside + 1)


def rows_in_sight(
    keys: Sequence[Hashable], selected: Hashable | None, room: int, ill: Collection[int], heights: Sequence[int]
) -> Sequence[int]:
    """Return the numbers of the rows to draw, in their order: those of the window, and wherever they are the ill ones.

    It is a range if no ill row is outside the window.

    Args:
        keys: of all rows.
        selected: the key of the selected row.
        room: in lines; the last one counts the rows that are not shown.
        ill: the numbers of the rows that are shown before others. Beside a selected row they take at most half of the
            room, so that the others can be scrolled through.
        heights: the lines of each row.
    """
    start, stop = window(keys, selected, room, heights)
    if all(start <= number < stop for number in ill):
        return range(start, stop)
    room = max(room - 1, min(room, 1))
    at = keys.index(selected) if selected in keys else None
    left = room if at is None else min(room - heights[at], room // 2)
    kept: list[int] = []
    for number in ill:
        if number != at and heights[number] <= left:
            kept.append(number)
            left -= heights[number]
    others = [number for number in range(len(keys)) if number not in kept]
    room -= sum(heights[number] for number in kept)
    start, stop = window(
        [keys[number] for number in others], selected, room, [heights[number] for number in others], is_counted=False
    )
    return sorted([*kept, *others[start:stop]])


def hidden(above: int, below: int, width: int, words: Sequence[Piece] = ()) -> Line:
    """Return the line that counts the rows that are not shown; `words` say more about them."""
    parts = [f"{above} above"] if above else []
    parts += [f"{below} more"] if below else []
    return cut((*line((f"   … {', '.join(parts)}", "dim")), *words), width)
