"""Lists of connections: which workers are asked, and what is made of their answers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import pytest

from reactorhost.errors import UsageError
from reactorhost.ipc.messages import Message
from reactorhost.master.admin.client_commands import ClientCommands
from reactorhost.master.plan.worker_table import WorkerRecord, WorkerState
from reactorhost.master.workers.requests import WorkerRequests
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller

STATES = (WorkerState.READY, WorkerState.DRAINING, WorkerState.STARTING)
DONE = {"matched": 0, "total": 0, "last": True}


class Host:
    """Three workers, of which one boots; the test answers for them."""

    def __init__(self) -> None:
        self.clock = FakeClock(100.0)
        reactor = Reactor(FakePoller(self.clock), self.clock)
        self.beats: dict[int, float] = {}
        self.orders: dict[int, Message] = {}
        pool: Any = Mock(order=lambda pid, order, descriptors: self.orders.update({pid: order}))
        self.requests = WorkerRequests(reactor, pool)
        workers = {
            70 + slot: WorkerRecord(70 + slot, slot, 1, 0.0, state, 0.0, None) for slot, state in enumerate(STATES)
        }
        context: Any = SimpleNamespace(
            reactor=reactor,
            requests=self.requests,
            planner=SimpleNamespace(workers=workers),
            monitor=SimpleNamespace(heartbeats=lambda: self.beats),
        )
        self.commands = ClientCommands(context)
        self.session = Mock()

    def ask(self, **query: Any) -> None:
        self.commands.connections(self.session, {"verb": "connections", **query})

    def answer(self, pid: int, *rows: Message, **fields: Any) -> None:
        number = self.orders[pid]["request"]
        self.requests.answered(pid, {"request": number, "rows": [*rows], **DONE, **fields})

    @property
    def rows(self) -> list[Message]:
        """All rows that the client got."""
        return [row for call in self.session.rows.call_args_list for row in call.args[0]]

    @property
    def result(self) -> Message:
        """The end of the reply."""
        return cast("Message", self.session.done.call_args.kwargs)


@pytest.fixture
def host() -> Host:
    return Host()


def row(number: int, bytes_in: int) -> Message:
    return {"id": number, "peer": f"10.0.0.{number}:5", "bytes_in": bytes_in}


def test_the_first_rows_of_all_workers_are_sent_in_their_order(host: Host) -> None:
    host.ask(sort="in", limit=3)
    query = {"sort": "in", "limit": 3}
    assert {pid: order["query"] for pid, order in host.orders.items()} == {70: query, 71: query}
    host.answer(70, row(1, 9), row(2, 5), last=False)
    host.answer(70, row(3, 4), matched=7, total=8)
    host.answer(71, row(1, 20), row(2, 4), matched=2, total=2)
    assert [(each["slot"], each["pid"], each["id"]) for each in host.rows] == [(1, 71, 1), (0, 70, 1), (0, 70, 2)]
    assert host.result == {"unanswered": [], "matched": 9, "total": 10, "groups": None}


def test_without_a_limit_rows_are_passed_on_when_they_arrive(host: Host) -> None:
    host.ask()
    host.answer(71, row(1, 0), last=False)
    assert host.rows == [{"slot": 1, "pid": 71, **row(1, 0)}]
    assert not host.session.done.called


def test_groups_of_several_workers_are_added_up(host: Host) -> None:
    host.ask(group="peer", limit=1)
    numbers = {"bytes_in": 1, "bytes_out": 2, "queued_bytes": 3, "age_seconds": 4.0, "idle_seconds": 5.0}
    host.answer(70, {"peer": "a", "connections": 1, **numbers}, {"peer": "b", "connections": 2, **numbers})
    host.answer(71, {"peer": "a", "connections": 3, **numbers})
    assert [(each["peer"], each["connections"], each["bytes_in"]) for each in host.rows] == [("a", 4, 2)]
    assert host.result["groups"] == 2


@pytest.mark.parametrize(
    ("query", "pids"), [({"slot": 0}, [70]), ({"pid": 71}, [71]), ({"slot": 0, "pid": 71}, []), ({"slot": 2}, [])]
)
def test_only_the_workers_of_the_query_are_asked(host: Host, query: dict[str, int], pids: list[int]) -> None:
    host.ask(**query)
    assert list(host.orders) == pids
    for pid in pids:
        host.answer(pid)
    assert host.result == {"unanswered": [], "matched": 0, "total": 0, "groups": None}


def test_a_worker_whose_loop_stands_still_is_named_at_once_and_gets_no_order(host: Host) -> None:
    host.beats = {70: 97.0, 71: 99.0}
    host.ask(limit=5)
    assert list(host.orders) == [71]
    host.answer(71, row(4, 1), matched=1, total=1)
    assert [each["id"] for each in host.rows] == [4]
    assert host.result["unanswered"] == [{"slot": 0, "pid": 70}]


def test_a_worker_that_ends_meanwhile_is_not_named(host: Host) -> None:
    host.ask(limit=5)
    del host.commands.context.planner.workers[70]
    host.requests.worker_ended(70)
    host.answer(71)
    assert host.result["unanswered"] == []


def test_a_worker_of_an_earlier_version_has_not_answered_the_query(host: Host) -> None:
    host.ask(group="peer")
    host.requests.answered(70, {"request": 1, "rows": [row(1, 1)], "last": True})
    host.answer(71)
    assert host.rows == []
    assert host.result["unanswered"] == [{"slot": 0, "pid": 70}]


def test_a_wrong_query_is_refused_before_any_worker_is_asked(host: Host) -> None:
    with pytest.raises(UsageError):
        host.ask(sort="name")
    assert host.orders == {}
