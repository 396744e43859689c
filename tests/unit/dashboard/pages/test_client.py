"""The page of one client: rates, TLS facts, and what waits for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from documents import client_row, document
from reactorhost.dashboard.model.snapshot import Connections, following
from reactorhost.dashboard.model.view import ClientKey, Focus, Page, View
from reactorhost.dashboard.pages.client import client_page
from reactorhost.dashboard.pages.clients import connection_query
from reactorhost.dashboard.text.line import Piece
from reactorhost.dashboard.text.styles import WARN

VIEW = View(page=Page.CLIENT, focus=Focus(client=ClientKey(4243, 17)))
TLS = {"version": "TLSv1.3", "cipher": "TLS_AES_128", "server_name": None, "subject": "commonName=db"}
ROW = client_row(service="chat", peer="10.0.0.1:53422", tls=TLS, in_per_second=1024.0, out_per_second=None)


def shown(*rows: dict[str, Any]) -> list[tuple[Piece, ...]]:
    snapshot = replace(following(None, document(2)), connections=Connections(connection_query(VIEW), rows))
    return client_page(snapshot, VIEW, 80)


def test_a_client_has_rates_and_tls_facts() -> None:
    texts = ["".join(text for text, _ in each).rstrip() for each in shown(ROW)]
    assert texts == [
        "client        10.0.0.1:53422, number 17",
        "service       chat",
        "worker        slot 0, pid 4243",
        "state         open",
        "open          1m05s",
        "idle          0.5s",
        "in            1.0K/s, 10 in all",
        "out           2.0K in all",
        "queued        900",
        "tls           TLSv1.3",
        "cipher        TLS_AES_128",
        "certificate   commonName=db",
    ]
    assert ("900", WARN) in shown(ROW)[8]


def test_a_client_that_has_ended_is_gone() -> None:
    assert shown() == [(("this client is gone", "dim"),)]
    assert shown({**ROW, "id": 18}) == [(("this client is gone", "dim"),)]
    assert len(shown({**ROW, "tls": None})) == 9


def test_a_client_of_a_worker_that_does_not_answer_is_not_called_gone() -> None:
    found = Connections(connection_query(VIEW), (), unanswered=((0, 4243),))
    snapshot = replace(following(None, document(2)), connections=found)
    assert client_page(snapshot, VIEW, 80) == [(("the worker of this client (pid 4243) did not answer in time", WARN),)]
