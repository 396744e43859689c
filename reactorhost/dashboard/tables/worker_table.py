"""The worker table: a tree in the first column, values in columns of fixed width, colour for unusual values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import View
from reactorhost.dashboard.tables.columns import Column, columns_named, fitting
from reactorhost.dashboard.tables.rows import Row, RowKind, current, master, total, uses_bus, worker_rows
from reactorhost.dashboard.text.line import Line, Piece, aligned, cut, line, padded, with_style
from reactorhost.dashboard.text.quantities import UNKNOWN
from reactorhost.printable import printable

STATE_STYLES: Mapping[str, str] = {
    "starting": "cyan",
    "full": "yellow",
    "draining": "yellow",
    "stopping": "yellow",
    "leaving": "yellow",
    "stuck": "bold red",
    "backoff": "bold red",
}


@dataclass(frozen=True, slots=True)
class _Layout:
    """The columns that fit, and the gap between them."""

    columns: tuple[Column, ...]
    gap: int
    width: int


def worker_table(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    """Return at most `height` lines: headings, totals, the master, and as many workers as fit."""
    layout = _Layout(*fitting(columns_named(view.columns, bus=uses_bus(snapshot.body)), width), width)
    rows = worker_rows(snapshot.body, view)
    selected = current(snapshot, view)
    guides = ("├─ ", "└─ ") if view.tree else ("", "")
    start, stop = _window([row.pid for row in rows], selected, max(height - 3, 0))
    shown = [(total(snapshot.body), ""), (master(snapshot.body), "")]
    shown += [(rows[at], guides[at == len(rows) - 1]) for at in range(start, min(stop, len(rows)))]
    lines = [_headings(layout, view), *(_drawn(row, guide, layout, selected) for row, guide in shown)]
    if start > 0 or stop < len(rows):
        lines.append(_hidden(start, len(rows) - stop, width))
    # On a screen of one or two rows not even the first three lines fit.
    return lines[: max(height, 0)]


def needed_height(snapshot: Snapshot, view: View) -> int:
    """Return the number of lines of the whole table."""
    return 3 + len(worker_rows(snapshot.body, view))


def _window(pids: Sequence[int | None], selected: int | None, room: int) -> tuple[int, int]:
    """Return the range of rows to draw. The selected row stays in the middle while the others scroll."""
    if len(pids) <= room:
        return 0, len(pids)
    # One row less: the last line counts the rows that are not shown.
    room = max(room - 1, 0)
    at = pids.index(selected) if selected is not None and selected in pids else 0
    start = max(0, min(at - room // 2, len(pids) - room))
    return start, start + room


def _hidden(above: int, below: int, width: int) -> Line:
    parts = [f"{above} above"] if above else []
    parts += [f"{below} more"] if below else []
    return cut(line((f"   … {', '.join(parts)}", "dim")), width)


def _headings(layout: _Layout, view: View) -> Line:
    pieces: list[Piece] = []
    spare = layout.width - sum(column.width for column in layout.columns) - layout.gap * (len(layout.columns) - 1)
    gap = 0
    for column in layout.columns:
        text, style, after = column.heading, "dim", layout.gap
        is_last = column is layout.columns[-1]
        if column.name == view.sort:
            text, style = text + ("▲" if view.inverted else "▼"), "bold"
        room = column.width
        if len(text) > room or (column.name == view.sort and not column.left and (not is_last or spare > 0)):
            # The sort mark stands in the gap after the column, so that the heading stays above its values.
            room, after = room + 1, after - 1
            if is_last and spare < 1:
                # No gap after the last column of a full line: the mark takes a cell of the gap before.
                gap, room = gap - 1, column.width + 1
        pieces.append((" " * gap, ""))
        pieces.append((text.ljust(room) if column.left else text.rjust(room), style))
        gap = after
    return cut(tuple(piece for piece in pieces if piece[0]), layout.width)


def _drawn(row: Row, guide: str, layout: _Layout, selected: int | None) -> Line:
    pieces: list[Piece] = []
    used = 0
    for column in layout.columns:
        if used:
            pieces.append((" " * layout.gap, ""))
            used += layout.gap
        pieces += _cell(row, column, guide)
        used += column.width
        if row.note and column.name == "state":
            # A slot without a worker has no values: its note takes the rest of the line.
            pieces.append(("  " + printable(row.note), "red"))
            break
    drawn = cut(_merged(pieces), layout.width)
    is_selected = row.pid is not None and row.pid == selected
    return with_style(padded(drawn, layout.width), "reverse") if is_selected else drawn


def _cell(row: Row, column: Column, guide: str) -> list[Piece]:
    if column.name == "pid":
        return _process(row, column, guide)
    if column.name == "state":
        return [(aligned(printable(row.state), column.width, left=True), STATE_STYLES.get(row.state, ""))]
    if row.kind is RowKind.TOTAL and column.name in ("slot", "gen", "up"):
        return [(" " * column.width, "")]
    value = row.values.get(column.name)
    text = column.show(value)
    return [(text.rjust(column.width), _style(row, column, value, text))]


def _process(row: Row, column: Column, guide: str) -> list[Piece]:
    if row.kind is RowKind.TOTAL:
        return [("total".ljust(column.width), "bold")]
    pid = UNKNOWN if row.pid is None else str(row.pid)
    style = "bold" if row.kind is RowKind.MASTER else ""
    return [(guide, "dim"), (pid.ljust(column.width - len(guide)), style)]


def _style(row: Row, column: Column, value: float | None, text: str) -> str:
    if text == UNKNOWN or (text == "0" and column.name != "slot"):
        return "dim"
    # The total of CPU% has no limit to compare with: it depends on the number of processors.
    if value is not None and not (row.kind is RowKind.TOTAL and column.name == "cpu"):
        if column.alarm is not None and value >= column.alarm:
            return "bold red"
        if column.warn is not None and value >= column.warn:
            return "yellow"
    return "bold" if row.kind is RowKind.TOTAL else ""


def _merged(pieces: list[Piece]) -> Line:
    """Join neighbouring pieces of one style, so that fewer escape sequences are written."""
    merged: list[Piece] = []
    for text, style in pieces:
        if merged and merged[-1][1] == style:
            merged[-1] = (merged[-1][0] + text, style)
        elif text:
            merged.append((text, style))
    return tuple(merged)
