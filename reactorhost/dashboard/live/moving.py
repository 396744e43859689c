"""The keys that move through the rows, lines and columns of any page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from reactorhost.dashboard.live.screen_rows import screen_rows
from reactorhost.dashboard.live.steps import steps_of
from reactorhost.dashboard.model.alerts import Alert, alerts
from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import Key, View
from reactorhost.dashboard.pages.registry import PAGES
from reactorhost.dashboard.text.grid import SortColumn

# The columns whose values are words or addresses.
_TEXTS = ("state", "service", "peer")


def press(view: View, key: str, snapshot: Snapshot) -> View:
    """Return the view after a key."""
    if key in _MOVES:
        return _MOVES[key](view, snapshot)
    if steps := steps_of(key, screen_rows(snapshot, view, view.size).body):
        return _move(view, snapshot, steps)
    parts = PAGES[view.page]
    column = next((each for each in parts.all_columns(snapshot, view) if each.key == key), None)
    if column is None:
        return view
    shown = sort_by(view, column)
    has_room = column.name in [each.name for each in parts.columns(snapshot, view)]
    return shown if has_room else replace(shown, notice=f"{shown.notice}; the column has no room")


def sort_by(view: View, column: SortColumn) -> View:
    """Return the view sorted by a column; in the other direction if it is sorted by it already."""
    inverted = view.table.sort == column.name and not view.table.inverted
    return _sorted(view, column, inverted=inverted)


def select(view: View, key: Key) -> View:
    """Return the view with a row selected."""
    return view.with_table(selected=key)


def _move(view: View, snapshot: Snapshot, steps: int) -> View:
    """Return the view after a number of steps downwards: the selection moves, or a page of text scrolls."""
    parts = PAGES[view.page]
    if parts.length is not None:
        last = parts.length(snapshot, view) - screen_rows(snapshot, view, view.size).body
        return view.with_table(scroll=max(0, min(view.table.scroll + steps, last)))
    keys, key = parts.rows(snapshot, view), parts.current(snapshot, view)
    if not keys:
        return view
    at = max(0, min(_next(keys, key, view.table.row, steps), len(keys) - 1))
    return view.with_table(selected=keys[at], row=at)


def _next(keys: Sequence[Key], key: Key | None, row: int | None, steps: int) -> int:
    if key in keys:
        return keys.index(key) + steps
    if key is not None and row is not None:
        # The selected row has gone, and the next one has moved into its place.
        return row + steps - (steps > 0)
    # Without a selection, the first step down selects the first row, the first step up the last one.
    return steps - 1 if steps > 0 else len(keys) + steps


def enter(view: View, snapshot: Snapshot) -> View:
    """Return the view of what is behind the selected row, or the first one."""
    parts = PAGES[view.page]
    if parts.enter is None:
        return view
    key = parts.current(snapshot, view)
    if key is None:
        view = _move(view, snapshot, 1)
        key = parts.current(snapshot, view)
    return view if key is None else parts.enter(snapshot, view, key)


def show_alert(view: View, alert: Alert) -> View:
    """Return the view of the page and row that an alert is about."""
    shown = view.show(alert.page)
    return shown if alert.target is None else shown.with_table(selected=alert.target, filter="")


def _next_alert(view: View, snapshot: Snapshot) -> View:
    """Show what the worst alert is about; pressed again, the next one."""
    found = alerts(snapshot.document)
    if not found:
        return replace(view, notice="no alerts")
    at = (view.alert + 1) % len(found)
    return replace(show_alert(view, found[at]), alert=at)


def show_alert_here(view: View, snapshot: Snapshot) -> View | None:
    """Return the view of the row that the next alert about this page is about; None if there is none."""
    found = alerts(snapshot.document)
    here = [at for at, alert in enumerate(found) if alert.page is view.page and alert.target is not None]
    if not here:
        return None
    at = next((each for each in here if each > view.alert), here[0])
    return replace(show_alert(view, found[at]), alert=at)


def _sorted(view: View, column: SortColumn, *, inverted: bool) -> View:
    first = ("z", "a") if column.name in _TEXTS else ("largest", "smallest")
    order = first[0] if column.largest_first is not inverted else first[1]
    notice = f"sorted by {column.heading}, {order} first"
    return replace(view.with_table(sort=column.name, inverted=inverted), notice=notice)


def _sort_beside(step: int) -> Callable[[View, Snapshot], View]:
    def change(view: View, snapshot: Snapshot) -> View:
        columns = PAGES[view.page].columns(snapshot, view)
        if not columns:
            return view
        return _sorted(view, columns[(_sort_index(view, columns) + step) % len(columns)], inverted=False)

    return change


def _invert(view: View, snapshot: Snapshot) -> View:
    columns = PAGES[view.page].all_columns(snapshot, view)
    if not columns:
        return view
    return _sorted(view, columns[_sort_index(view, columns)], inverted=not view.table.inverted)


def _sort_index(view: View, columns: Sequence[SortColumn]) -> int:
    names = [column.name for column in columns]
    return names.index(view.table.sort) if view.table.sort in names else 0


_MOVES: Mapping[str, Callable[[View, Snapshot], View]] = {
    "<": _sort_beside(-1),
    ">": _sort_beside(1),
    "I": _invert,
    "enter": enter,
    "!": _next_alert,
}
