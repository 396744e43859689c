"""The connections of a worker that a query selects, found a part in each turn of the loop."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from reactorhost.address import Endpoint
from reactorhost.ipc.messages import Message
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller, turn
from reactorhost.tls.facts import TlsFacts
from reactorhost.worker.monitor.connection_list import ConnectionLists
from reactorhost.worker.stream.closing import CloseState


def transport(number: int, peer: str = "127.0.0.1", *, active_at: float = 0.0, **fields: Any) -> Any:
    made = {
        "service": "default",
        "peer": Endpoint(peer, 5000 + number),
        "age": 60.0,
        "bytes_in": number * 10,
        "bytes_out": 0,
        "queued": 0,
        "tls": None,
    }
    connection = SimpleNamespace(id=number, **{**made, **fields})
    return SimpleNamespace(connection=connection, active_at=active_at, close_state=CloseState.OPEN)


class Lists:
    """The lists of a worker on a reactor whose clock the test moves."""

    def __init__(self, *transports: Any) -> None:
        self.clock = FakeClock(100.0)
        self.poller = FakePoller(self.clock)
        self.reactor = Reactor(self.poller, self.clock)
        self.reports: list[Message] = []
        self.lists = ConnectionLists(self.reactor, self.reports.append)
        self.transports = transports
        self.turns = 0

    def ask(self, **fields: Any) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        self.reports.clear()
        # The order arrives in a turn.
        turn(self.reactor, self.poller)
        self.lists.answer(self.transports, {"request": 4, "query": fields})
        self.turns = 0
        while not self.reports or not self.reports[-1]["last"]:
            self.turns += 1
            turn(self.reactor, self.poller)
        assert {report["request"] for report in self.reports} == {4}
        assert [report["last"] for report in self.reports] == [False] * (len(self.reports) - 1) + [True]
        return [row for report in self.reports for row in report["rows"]]

    def ids(self, **fields: Any) -> list[int]:
        """Return the ids of a query that has a limit."""
        return [row["id"] for row in self.ask(**fields)]

    @property
    def counts(self) -> tuple[int, int]:
        """How many connections the last query matched, of how many."""
        return self.reports[-1]["matched"], self.reports[-1]["total"]


def test_a_row_has_everything_that_is_known_of_a_connection() -> None:
    subject = ((("organizationName", "Example"),), (("commonName", "db"),))
    tls = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", None, "db.example", {"subject": subject})
    lists = Lists(transport(3, "::1", active_at=97.5, age=12.3456, bytes_out=7, queued=9, tls=tls))
    assert lists.ask() == [
        {
            "id": 3,
            "service": "default",
            "peer": "[::1]:5003",
            "age_seconds": 12.346,
            "idle_seconds": 2.5,
            "bytes_in": 30,
            "bytes_out": 7,
            "queued_bytes": 9,
            "state": "open",
            "tls": {
                "version": "TLSv1.3",
                "cipher": "TLS_AES_256_GCM_SHA384",
                "server_name": "db.example",
                "subject": "organizationName=Example, commonName=db",
            },
        }
    ]
    assert lists.counts == (1, 1)


@pytest.mark.parametrize("size", [0, 1, 49, 50, 51, 1000])
def test_without_a_limit_all_are_listed_over_several_turns(size: int) -> None:
    lists = Lists(*map(transport, range(size)))
    assert [row["id"] for row in lists.ask()] == [*range(size)]
    assert lists.counts == (size, size)
    assert max(len(report["rows"]) for report in lists.reports) <= 50


def test_a_turn_looks_at_some_connections_only_and_rows_are_made_of_the_first_ones() -> None:
    lists = Lists(*(transport(number, active_at=number % 977 / 10) for number in range(20_000)))
    rows = lists.ask(sort="idle", limit=60)
    assert len(rows) == 60
    assert {row["idle_seconds"] for row in rows} <= {100.0, 99.9, 99.8}
    assert lists.turns >= 100
    assert lists.counts == (20_000, 20_000)
    assert sum(len(report["rows"]) for report in lists.reports) == 60


@pytest.mark.parametrize(
    ("fields", "ids"),
    [
        ({"sort": "id"}, [1, 2]),
        ({"sort": "id", "reverse": True}, [4, 3]),
        ({"sort": "peer"}, [3, 4]),
        ({"sort": "age"}, [2, 1]),
        ({"sort": "age", "reverse": True}, [3, 4]),
        ({"sort": "idle"}, [4, 2]),
        ({"sort": "idle", "reverse": True}, [1, 3]),
        ({"sort": "in"}, [4, 3]),
        ({"sort": "out"}, [2, 1]),
        ({"sort": "queued"}, [3, 2]),
    ],
)
def test_the_first_ones_in_the_order_are_sent(fields: dict[str, Any], ids: list[int]) -> None:
    lists = Lists(
        transport(1, "10.0.0.9", active_at=99.0, age=60.0, bytes_out=3),
        transport(2, "10.0.0.8", active_at=10.0, age=80.0, bytes_out=5, queued=1),
        transport(3, "10.0.0.1", active_at=50.0, age=1.0, queued=8),
        transport(4, "10.0.0.7", active_at=5.0, age=2.0),
    )
    assert lists.ids(limit=2, **fields) == ids


@pytest.mark.parametrize(
    ("fields", "ids"),
    [
        ({"service": "chat"}, [3]),
        ({"service": "cha"}, []),
        ({"id": 2}, [2]),
        ({"peer": "10.0.0.1"}, [1]),
        ({"peer": "10.0.0.0/28"}, [1, 2]),
        ({"peer": "10.0.0.5/28"}, [1, 2]),
        ({"peer": "::/0"}, [4]),
        ({"peer": "10.0.0."}, [1, 2]),
        ({"peer": ":5004"}, [4]),
        ({"peer": "UNIX"}, [3]),
        ({"peer": "10.0.0.", "id": 1}, [1]),
        ({"peer": "10.0.0.", "service": "chat"}, []),
    ],
)
def test_only_what_matches_is_listed(fields: dict[str, Any], ids: list[int]) -> None:
    lists = Lists(
        transport(1, "10.0.0.1"),
        transport(2, "10.0.0.10"),
        transport(3, "unix", service="chat"),
        transport(4, "2001:db8::1"),
    )
    assert lists.ids(**fields) == ids
    assert lists.counts == (len(ids), 4)
    assert lists.ids(limit=9, **fields) == ids


def test_groups_are_sums_of_what_matches() -> None:
    lists = Lists(
        transport(1, "10.0.0.1", active_at=99.0, age=5.0),
        transport(2, "10.0.0.1", active_at=90.0, age=50.0, queued=4),
        transport(3, "10.0.0.2", service="chat"),
        transport(4, "10.0.0.3", service="chat"),
    )
    (group, *_) = lists.ask(group="peer", limit=1)
    assert group == {
        "peer": "10.0.0.1",
        "connections": 2,
        "age_seconds": 50.0,
        "idle_seconds": 1.0,
        "bytes_in": 30,
        "bytes_out": 0,
        "queued_bytes": 4,
    }
    by_service = {row["service"]: row["connections"] for row in lists.ask(group="service")}
    assert by_service == {"default": 2, "chat": 2}
    assert [row["service"] for row in lists.ask(group="service", service="chat")] == ["chat"]


def test_the_limit_does_not_cut_groups_that_other_workers_may_have_too() -> None:
    lists = Lists(*(transport(number, f"10.0.{number // 250}.{number % 250}") for number in range(500)))
    assert len(lists.ask(group="peer", limit=10)) == 500
    # All the same, a worker does not send a group for each of 20,000 clients.
    many = Lists(*(transport(number, f"10.0.{number // 250}.{number % 250}") for number in range(3000)))
    found = many.ask(group="peer", sort="in", limit=10)
    assert [row["bytes_in"] for row in found] == [number * 10 for number in range(2999, 1999, -1)]
    # Sorting is divided among turns too: one for each 50 connections, one for each 200 groups, one for each 50 rows.
    assert many.turns == 60 + 15 + 20


def test_rates_are_those_since_the_list_before() -> None:
    quiet, busy = transport(1), transport(2)
    lists = Lists(quiet, busy)
    assert [row["in_per_second"] for row in lists.ask(rates=True)] == [None, None]
    lists.clock.now += 2.0
    busy.connection.bytes_in += 500
    busy.connection.bytes_out += 40
    rows = lists.ask(rates=True)
    assert [(row["in_per_second"], row["out_per_second"]) for row in rows] == [(0.0, 0.0), (250.0, 20.0)]
    busy.connection.bytes_in += 10
    lists.clock.now += 1.0
    assert lists.ids(sort="rate_in", limit=1) == [2]
    busy.connection.bytes_out += 10
    lists.clock.now += 1.0
    assert lists.ids(sort="rate_out", limit=1) == [2]
    busy.connection.bytes_out += 10
    lists.clock.now += 1.0
    assert lists.ids(sort="rate_out", limit=1, reverse=True) == [1]
    (group,) = lists.ask(group="service", rates=True)
    assert group["out_per_second"] is not None
    assert "in_per_second" not in lists.ask()[0]


def test_a_list_of_other_connections_does_not_end_the_rates() -> None:
    lists = Lists(transport(1), transport(2, service="chat"))
    lists.ask(rates=True, service="chat")
    lists.clock.now += 1.0
    [row] = lists.ask(rates=True, service="default")
    assert row["in_per_second"] == 0.0


def test_a_master_of_an_earlier_version_is_sent_all_rows() -> None:
    lists = Lists(transport(1), transport(2))
    lists.lists.answer(lists.transports, {"request": 3})
    while not lists.reports or not lists.reports[-1]["last"]:
        turn(lists.reactor, lists.poller)
    assert [row["id"] for report in lists.reports for row in report["rows"]] == [1, 2]


def test_a_query_of_a_later_version_is_not_answered() -> None:
    lists = Lists(transport(1))
    lists.lists.answer(lists.transports, {"request": 3, "query": {"sort": "colour", "limit": 4}})
    turn(lists.reactor, lists.poller)
    assert lists.reports == []
