"""The page of the services: clients, traffic, latency, errors and queue of each, and the chain that it calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reactorhost.dashboard.model.snapshot import Snapshot
from reactorhost.dashboard.model.view import Key, Page, View
from reactorhost.dashboard.pages.page import Binding, PageParts, Result, sort_columns
from reactorhost.dashboard.tables.row_window import hidden, row_lines, rows_in_sight
from reactorhost.dashboard.tables.service_table import FIELDS, is_short, service_details, service_table, sorted_services
from reactorhost.dashboard.text.grid import SortColumn
from reactorhost.dashboard.text.line import EMPTY, Line
from reactorhost.ipc.status import ServiceStatus


def services_page(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    """Return a line for every service that fits, and below them the details of the selected one.

    Of services that do not fit, those are shown that fewer workers serve than should.
    """
    services = _services(snapshot, view)
    keys = [service["name"] for service in services]
    details = _details(services, view, width)
    # The table comes first: without room for both, the details are left out.
    room = height - len(details)
    if room < min(len(services), 3) + 1:
        details, room = [], height
    document, table = snapshot.body, view.table
    ill = [number for number, each in enumerate(services) if is_short(each, document)]
    numbers = rows_in_sight(keys, table.selected, max(room - 1, 0), ill, [1] * len(keys))
    shown = [services[number] for number in numbers]
    headings, *drawn = service_table(shown, document, width, sort=table.sort, inverted=table.inverted)
    lines = [headings]
    for service, each in zip(shown, drawn, strict=True):
        lines += row_lines([each], service["name"], width, is_selected=service["name"] == table.selected)
    if len(shown) < len(services):
        above = numbers.start if isinstance(numbers, range) else 0
        lines.append(hidden(above, len(services) - len(shown) - above, width))
    return [*lines, *details][: max(height, 0)]


def _details(services: Sequence[ServiceStatus], view: View, width: int) -> list[Line]:
    # The only service needs no selection.
    shown = services if len(services) == 1 else [each for each in services if each["name"] == view.table.selected]
    return [EMPTY, *service_details(shown[0], width)] if shown else []


def _services(snapshot: Snapshot, view: View) -> Sequence[ServiceStatus]:
    table = view.table_of(Page.SERVICES)
    wanted = table.filter.casefold()
    services = [each for each in snapshot.body["services"] if wanted in each["name"].casefold()]
    return sorted_services(services, table.sort, inverted=table.inverted)


def _keys(snapshot: Snapshot, view: View) -> Sequence[Key]:
    return [service["name"] for service in _services(snapshot, view)]


def _columns(_snapshot: Snapshot, _view: View) -> Sequence[SortColumn]:
    return sort_columns(FIELDS)


def _enter(_snapshot: Snapshot, view: View, key: Key) -> View:
    return view.enter(Page.WORKERS, str(key), service=str(key))


def _clients(view: View, snapshot: Snapshot) -> Result:
    keys = _keys(snapshot, view)
    key = keys[0] if len(keys) == 1 else view.table.selected
    if key not in keys:
        return replace(view, notice="select a service first"), None
    return view.enter(Page.CLIENTS, str(key), service=str(key)), None


_BINDINGS = (Binding("c", "clients", "show the clients of the selected service", _clients),)

PARTS = PageParts(services_page, rows=_keys, enter=_enter, columns=_columns, bindings=_BINDINGS)
