"""The frame of the live view: every line of the screen, for any size from one cell up."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reactorhost.dashboard.live.footer import footer, help_page
from reactorhost.dashboard.live.header import header
from reactorhost.dashboard.live.pages import connections_page, events_page, plugins_page, worker_page, workers_page
from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import Overlay, Page, View
from reactorhost.dashboard.text.line import EMPTY, Frame, Line, Size, cut, in_ascii, line, restyled

# The least number of rows for a header of three lines, and for empty lines and events.
_THREE_LINE_HEADER = 10
_ROOMY = 16


def render(snapshot: Snapshot, view: View, size: Size) -> Frame:
    """Return one line for each row of the screen, none of them wider than the screen."""
    rows = size.rows
    # On a screen of one or two rows the footer is shown only while the user has to answer something.
    prompted = view.overlay in (Overlay.CONFIRM, Overlay.FILTER, Overlay.INTERVAL)
    footer_rows = 1 if rows >= 3 or prompted else 0
    head = header(snapshot, view, size.columns, min(rows - footer_rows, 3 if rows >= _THREE_LINE_HEADER else 1))
    if rows >= _ROOMY:
        head.append(EMPTY)
    room = rows - footer_rows - len(head)
    shows_help = view.overlay is Overlay.HELP
    body = help_page(view, size.columns) if shows_help else _PAGES[view.page](snapshot, view, size.columns, room)
    body = body[: max(room, 0)]
    lines = [*head, *body, *[EMPTY] * (room - len(body))]
    if footer_rows:
        lines.append(footer(snapshot, view, size.columns))
    return _finished(snapshot, view, size, lines)


def waiting(text: str, view: View, size: Size) -> Frame:
    """Return the frame before the first document: one line of text."""
    lines = [cut(line((text, "dim")), size.columns), *[EMPTY] * (size.rows - 1)]
    return tuple(in_ascii(each) for each in lines) if view.ascii else tuple(lines)


def _finished(snapshot: Snapshot, view: View, size: Size, lines: list[Line]) -> Frame:
    # The tables assume a width of a few cells. On a narrower screen their lines are cut here.
    shown = [cut(each, size.columns) for each in lines[: size.rows]]
    if snapshot.link.lost_seconds is not None:
        shown[1:] = [restyled(each, "dim") for each in shown[1:]]
    return tuple(in_ascii(each) for each in shown) if view.ascii else tuple(shown)


_PAGES: Mapping[Page, Callable[[Snapshot, View, int, int], list[Line]]] = {
    Page.WORKERS: workers_page,
    Page.CONNECTIONS: connections_page,
    Page.PLUGINS: plugins_page,
    Page.EVENTS: events_page,
    Page.WORKER: worker_page,
}
