"""The table of workers: a tree drawn in its first column, figures that stand still, colour where an eye is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reactorhost.dashboard.tables.columns import Column, chosen, fitting
from reactorhost.dashboard.tables.rows import Kind, Row, below, current, master, total
from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import View
from reactorhost.dashboard.text.quantities import UNKNOWN
from reactorhost.dashboard.text.line import Line, Piece, aligned, clean, cut, line, padded, with_style

STATE_STYLES: Mapping[str, str] = {
    "starting": "cyan",
    "draining": "yellow",
    "stopping": "yellow",
    "leaving": "yellow",
    "stuck": "bold red",
    "backoff": "bold red",
}


@dataclass(frozen=True, slots=True)
class _Shape:
    """The columns of one drawing."""

    columns: tuple[Column, ...]
    gap: int
    width: int


def worker_table(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    """Return at most `height` lines: headings, the sums, the master, and as many workers as there is room for."""
    shape = _Shape(*fitting(chosen(view.columns), width), width)
    rows = below(snapshot.body, view)
    selected = current(snapshot, view)
    fixed = [_headings(shape, view), _drawn(total(snapshot.body), "", shape)]
    members = [_member(master(snapshot.body), "", shape, selected)]
    guides = ("├─ ", "└─ ") if view.tree else ("", "")
    start, stop = _window([row.pid for row in rows], selected, max(height - 3, 0))
    members += [
        _member(rows[at], guides[at == len(rows) - 1], shape, selected) for at in range(start, min(stop, len(rows)))
    ]
    if start > 0 or stop < len(rows):
        members.append(_rest(start, len(rows) - stop, width))
    return (fixed + members)[: max(height, 0)]


def needed_height(snapshot: Snapshot, view: View) -> int:
    """Return how many lines the whole table has."""
    return 3 + len(below(snapshot.body, view))


def _window(pids: Sequence[int | None], selected: int | None, room: int) -> tuple[int, int]:
    """Return which rows to draw: around the selected one, which stands still in the middle when there are many."""
    if len(pids) <= room:
        return 0, len(pids)
    # One row less: the last line says how many are not shown.
    room = max(room - 1, 0)
    at = pids.index(selected) if selected is not None and selected in pids else 0
    start = max(0, min(at - room // 2, len(pids) - room))
    return start, start + room


def _rest(above: int, under: int, width: int) -> Line:
    parts = [f"{above} above"] if above else []
    parts += [f"{under} more"] if under else []
    return cut(line((f"   … {', '.join(parts)}", "dim")), width)


def _headings(shape: _Shape, view: View) -> Line:
    pieces: list[Piece] = []
    spare = shape.width - sum(column.width for column in shape.columns) - shape.gap * (len(shape.columns) - 1)
    gap = 0
    for column in shape.columns:
        text, style, after = column.heading, "dim", shape.gap
        is_last = column is shape.columns[-1]
        if column.name == view.sort:
            text, style = text + ("▲" if view.inverted else "▼"), "bold"
        room = column.width
        if len(text) > room or (column.name == view.sort and not column.left and (not is_last or spare > 0)):
            # The mark stands in the gap behind the column, so that the heading stays above its figures.
            room, after = room + 1, after - 1
            if is_last and spare < 1:
                gap, room = gap - 1, column.width + 1
        pieces.append((" " * gap, ""))
        pieces.append((text.ljust(room) if column.left else text.rjust(room), style))
        gap = after
    return cut(tuple(piece for piece in pieces if piece[0]), shape.width)


def _member(row: Row, guide: str, shape: _Shape, selected: int | None) -> Line:
    drawn = _drawn(row, guide, shape)
    if row.pid is None or row.pid != selected:
        return drawn
    return with_style(padded(drawn, shape.width), "reverse")


def _drawn(row: Row, guide: str, shape: _Shape) -> Line:
    pieces: list[Piece] = []
    used = 0
    for column in shape.columns:
        if used:
            pieces.append((" " * shape.gap, ""))
            used += shape.gap
        pieces += _cell(row, column, guide)
        used += column.width
        if row.note and column.name == "state":
            pieces.append(("  " + clean(row.note), "red"))
            break
    return cut(_merged(pieces), shape.width)


def _cell(row: Row, column: Column, guide: str) -> list[Piece]:
    if column.name == "pid":
        return _process(row, column, guide)
    if column.name == "state":
        return [(aligned(clean(row.state), column.width, left=True), STATE_STYLES.get(row.state, ""))]
    if row.kind is Kind.TOTAL and column.name in ("slot", "gen", "up"):
        return [(" " * column.width, "")]
    value = row.values.get(column.name)
    text = column.show(value)
    return [(text.rjust(column.width), _style(row, column, value, text))]


def _process(row: Row, column: Column, guide: str) -> list[Piece]:
    if row.kind is Kind.TOTAL:
        return [("total".ljust(column.width), "bold")]
    pid = UNKNOWN if row.pid is None else str(row.pid)
    style = "bold" if row.kind is Kind.MASTER else ""
    return [(guide, "dim"), (pid.ljust(column.width - len(guide)), style)]


def _style(row: Row, column: Column, value: float | None, text: str) -> str:
    if text == UNKNOWN or (text == "0" and column.name != "slot"):
        return "dim"
    # Of the sum of all processors nothing can be told.
    if value is not None and not (row.kind is Kind.TOTAL and column.name == "cpu"):
        if column.alarm is not None and value >= column.alarm:
            return "bold red"
        if column.warn is not None and value >= column.warn:
            return "yellow"
    return "bold" if row.kind is Kind.TOTAL else ""


def _merged(pieces: list[Piece]) -> Line:
    """Return a line with neighbours of one style joined."""
    merged: list[Piece] = []
    for text, style in pieces:
        if merged and merged[-1][1] == style:
            merged[-1] = (merged[-1][0] + text, style)
        elif text:
            merged.append((text, style))
    return tuple(merged)
