"""The page of the clients: what it requests of the host, how it shows the rows, and its keys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from documents import client_row, document
from reactorhost.dashboard.live.keymap import press
from reactorhost.dashboard.model.requests import HostRequest
from reactorhost.dashboard.model.snapshot import Connections, Snapshot, following
from reactorhost.dashboard.model.view import ClientKey, Focus, GroupKey, Page, ProcessKey, View
from reactorhost.dashboard.pages.clients import PARTS, clients_page, connection_query
from reactorhost.dashboard.text.line import Line, Size
from reactorhost.ipc.connection_query import ConnectionQuery, Grouping, Sort

ROW = client_row(
    service="chat", peer="10.0.0.1:53422", queued_bytes=0, tls=None, in_per_second=1024.0, out_per_second=None
)
TLS = {"version": "TLSv1.3", "cipher": "TLS_AES", "server_name": "chat.example", "subject": "commonName=db"}
GROUP = {"peer": "10.0.0.1", **{name: ROW[name] for name in ("age_seconds", "idle_seconds", "bytes_in", "bytes_out")}}
GROUP |= {"queued_bytes": 0, "in_per_second": None, "out_per_second": None, "connections": 1200}
CLIENTS = View(page=Page.CLIENTS)
BY_PEER = View(page=Page.CLIENTS, focus=Focus(group=Grouping.PEER))


def shown(view: View, *rows: dict[str, Any], **fields: Any) -> Snapshot:
    fields = {"matched": len(rows), "total": len(rows), **fields}
    return replace(following(None, document(2)), connections=Connections(connection_query(view), rows, **fields))


def text(line: Line) -> str:
    return "".join(piece for piece, _ in line).rstrip()


def texts(snapshot: Snapshot, view: View = CLIENTS, width: int = 180, height: int = 20) -> list[str]:
    return [text(each) for each in clients_page(snapshot, view, width, height)]


@pytest.mark.parametrize(
    ("view", "query"),
    [
        (CLIENTS, ConnectionQuery(limit=24, rates=True)),
        (View(), None),
        (
            View(page=Page.CLIENTS, focus=Focus(service="chat", process=ProcessKey(3, 4246))),
            ConnectionQuery(service="chat", slot=3, limit=24, rates=True),
        ),
        (
            View.of(Page.CLIENTS, sort="rate_out", inverted=True, filter="10.0.0.0/8"),
            ConnectionQuery(peer="10.0.0.0/8", sort=Sort.RATE_OUT, reverse=True, limit=24, rates=True),
        ),
        (BY_PEER, ConnectionQuery(sort=Sort.CONNECTIONS, group=Grouping.PEER, limit=24, rates=True)),
        (
            View(page=Page.CLIENTS, focus=Focus(address="10.0.0.1")),
            ConnectionQuery(peer="10.0.0.1", limit=24, rates=True),
        ),
        # A column that groups do not have.
        (
            View.of(Page.CLIENTS, focus=Focus(group=Grouping.PEER), sort="id"),
            ConnectionQuery(sort=Sort.CONNECTIONS, group=Grouping.PEER, limit=24, rates=True),
        ),
        (
            View(page=Page.CLIENT, focus=Focus(client=ClientKey(4243, 17))),
            ConnectionQuery(pid=4243, id=17, limit=1, rates=True),
        ),
    ],
)
def test_the_host_selects_and_sorts_the_clients(view: View, query: ConnectionQuery | None) -> None:
    assert connection_query(view) == query


@pytest.mark.parametrize(
    ("rows", "selected", "limit"), [(24, None, 24), (40, 19, 40), (40, 20, 80), (1, 3, 4), (40, 990, 1000)]
)
def test_the_host_returns_the_clients_on_the_screen_and_above_it(rows: int, selected: int | None, limit: int) -> None:
    view = replace(View.of(Page.CLIENTS, row=selected), size=Size(80, rows))
    query = connection_query(view)
    assert query is not None
    assert query.limit == limit


def test_all_clients_can_be_reached_by_moving_down() -> None:
    clients = [{**ROW, "id": number} for number in range(300)]
    view = replace(CLIENTS, size=Size(120, 24))
    for _ in range(40):
        query = connection_query(view)
        assert query is not None
        snapshot = shown(view, *clients[: query.limit], matched=300, total=300)
        view, _ = press(view, "page down", snapshot)
    assert view.table.selected == ClientKey(ROW["pid"], 299)


def test_rows_have_rates_and_tls_facts() -> None:
    lines = texts(shown(CLIENTS, ROW, {**ROW, "id": 18, "tls": TLS}))
    assert lines[0] == "2 clients"
    assert lines[1].split()[:5] == ["PEER", "AGE", "IDLE", "IN/s", "OUT/s"]
    assert lines[2].split()[:5] == ["10.0.0.1:53422", "1m05s", "0.5s", "1.0K", "-"]
    assert lines[3].endswith("18  TLSv1.3, chat.example, commonName=db")


@pytest.mark.parametrize(("inverted", "mark"), [(False, "QUEUED▼"), (True, "QUEUED▲")])
def test_the_heading_shows_the_order(inverted: bool, mark: str) -> None:
    view = View.of(Page.CLIENTS, sort="queued", inverted=inverted)
    assert mark in texts(shown(view, ROW), view)[1]


def test_clients_that_were_not_sent_are_counted() -> None:
    lines = texts(shown(CLIENTS, ROW, {**ROW, "id": 18}, matched=18_000, total=18_500))
    assert lines[0] == "18,000 clients of 18,500"
    assert lines[-1] == "   … 17998 more"


def test_silent_workers_are_named_and_the_clients_of_the_others_shown() -> None:
    lines = texts(shown(CLIENTS, ROW, unanswered=((1, 4244),)))
    assert lines[1] == "! without the clients of worker 1 (pid 4244), which did not answer in time"
    assert "10.0.0.1:53422" in lines[3]


def test_rows_of_another_selection_are_not_shown() -> None:
    chat = View(page=Page.CLIENTS, focus=Focus(service="chat"))
    assert texts(shown(CLIENTS, ROW), chat) == ["waiting for the clients"]
    assert PARTS.rows(shown(CLIENTS, ROW), chat) == ()
    # Those of another order stay until the new ones arrive.
    assert "10.0.0.1:53422" in texts(shown(CLIENTS, ROW), View.of(Page.CLIENTS, sort="age"))[2]


def test_clients_are_grouped_and_a_group_can_be_entered() -> None:
    snapshot = shown(CLIENTS, ROW)
    view, _ = press(CLIENTS, "g", snapshot)
    assert (view.focus.group, view.notice) == (Grouping.PEER, "clients grouped by address")
    grouped = shown(view, GROUP, groups=1, matched=1200, total=1200)
    lines = texts(grouped, view)
    assert lines[0] == "1,200 clients, 1 address"
    assert lines[1].split()[:2] == ["ADDRESS", "CLIENTS▼"]
    assert lines[2].split()[:3] == ["10.0.0.1", "1,200", "1m05s"]
    assert PARTS.rows(grouped, view) == [GroupKey(Grouping.PEER, "10.0.0.1")]
    inside, _ = press(view, "enter", grouped)
    assert connection_query(inside) == ConnectionQuery(peer="10.0.0.1", limit=24, rates=True)
    assert texts(shown(inside, ROW, total=9), inside)[0] == "1 client of 9 from 10.0.0.1"
    assert inside.back().focus.group is Grouping.PEER
    by_service, _ = press(view, "g", grouped)
    assert by_service.focus.group is Grouping.SERVICE
    assert press(by_service, "g", grouped)[0].focus.group is None


def test_a_group_of_a_service_leads_to_its_clients() -> None:
    view = View(page=Page.CLIENTS, focus=Focus(group=Grouping.SERVICE))
    rows = {"service": "chat", **{name: value for name, value in GROUP.items() if name != "peer"}}
    inside, _ = press(view, "enter", shown(view, rows, groups=1))
    assert connection_query(inside) == ConnectionQuery(service="chat", limit=24, rates=True)


def test_a_client_is_disconnected_after_a_question() -> None:
    snapshot = shown(CLIENTS, ROW)
    assert press(CLIENTS, "x", snapshot)[0].notice == "select a client first"
    selected = CLIENTS.with_table(selected=ClientKey(4243, 17))
    asked, request = press(selected, "x", snapshot)
    assert request is None
    assert asked.pending is not None
    assert asked.pending.question == "disconnect 10.0.0.1:53422 of service chat, worker 0"
    _, request = press(asked, "y", snapshot)
    assert isinstance(request, HostRequest)
    assert (request.verb, dict(request.fields)) == ("disconnect", {"pid": 4243, "id": 17})
    assert press(replace(selected, read_only=True), "x", snapshot)[0].pending is None


@pytest.mark.parametrize("width", [20, 40, 80, 120, 200])
def test_the_most_important_columns_are_left_on_a_narrow_screen(width: int) -> None:
    heading = texts(shown(CLIENTS, ROW), width=width)[1]
    assert heading.startswith("PEER")
    assert ("IN/s" in heading, "TLS" in heading) == (width >= 60, width >= 140)


def test_the_clients_of_a_silent_worker_are_not_counted_as_none() -> None:
    assert texts(shown(CLIENTS, unanswered=((0, 4243),)))[0] == "at least 0 clients"


def test_every_column_fits_into_80_cells_and_a_row_into_the_least_height() -> None:
    rows = [{**ROW, "id": number} for number in range(9)]
    assert "…" not in texts(shown(CLIENTS, *rows), width=80)[1]
    assert texts(shown(CLIENTS, *rows), width=40, height=3)[2].startswith("10.0.0.1:53422")


@pytest.mark.parametrize("width", [48, 60, 70, 80, 90, 96, 120])
def test_no_column_of_groups_is_cut(width: int) -> None:
    assert "…" not in texts(shown(BY_PEER, GROUP, groups=1), BY_PEER, width=width)[1]
