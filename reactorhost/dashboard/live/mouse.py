"""Clicks of the mouse: on a tab, a row, a heading or a hint of the last line. Pure, like the keys."""

from __future__ import annotations

import re
from dataclasses import replace

from reactorhost.dashboard.live import keymap, moving
from reactorhost.dashboard.live.alert_lines import first_shown
from reactorhost.dashboard.live.footer import hint_at, notice
from reactorhost.dashboard.live.frame import uncut
from reactorhost.dashboard.live.moving import show_alert
from reactorhost.dashboard.live.screen_rows import screen_rows
from reactorhost.dashboard.live.tabs import tab_at
from reactorhost.dashboard.model.alerts import alerts
from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import Overlay, View
from reactorhost.dashboard.pages.page import Result
from reactorhost.dashboard.pages.registry import PAGES
from reactorhost.dashboard.tables.row_window import RowLine
from reactorhost.dashboard.terminal.keys import Click
from reactorhost.dashboard.text.grid import SortColumn
from reactorhost.dashboard.text.line import Line, width_of


def click(view: View, at: Click, snapshot: Snapshot | None) -> Result:
    """Return the view after a click, and what it requests."""
    # A question is answered with a key only: a click meant for the page must not confirm it.
    if snapshot is None or view.overlay is not Overlay.NONE:
        return view, None
    size = view.size
    parts = screen_rows(snapshot, view, size)
    # A click on an alert shows what it is about.
    if parts.header <= at.row < parts.header + parts.alerts:
        shown = alerts(snapshot.document)
        clicked = first_shown(len(shown), parts.alerts, view.alert) + at.row - parts.header
        return show_alert(view, shown[min(clicked, len(shown) - 1)]), None
    if at.row == parts.header + parts.alerts and parts.tabs:
        page = tab_at(view, size.columns, at.column)
        return (view if page is None else view.show(page)), None
    if at.row == size.rows - 1 and parts.footer:
        key = "" if notice(snapshot, view) else hint_at(snapshot, view, size.columns, at.column)
        return keymap.press(view, key, snapshot)
    lines, view = uncut(snapshot, view, size), replace(view, notice="")
    return _click_on_page(view, at, snapshot, lines[at.row]) if at.row < len(lines) else (view, None)


def _click_on_page(view: View, at: Click, snapshot: Snapshot, clicked: Line) -> Result:
    if not isinstance(clicked, RowLine):
        column = _heading_at(clicked, at.column, view, snapshot)
        return (view if column is None else moving.sort_by(view, column)), None
    # The first click selects a row, the second one goes into it.
    if clicked.key == PAGES[view.page].current(snapshot, view):
        return keymap.press(view, "enter", snapshot)
    return moving.select(view, clicked.key), None


def _heading_at(shown: Line, column: int, view: View, snapshot: Snapshot) -> SortColumn | None:
    text = "".join(piece for piece, _ in shown)
    if width_of(shown) != len(text):
        # Headings have no wide characters.
        return None
    for each in PAGES[view.page].columns(snapshot, view):
        found = re.search(rf"(?<!\S){re.escape(each.heading)}[▼▲]?(?!\S)", text)
        if found is not None and found.start() <= column < found.end():
            return each
    return None
