"""The page of the log: the host's log file as it grows, or the events of the host, the newest last.

It follows the end until a line is selected. The selected line is wrapped, and Enter opens its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import Key, Page, View
from reactorhost.dashboard.pages.page import Binding, PageParts, Result
from reactorhost.dashboard.tables.log_rows import LogRow, log_rows
from reactorhost.dashboard.tables.row_window import row_lines, window
from reactorhost.dashboard.text.line import Line, cut, line
from reactorhost.dashboard.text.local_time import zone

_LEVELS = ("", "info", "warning", "error")
"""The levels that the key goes through, the first one of all lines."""


def log_page(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    """Return a heading and the lines that fit: the end, or those around the selected one."""
    rows, table = _rows(snapshot, view), view.table_of(Page.LOG)
    heading = cut(_heading(snapshot, view), width)
    if not rows:
        return [heading, line("no line matches the filter" if table.filter or table.level else "nothing yet")]
    now, room = snapshot.body["time"], max(1, height - 1)
    keys = [row.key for row in rows]
    heights, selected = [1] * len(rows), keys[-1]
    whole: list[Line] = []
    if table.selected in keys:
        selected, at = table.selected, keys.index(table.selected)
        whole = rows[at].whole(width, now)
        if table.opened == selected:
            whole += rows[at].details(width)
        whole = whole[:room]
        heights[at] = len(whole)
    start, stop = window(keys, selected, room, heights, is_counted=False)
    lines = [heading]
    for row in rows[start:stop]:
        is_selected = row.key == table.selected
        shown = whole if is_selected else [row.brief(width, now)]
        lines += row_lines(shown, row.key, width, is_selected=is_selected)
    return lines


def _rows(snapshot: Snapshot, view: View) -> Sequence[LogRow]:
    return log_rows(snapshot, view.table_of(Page.LOG))


def _heading(snapshot: Snapshot, view: View) -> Line:
    log, table = snapshot.log, view.table_of(Page.LOG)
    where = snapshot.body["log_file"] or ""
    if log is None or log.instead:
        where = f"events of the master{f' ({log.instead})' if log is not None else ''}"
    level = f"  from level {table.level}" if table.level else ""
    follows = "" if table.selected is None else "  F follows"
    return line((f"{where}  {zone(snapshot.body['time'])}{level}{follows}", "dim"))


def _keys(snapshot: Snapshot, view: View) -> list[Key]:
    return [row.key for row in _rows(snapshot, view)]


def _current(snapshot: Snapshot, view: View) -> Key | None:
    keys, selected = _keys(snapshot, view), view.table_of(Page.LOG).selected
    if selected in keys:
        return selected
    # While the end is followed, a key moves from there.
    return keys[-1] if keys else None


def _open(_snapshot: Snapshot, view: View, key: Key) -> View:
    return view.with_table(selected=key, opened=None if view.table.opened == key else key)


def _follow(view: View, _snapshot: Snapshot) -> Result:
    return view.with_table(selected=None, opened=None), None


def _next_level(view: View, _snapshot: Snapshot) -> Result:
    level = _LEVELS[(_LEVELS.index(view.table.level) + 1) % len(_LEVELS)]
    return replace(view.with_table(level=level), notice=f"lines from level {level or 'debug'}"), None


PARTS = PageParts(
    log_page,
    rows=_keys,
    current=_current,
    enter=_open,
    bindings=(
        Binding("l", "level", "show lines from level info, warning or error only", _next_level),
        Binding("F", "follow", "follow the end of the log again", _follow),
        Binding("end", "", "follow the end of the log again", _follow),
    ),
)
