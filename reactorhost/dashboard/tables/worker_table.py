"""The worker table: a tree in the first column, and as many rows as fit; notes that are too long wrap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import Page, View
from reactorhost.dashboard.tables.process_selection import selected_row
from reactorhost.dashboard.tables.row_window import hidden, row_lines, rows_in_sight
from reactorhost.dashboard.tables.rows import Row, focused_service, master, service_row, total, worker_rows
from reactorhost.dashboard.tables.worker_layout import Layout, layout_of
from reactorhost.dashboard.tables.worker_row import drawn, headings, note_in_line, note_lines, start_of_note, trend_of
from reactorhost.dashboard.text.line import EMPTY, Line, Piece, cut, line, padded
from reactorhost.dashboard.text.styles import ALARM
from reactorhost.printable import printable

_GUIDES = ("├─ ", "└─ ")
_GUIDES_BELOW = ("│  ", "   ")
# The lines of a note, where there is room for all rows.
_MOST_NOTE_LINES = 4
# Headings, total and master, or the line about the rows below.
_FIXED_LINES = 3
# With less room than this for the workers, the total and the master are left out.
_LEAST_ROOM = 3


def worker_table(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    """Return at most `height` lines: headings, totals, the master, and as many workers as fit, the ill ones first.

    The order stays: what has no room is left out between them.
    """
    rows = worker_rows(snapshot.body, view)
    layout = layout_of(snapshot, view, [*rows, master(snapshot.body)], width)
    selected = selected_row(snapshot, view)
    keys = [row.key for row in rows]
    heights, top = _heights(rows, layout), master(snapshot.body)
    is_short = height - _FIXED_LINES < min(sum(heights), _LEAST_ROOM)
    above = [] if is_short else _totals(snapshot, view, layout)
    if view.focus.service is None and (not is_short or top.key == selected):
        above += _block(snapshot, top, ("", ""), layout, 1, is_selected=top.key == selected)
    room = max(height - 1 - len(above), 0)
    ill = [number for number, row in enumerate(rows) if row.is_ill]
    if sum(heights) > room:
        # With little room, a further row says more than the note of one.
        heights = [2 if row.note and not note_in_line(row, layout) and not is_short else 1 for row in rows]
        if sum(heights[number] for number in ill) >= room:
            heights = [1] * len(rows)
        if selected in keys:
            at = keys.index(selected)
            heights[at] = min(_height(rows[at], layout), max(room - 1, 1))
    shown = rows_in_sight(keys, selected, room, ill, heights)
    lines = [headings(layout, view.table_of(Page.WORKERS)), *above]
    for number in shown:
        is_last = number == len(rows) - 1
        guides = (_GUIDES[is_last], _GUIDES_BELOW[is_last]) if layout.tree else ("", "")
        row = rows[number]
        lines += _block(snapshot, row, guides, layout, heights[number], is_selected=row.key == selected)
    if len(shown) < len(rows):
        others = [row for number, row in enumerate(rows) if number not in shown]
        start = shown.start if isinstance(shown, range) else 0
        lines.append(hidden(start, len(others) - start, width, _condition(others)))
    return lines[: max(height, 0)]


def _totals(snapshot: Snapshot, view: View, layout: Layout) -> list[Line]:
    """Return the row of the totals, of one of several services with a line about the rows below it."""
    service = focused_service(snapshot.body, view)
    if service is None or len(snapshot.body["services"]) == 1:
        return [drawn(total(snapshot.body), "", layout)]
    words = cut(line(("the workers below, with all services that they serve", "dim")), layout.width)
    return [drawn(service_row(snapshot.body, service), "", layout), words]


def ill_height(snapshot: Snapshot, view: View) -> int:
    """Return the least number of lines with all workers that serve no clients and should; 0 if there are none."""
    rows = [row for row in worker_rows(snapshot.body, view) if row.is_ill]
    # Each with one line of its note, and the line that counts the others.
    return _FIXED_LINES + 2 * len(rows) + 1 if rows else 0


def needed_height(snapshot: Snapshot, view: View, width: int) -> int:
    """Return the number of lines of the whole table."""
    rows = worker_rows(snapshot.body, view)
    return _FIXED_LINES + sum(_heights(rows, layout_of(snapshot, view, [*rows, master(snapshot.body)], width)))


def _heights(rows: Sequence[Row], layout: Layout) -> list[int]:
    return [_height(row, layout) for row in rows]


def _height(row: Row, layout: Layout) -> int:
    if not row.note:
        return 1
    lines = len(note_lines(row, layout, _MOST_NOTE_LINES))
    return max(lines, 1) if note_in_line(row, layout) else 1 + lines


def _block(
    snapshot: Snapshot, row: Row, guides: tuple[str, str], layout: Layout, height: int, *, is_selected: bool
) -> list[Line]:
    """Return the lines of a row: the row itself, and the rest of its note below it."""
    first = drawn(row, guides[0], layout)
    notes = note_lines(row, layout, height if note_in_line(row, layout) else height - 1)
    if note_in_line(row, layout):
        first = (*padded(first, start_of_note(row, layout)), *(notes.pop(0) if notes else EMPTY))
    elif trend := trend_of(snapshot, row, layout):
        first = (*padded(first, layout.used), (" " * layout.gap, ""), trend)
    below = (guides[1] + " " * (start_of_note(row, layout) - len(guides[1])), "dim")
    lines = [first, *((below, *note) for note in notes)]
    return row_lines(lines, row.key, layout.width, is_selected=is_selected)


def _condition(rows: Sequence[Row]) -> list[Piece]:
    """Return how the rows are that are not shown: `, all ready`, or how many are in which state."""
    counts = Counter("ready" if row.condition == "leader" else row.condition for row in rows)
    if set(counts) == {"ready"}:
        return [(", all ready", "dim")]
    pieces: list[Piece] = []
    ill = {row.condition for row in rows if row.is_ill}
    for state, count in sorted(counts.items(), key=lambda each: (each[0] not in ill, each[0] == "ready", each[0])):
        pieces.append((": " if not pieces else ", ", "dim"))
        pieces.append((f"{count} {printable(state)}", ALARM if state in ill else ""))
    return pieces
