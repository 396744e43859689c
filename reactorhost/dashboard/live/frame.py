"""The frame of the live view: every line of the screen, for any size from one cell up."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reactorhost.dashboard.live.footer import footer, help_page
from reactorhost.dashboard.live.header import header
from reactorhost.dashboard.live.pages import connections_page, events_page, plugins_page, worker_page
from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import Overlay, Page, View
from reactorhost.dashboard.tables.plugin_table import hook_chain
from reactorhost.dashboard.tables.worker_table import needed_height, worker_table
from reactorhost.dashboard.text.event_sentences import event_line
from reactorhost.dashboard.text.line import EMPTY, Frame, Line, Size, cut, in_ascii, line, restyled
from reactorhost.ipc.status import StatusDocument

# The least number of rows for a header of three lines, and for empty lines and events.
_THREE_LINE_HEADER = 10
_ROOMY = 16
# What is left of them for the page: without the header, the empty line below it, and the footer.
_ROOMY_PAGE = _ROOMY - 5
_LEAST_EVENTS = 3
_CHAIN_FROM_WIDTH = 100


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
    body = _body(snapshot, view, size.columns, room)[: max(room, 0)]
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


def _body(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    if view.overlay is Overlay.HELP:
        return help_page(view, width)
    return _PAGES[view.page](snapshot, view, width, height)


def _workers(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    """Return the worker table and, as far as they fit below it, the hook chain and events."""
    if height < _ROOMY_PAGE:
        return worker_table(snapshot, view, width, height)
    needed = needed_height(snapshot, view)
    events = min(_LEAST_EVENTS, len(snapshot.body["events"]))
    events_rows = events + 2 if events else 0
    chain = _chain(snapshot.body, width) if width >= _CHAIN_FROM_WIDTH else []
    if needed + events_rows + len(chain) > height:
        # Events matter more: they name what goes wrong.
        chain = []
    table = worker_table(snapshot, view, width, min(needed, height - events_rows))
    room = height - len(table) - len(chain)
    return [*table, *chain, *_events(snapshot.body, width, room)]


def _chain(document: StatusDocument, width: int) -> list[Line]:
    return [EMPTY, *hook_chain(document, width)] if document["plugins"] else []


def _events(document: StatusDocument, width: int, room: int) -> list[Line]:
    """Return the last events under a heading."""
    events = document["events"][-max(room - 2, 0) :] if room > 2 else []
    if not events:
        return []
    return [EMPTY, line(("EVENTS", "dim")), *(event_line(event, width) for event in events)]


_PAGES: Mapping[Page, Callable[[Snapshot, View, int, int], list[Line]]] = {
    Page.WORKERS: _workers,
    Page.CONNECTIONS: connections_page,
    Page.PLUGINS: plugins_page,
    Page.EVENTS: events_page,
    Page.WORKER: worker_page,
}
