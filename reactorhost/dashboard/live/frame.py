"""The frame of the live view: every line of the screen, for any size from one cell up."""

from __future__ import annotations

from reactorhost.dashboard.live.alert_lines import alert_lines
from reactorhost.dashboard.live.footer import footer
from reactorhost.dashboard.live.header import header
from reactorhost.dashboard.live.help_page import help_page
from reactorhost.dashboard.live.host_list import host_list
from reactorhost.dashboard.live.screen_rows import screen_rows
from reactorhost.dashboard.live.tabs import tabs_line
from reactorhost.dashboard.model.alerts import alerts
from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import Overlay, View
from reactorhost.dashboard.pages.registry import PAGES
from reactorhost.dashboard.text.line import EMPTY, Frame, Line, Size, cut, in_ascii, line, on_linux_console, restyled

_LIST_FROM_ROWS = 4


def render(snapshot: Snapshot, view: View, size: Size) -> Frame:
    """Return one line for each row of the screen, none of them wider than the screen."""
    # The tables assume a width of a few cells. On a narrower screen their lines are cut here.
    shown = [cut(each, size.columns) for each in uncut(snapshot, view, size)]
    if snapshot.link.lost_seconds is not None:
        shown[1:] = [restyled(each, "dim") for each in shown[1:]]
    return _in_characters(shown, view)


def uncut(snapshot: Snapshot, view: View, size: Size) -> list[Line]:
    """Return the lines before they are cut: those of rows are still `RowLine`s."""
    width, parts = size.columns, screen_rows(snapshot, view, size)
    lines = header(snapshot, view, width, parts.header)
    page = None if view.trail else view.page
    lines += alert_lines(alerts(snapshot.document), width, parts.alerts, view.alert, page)
    if parts.tabs:
        lines.append(tabs_line(view, width))
    body = _body(snapshot, view, width, parts.body)[: max(parts.body, 0)]
    lines += [*body, *[EMPTY] * (parts.body - len(body))]
    if parts.footer:
        lines.append(footer(snapshot, view, width))
    return lines[: size.rows]


def waiting(text: str, view: View, size: Size) -> Frame:
    """Return the frame before the first document: one line of text, and the list of the hosts if it is shown."""
    lines: list[Line] = [line((text, "dim"))]
    if view.overlay is Overlay.HOSTS and size.rows >= _LIST_FROM_ROWS:
        lines += host_list(view, size.columns, size.rows - 2)
        lines += [*[EMPTY] * (size.rows - 1 - len(lines)), footer(None, view, size.columns)]
    lines = [cut(each, size.columns) for each in (*lines, *[EMPTY] * (size.rows - len(lines)))]
    return _in_characters(lines, view)


def _in_characters(lines: list[Line], view: View) -> Frame:
    if view.ascii:
        return tuple(in_ascii(each) for each in lines)
    return tuple(on_linux_console(each) for each in lines) if view.linux_console else tuple(lines)


def _body(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    if view.overlay is Overlay.HELP:
        return help_page(snapshot, view, width, height)
    if view.overlay is Overlay.HOSTS:
        return host_list(view, width, height)
    return PAGES[view.page].lines(snapshot, view, width, height)
