"""The heat map: one cell for each worker, so that one of many that differs is seen at a glance.

A value is a bar of eight heights on a fixed scale: a healthy host looks the same at any load. A state that needs an eye
is a letter. Colours only repeat what the characters say.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import Page, View
from reactorhost.dashboard.pages.page import Binding, Result
from reactorhost.dashboard.tables.columns import BY_NAME
from reactorhost.dashboard.tables.process_selection import selected_row
from reactorhost.dashboard.tables.rows import Row, RowKind, worker_rows
from reactorhost.dashboard.tables.worker_row import STATE_STYLES
from reactorhost.dashboard.text.line import Line, Piece, cut, line, merged
from reactorhost.dashboard.text.quantities import number
from reactorhost.dashboard.text.sparkline import BARS
from reactorhost.dashboard.text.styles import ALARM, WARN

LEAST_WORKERS = 32
_UNKNOWN = "·"
_LABEL = 5
_GROUP = 10
_LETTERS: Mapping[str, str] = {
    "silent": "!",
    "stuck": "!",
    "backoff": "x",
    "starting": "s",
    "draining": "d",
    "stopping": "d",
    "leaving": "d",
    "full": "F",
}


@dataclass(frozen=True, slots=True)
class Metric:
    """What a cell shows; `level` returns the height of a bar, 0 to 1, for a value and the limit of clients."""

    name: str
    column: str
    scale: Callable[[int], str]
    level: Callable[[float, int], float]


def _logarithmic(least: float, most: float) -> Callable[[float, int], float]:
    def level(value: float, _limit: int) -> float:
        return 0.0 if value <= least else math.log(value / least) / math.log(most / least)

    return level


METRICS: Sequence[Metric] = (
    Metric("cpu", "cpu", lambda _: "0 to 100 %", lambda value, _: value / 100),
    Metric("lag", "lag", lambda _: "0.1 ms to 1 s", _logarithmic(1e-4, 1.0)),
    Metric("p99", "p99", lambda _: "10 µs to 1 s", _logarithmic(1e-5, 1.0)),
    Metric("clients", "clients", lambda limit: f"0 to {number(limit)}", lambda value, limit: value / max(limit, 1)),
)


def heat_map(snapshot: Snapshot, view: View, width: int) -> list[Line]:
    """Return the cells in the order of the slots, and a legend below them; no lines for a few workers."""
    rows = _rows(snapshot, view)
    if len(rows) < LEAST_WORKERS:
        return []
    metric = _metric(view)
    workers = max(snapshot.body["workers_wanted"], 1)
    limit = snapshot.body["max_connections"] // workers
    selected = selected_row(snapshot, view)
    # As many groups of ten as fit, each with a space behind it.
    in_line = max((width - _LABEL + 1) // (_GROUP + 1), 1) * _GROUP
    lines = []
    for start in range(0, len(rows), in_line):
        shown = rows[start : start + in_line]
        pieces: list[Piece] = [(f"{_slot(shown[0]):>{_LABEL - 1}} ", "dim")]
        for at, row in enumerate(shown):
            if at and at % _GROUP == 0:
                pieces.append((" ", ""))
            text, style = _cell(row, metric, limit)
            pieces.append((text, f"{style} reverse".strip() if row.key == selected else style))
        lines.append(cut(merged(pieces), width))
    return [*lines, cut(_legend(rows, metric, limit), width)]


def _next_metric(view: View, snapshot: Snapshot) -> Result:
    """Show the next metric."""
    if not _is_shown(view, snapshot):
        return replace(view, notice=f"the heat map is shown from {LEAST_WORKERS} workers on"), None
    return replace(view, heat=_after(_metric(view)).name), None


def _is_shown(view: View, snapshot: Snapshot) -> bool:
    return len(_rows(snapshot, view)) >= LEAST_WORKERS


HEAT = Binding("m", "heat map", "heat map: cpu, lag, p99 or clients of each worker", _next_metric, applies=_is_shown)


def _rows(snapshot: Snapshot, view: View) -> list[Row]:
    # Whatever the table is sorted by: a worker keeps its place.
    by_slot = view.with_table(Page.WORKERS, sort="slot", inverted=False)
    return worker_rows(snapshot.body, by_slot)


def _metric(view: View) -> Metric:
    return next((each for each in METRICS if each.name == view.heat), METRICS[0])


def _after(metric: Metric) -> Metric:
    return METRICS[(METRICS.index(metric) + 1) % len(METRICS)]


def _slot(row: Row) -> str:
    slot = row.values.get("slot")
    return "" if slot is None else f"{slot:.0f}"


def _cell(row: Row, metric: Metric, limit: int) -> Piece:
    if row.condition in _LETTERS:
        return _LETTERS[row.condition], STATE_STYLES.get(row.condition, "")
    value = row.values.get(metric.column)
    if value is None or row.kind is not RowKind.WORKER:
        return _UNKNOWN, "dim"
    level = metric.level(value, limit)
    column = BY_NAME[metric.column]
    style = ""
    if column.alarm is not None and value >= column.alarm:
        style = ALARM
    elif (column.warn is not None and value >= column.warn) or (metric.column == "clients" and level >= 0.9):
        style = WARN
    return BARS[max(0, min(int(level * len(BARS)), len(BARS) - 1))], style


def _legend(rows: Sequence[Row], metric: Metric, limit: int) -> Line:
    pieces: list[Piece] = [(" " * _LABEL, ""), (metric.name, "bold"), (f" {BARS[0]}{BARS[3]}{BARS[-1]} ", "")]
    pieces.append((metric.scale(limit), ""))
    counts = Counter(row.condition for row in rows if row.condition in _LETTERS)
    for state, count in sorted(counts.items(), key=lambda each: (_LETTERS[each[0]] not in "!x", each[0])):
        pieces += [("  ", ""), (_LETTERS[state], STATE_STYLES.get(state, "")), (f" {count} {state}", "")]
    pieces += [("  m", "bold"), (f" {_after(metric).name}", "dim")]
    return line(*pieces)
