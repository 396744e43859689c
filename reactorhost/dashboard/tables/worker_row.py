"""One row of the worker table: values in columns of fixed width, colour for unusual values only."""

from __future__ import annotations

from collections.abc import Mapping

from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import TableState
from reactorhost.dashboard.tables.columns import Column
from reactorhost.dashboard.tables.rows import Row, RowKind
from reactorhost.dashboard.tables.worker_layout import Layout
from reactorhost.dashboard.text import grid
from reactorhost.dashboard.text.line import Line, Piece, aligned, cut, fitted, line, merged, padded
from reactorhost.dashboard.text.quantities import UNKNOWN
from reactorhost.dashboard.text.sparkline import sparkline
from reactorhost.dashboard.text.styles import ALARM, FAULT, NOTE, WARN
from reactorhost.dashboard.text.wrapping import wrapped_to
from reactorhost.printable import printable

STATE_STYLES: Mapping[str, str] = {
    "starting": NOTE,
    "full": WARN,
    "draining": WARN,
    "stopping": WARN,
    "leaving": WARN,
    "silent": ALARM,
    "stuck": ALARM,
    "backoff": ALARM,
}
_NOTE_GAP = 2
_TREND_SECONDS = 60


def headings(layout: Layout, table: TableState) -> Line:
    """Return the headings, with a mark at the column that the rows are sorted by."""
    pieces = grid.headings(layout.columns, layout.gap, layout.width, table.sort or "slot", inverted=table.inverted)
    if layout.trend:
        heading = fitted("MSG/s OF THE LAST MINUTE", layout.trend)
        pieces = (*padded(pieces, layout.used + layout.gap), (heading, "dim"))
    return cut(pieces, layout.width)


def drawn(row: Row, guide: str, layout: Layout) -> Line:
    """Return the cells of a row; of a slot without a worker, which has no values, only those up to the state."""
    pieces: list[Piece] = []
    for column in layout.columns:
        if pieces:
            pieces.append((" " * layout.gap, ""))
        pieces += _cell(row, column, guide)
        if note_in_line(row, layout) and column.name == "state":
            break
    return cut(merged(pieces), layout.width)


def note_in_line(row: Row, layout: Layout) -> bool:
    """Return whether the note takes the place of the values: of a slot without a worker, which has none."""
    return row.kind is RowKind.SLOT and layout.state_width > 0


def note_lines(row: Row, layout: Layout, most: int) -> list[Line]:
    """Return the note of a row in lines for the room behind `start_of_note`."""
    if not row.note:
        return []
    style = WARN if row.state == "starting" else FAULT
    return wrapped_to(line((row.note, style)), layout.width - start_of_note(row, layout), most)


def start_of_note(row: Row, layout: Layout) -> int:
    """Return the column in which the note begins."""
    start = layout.start_of_state()
    return start + layout.state_width + _NOTE_GAP if note_in_line(row, layout) else start


def trend_of(snapshot: Snapshot, row: Row, layout: Layout) -> Piece | None:
    """Return the trend of a worker, on the same scale for all of them; None if it is not shown."""
    trends = snapshot.worker_trends
    if not layout.trend or row.kind is not RowKind.WORKER:
        return None
    samples = trends.samples.get(row.pid or 0, ())
    bars = sparkline(samples, trends.end, layout.trend, seconds=_TREND_SECONDS, highest=trends.highest)
    return bars, "dim"


def _cell(row: Row, column: Column, guide: str) -> list[Piece]:
    if column.name == "pid":
        return _process(row, column, guide)
    if column.name == "state":
        return [(aligned(printable(row.state), column.width, left=True), STATE_STYLES.get(row.condition, ""))]
    if row.is_sum and column.name in ("slot", "gen", "up"):
        return [(" " * column.width, "")]
    value = row.values.get(column.name)
    text = column.show(value)
    return [(text.rjust(column.width), _style(row, column, value, text))]


def _process(row: Row, column: Column, guide: str) -> list[Piece]:
    if row.is_sum:
        return [(row.kind.value.ljust(column.width), "bold")]
    pid = UNKNOWN if row.pid is None else str(row.pid)
    style = "bold" if row.kind is RowKind.MASTER else ""
    return [(guide, "dim"), (pid.ljust(column.width - len(guide)), style)]


def _style(row: Row, column: Column, value: float | None, text: str) -> str:
    if text == UNKNOWN or (text == "0" and column.name != "slot"):
        return "dim"
    # The total of CPU% has no limit to compare with: it depends on the number of processors.
    if value is not None and not (row.is_sum and column.name == "cpu"):
        if column.alarm is not None and value >= column.alarm:
            return ALARM
        if column.warn is not None and value >= column.warn:
            return WARN
    return "bold" if row.is_sum else ""
