"""The page of the clients: of all workers, or of the worker, service or address that the view is restricted to.

The host selects and sorts: of 20,000 clients only those that fit on a screen or two are sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reactorhost.dashboard.model.requests import HostRequest
from reactorhost.dashboard.model.snapshot import ConnectionRow, Snapshot
from reactorhost.dashboard.model.view import ClientKey, GroupKey, Key, Page, View
from reactorhost.dashboard.pages.host_keys import ask
from reactorhost.dashboard.pages.page import Binding, PageParts, Result, sort_columns
from reactorhost.dashboard.tables.client_table import columns_of
from reactorhost.dashboard.tables.row_window import hidden, row_lines, window
from reactorhost.dashboard.text.grid import SortColumn, grid
from reactorhost.dashboard.text.line import Line, Piece, cut, line
from reactorhost.dashboard.text.quantities import counted, number
from reactorhost.dashboard.text.styles import WARN
from reactorhost.ipc.connection_query import MOST_ROWS, ConnectionQuery, Grouping, Sort

_GROUPINGS: Sequence[Grouping | None] = (None, Grouping.PEER, Grouping.SERVICE)
_WORDS = {Grouping.PEER: "address", Grouping.SERVICE: "service"}


def clients_page(snapshot: Snapshot, view: View, width: int, height: int) -> list[Line]:
    """Return the number of the clients, and as many of them as fit."""
    if snapshot.link.source:
        return [line(("a recording has no clients", "dim"))]
    found = snapshot.connections
    if not _is_shown(snapshot, view):
        return [line(("waiting for the clients", "dim"))]
    lines = [cut(_title(snapshot, view), width)]
    if found.unanswered:
        silent = ", ".join(f"worker {slot} (pid {pid})" for slot, pid in found.unanswered)
        lines.append(cut(line((f"! without the clients of {silent}, which did not answer in time", WARN)), width))
    rows = found.rows
    keys = [_key(row) for row in rows]
    room = height - len(lines) - 1
    # Beyond the rows that were sent there may be more, which another order or a filter shows.
    count = found.matched if found.groups is None else found.groups
    unsent = count - len(rows)
    start, stop = window(keys, view.table.selected, max(room - (unsent > 0), 0))
    query = found.query or ConnectionQuery()
    headings, *drawn = grid(columns_of(query.group), rows[start:stop], width, sort=query.sort, inverted=query.reverse)
    lines.append(headings)
    for key, each in zip(keys[start:stop], drawn, strict=True):
        lines += row_lines([each], key, width, is_selected=key == view.table.selected)
    if stop - start < len(rows) or unsent > 0:
        lines.append(hidden(start, count - stop, width))
    return lines[: max(height, 0)]


def connection_query(view: View) -> ConnectionQuery | None:
    """Return what to request of the host for the page that is shown; None if it shows no clients."""
    focus = view.focus
    if view.page is Page.CLIENT and focus.client is not None:
        return ConnectionQuery(pid=focus.client.pid, id=focus.client.id, limit=1, rates=True)
    if view.page is not Page.CLIENTS:
        return None
    slot = None if focus.process is None else focus.process.slot
    # By the slot, not by the process: after a reload the successor of the worker has its clients.
    group = view.focus.group
    return ConnectionQuery(
        service=focus.service,
        peer=view.table.filter or focus.address,
        slot=slot,
        sort=_sort(view),
        reverse=view.table.inverted,
        limit=_limit(view),
        group=group,
        rates=True,
    )


def _limit(view: View) -> int:
    """Return how many rows are on the screen or above it: whole screens, so that few moves change the request."""
    rows, selected = view.size.rows, view.table.row or 0
    # The selected row stays in the middle, and the others scroll.
    screens = (selected + rows // 2) // rows + 1
    return min(screens * rows, MOST_ROWS)


def _sort(view: View) -> Sort:
    default = Sort.ID if view.focus.group is None else Sort.CONNECTIONS
    sort = view.table_of(Page.CLIENTS).sort
    known = {field.name for field in sort_columns(columns_of(view.focus.group))}
    return Sort(sort) if sort in known else default


def _is_shown(snapshot: Snapshot, view: View) -> bool:
    """Return whether the newest rows are of these clients. Those of another order stay until the new ones arrive."""
    found, wanted = snapshot.connections.query, connection_query(view)
    if found is None or wanted is None:
        return False
    return (found.slot, found.service, found.group) == (wanted.slot, wanted.service, wanted.group) and found.id is None


def _title(snapshot: Snapshot, view: View) -> Line:
    found = snapshot.connections
    # Of a worker that does not answer, the clients are not known.
    known = counted(found.matched, "client")
    pieces: list[Piece] = [(f"at least {known}" if found.unanswered else known, "bold")]
    if found.matched != found.total:
        pieces.append((f" of {number(found.total)}", ""))
    if found.groups is not None:
        one, several = ("service", "services") if view.focus.group is Grouping.SERVICE else ("address", "addresses")
        pieces.append((f", {found.groups:,} {one if found.groups == 1 else several}", ""))
    if view.focus.address is not None and not view.table.filter:
        pieces.append((f" from {view.focus.address}", ""))
    return line(*pieces)


def _key(row: ConnectionRow) -> Key:
    if "id" in row:
        return ClientKey(row["pid"], row["id"])
    group = Grouping.PEER if Grouping.PEER.value in row else Grouping.SERVICE
    return GroupKey(group, row[group.value])


def _keys(snapshot: Snapshot, view: View) -> Sequence[Key]:
    return [_key(row) for row in snapshot.connections.rows] if _is_shown(snapshot, view) else ()


def _columns(_snapshot: Snapshot, view: View) -> Sequence[SortColumn]:
    return sort_columns(columns_of(view.focus.group))


def _enter(snapshot: Snapshot, view: View, key: Key) -> View:
    if isinstance(key, ClientKey):
        peers = (str(row["peer"]) for row in snapshot.connections.rows if _key(row) == key)
        # The number alone is that of several clients: each worker counts its own.
        return view.enter(Page.CLIENT, next(peers, "") or f"client {key.id} of pid {key.pid}", client=key)
    # Peers of a unix socket have no address.
    if isinstance(key, GroupKey) and key.name:
        part = {"service": key.name} if key.group is Grouping.SERVICE else {"address": key.name}
        return view.enter(Page.CLIENTS, key.name, group=None, **part)
    return view


def _next_grouping(view: View, _snapshot: Snapshot) -> Result:
    group = _GROUPINGS[(_GROUPINGS.index(view.focus.group) + 1) % len(_GROUPINGS)]
    words = "clients, not grouped" if group is None else f"clients grouped by {_WORDS[group]}"
    shown = replace(view, focus=replace(view.focus, group=group), notice=words)
    return shown.with_table(selected=None, sort="", inverted=False), None


def _disconnect(view: View, snapshot: Snapshot) -> Result:
    """Ask whether the selected client, or the one that the page is about, is to be disconnected."""
    key = view.focus.client if view.page is Page.CLIENT else view.table.selected
    row = next((each for each in snapshot.connections.rows if _key(each) == key), None)
    if row is None or not isinstance(key, ClientKey):
        return replace(view, notice="select a client first"), None
    question = f"disconnect {row['peer']} of service {row['service']}, worker {row['slot']}"
    return ask(view, HostRequest("disconnect", question, (("pid", key.pid), ("id", key.id))))


DISCONNECT = Binding("x", "disconnect", "disconnect the client", _disconnect, changes=True)

PARTS = PageParts(
    clients_page,
    rows=_keys,
    enter=_enter,
    columns=_columns,
    bindings=(Binding("g", "group", "group by address, by service, or not", _next_grouping), DISCONNECT),
)
