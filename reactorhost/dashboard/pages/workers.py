"""The page of the workers: the worker table, and below it the hook chain or the service, and the last events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import Key, Page, ProcessKey, View
from reactorhost.dashboard.pages.heat_map import HEAT, heat_map
from reactorhost.dashboard.pages.host_keys import RECYCLE, is_of_a_worker
from reactorhost.dashboard.pages.page import Binding, PageParts, Result
from reactorhost.dashboard.tables.columns import ALL
from reactorhost.dashboard.tables.plugin_table import hook_chain
from reactorhost.dashboard.tables.process_selection import selectable, selected_row
from reactorhost.dashboard.tables.rows import focused_service
from reactorhost.dashboard.tables.service_table import service_details
from reactorhost.dashboard.tables.worker_layout import shown_columns
from reactorhost.dashboard.tables.worker_table import ill_height, needed_height, worker_table
from reactorhost.dashboard.text.event_lines import event_section
from reactorhost.dashboard.text.grid import SortColumn
from reactorhost.dashboard.text.line import EMPTY, Line

# The least height for events and the hook chain below the worker table.
_ROOMY = 11
_LEAST_EVENTS = 3
_CHAIN_FROM_WIDTH = 100


def workers_page(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    """Return the worker table and, as far as they fit below it, the hook chain or the service, and events."""
    if height < _ROOMY:
        return worker_table(snapshot, view, width, height)
    cells = heat_map(snapshot, view, width)
    if 3 * len(cells) <= height:
        height -= len(cells)
    else:
        cells = []
    needed = needed_height(snapshot, view, width)
    events = min(_LEAST_EVENTS, len(snapshot.body["events"]))
    events_rows = events + 2 if events else 0
    chain = _chain(snapshot, view, width)
    if needed + events_rows + len(chain) > height:
        # Events matter more: they name what goes wrong.
        chain = []
    # Alerts have the last events already; the row of an ill worker says what holds it.
    most = max(height - events_rows, min(ill_height(snapshot, view), height))
    table = worker_table(snapshot, view, width, min(needed, most))
    room = height - len(table) - len(chain) - 2
    shown = snapshot.body["events"][-room:] if room > 0 else []
    return [*cells, *table, *chain, *event_section(shown, width, snapshot.body["time"])]


def _chain(snapshot: Snapshot, view: View, width: int) -> list[Line]:
    service = focused_service(snapshot.body, view)
    if service is not None:
        return [EMPTY, *service_details(service, width)]
    has_room = width >= _CHAIN_FROM_WIDTH and snapshot.body["plugins"]
    return [EMPTY, *hook_chain(snapshot.body, width)] if has_room else []


def _columns(snapshot: Snapshot, view: View) -> Sequence[SortColumn]:
    return shown_columns(snapshot.body, view, view.size.columns)


def _more_columns(snapshot: Snapshot, view: View) -> Sequence[SortColumn]:
    shown = {column.name for column in _columns(snapshot, view)}
    return [column for column in ALL if column.key and column.name not in shown]


def _enter(_snapshot: Snapshot, view: View, key: Key) -> View:
    return view.enter(Page.WORKER, key.label, process=key) if isinstance(key, ProcessKey) else view


def _clients(view: View, snapshot: Snapshot) -> Result:
    key = selected_row(snapshot, view)
    if key is None or key.slot is None:
        return replace(view, notice="select a worker first"), None
    return view.enter(Page.CLIENTS, key.label, process=key), None


def _toggle_tree(view: View, _snapshot: Snapshot) -> Result:
    return replace(view, tree=not view.tree), None


_BINDINGS: Sequence[Binding] = (
    Binding("c", "clients", "show the clients of the selected worker", _clients, applies=is_of_a_worker),
    Binding("t", "", "tree or flat list", _toggle_tree),
    HEAT,
)

PARTS = PageParts(
    workers_page,
    rows=selectable,
    current=selected_row,
    enter=_enter,
    columns=_columns,
    more_columns=_more_columns,
    bindings=(*_BINDINGS, RECYCLE),
)
