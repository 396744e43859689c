"""Workers that use the bus get the ends of one pair of sockets for each other worker that does."""

from __future__ import annotations

import errno
import itertools
import logging
import socket
from collections.abc import Sequence
from typing import Any, cast

import pytest

from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Order, Report
from reactorhost.logs import EventLog
from reactorhost.master.workers.introductions import RETRY_SECONDS, Introductions
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller


class End:
    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = False

    def fileno(self) -> str:
        return self.name

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None:
        self.closed = True


class Host:
    """A pool that records orders, and pairs of sockets as long as there are descriptors."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.reactor = Reactor(FakePoller(self.clock), self.clock)
        self.handlers: dict[str, Any] = {}
        self.orders: list[tuple[int, Message, list[str]]] = []
        self.ends: list[End] = []
        self.pairs = itertools.count(1)
        self.refused: set[int] = set()
        self.full = False
        self.running = [70]
        self.introductions = Introductions(self.reactor, cast("Any", self), EventLog(logging.getLogger("reactorhost")))

    def on(self, report: Report, handler: Any) -> None:
        self.handlers[report] = handler

    def pids(self) -> list[int]:
        return self.running

    def order(self, pid: int, message: Message, descriptors: Sequence[str] = ()) -> None:
        assert all(not end.closed for end in self.ends if end.name in descriptors)
        if pid in self.refused:
            raise OSError(errno.EMFILE, "Too many open files")
        self.orders.append((pid, message, list(descriptors)))

    def socketpair(self) -> tuple[End, End]:
        if self.full:
            raise OSError(errno.EMFILE, "Too many open files")
        number = next(self.pairs)
        ends = End(f"{number}a"), End(f"{number}b")
        self.ends += ends
        return ends

    def uses_bus(self, pid: int) -> list[tuple[object, ...]]:
        self.handlers[Report.USES_BUS](pid, {"report": Report.USES_BUS})
        return self.take()

    def take(self) -> list[tuple[object, ...]]:
        """Return the orders since the last call: process, order, the other one, its end, and `late`."""
        taken, self.orders = self.orders, []
        assert all(end.closed for end in self.ends)
        return [(pid, order["order"], order.get("pid"), *ends, order.get("late")) for pid, order, ends in taken]

    def retry(self) -> list[tuple[object, ...]]:
        self.clock.now += RETRY_SECONDS
        self.reactor.turn(0)
        return self.take()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host()
    monkeypatch.setattr(socket, "socketpair", made.socketpair)
    return made


def introduced(first: int, second: int, pair: int, *, late: bool = False) -> list[tuple[object, ...]]:
    return [(first, Order.INTRODUCE, second, f"{pair}a", late), (second, Order.INTRODUCE, first, f"{pair}b", late)]


def test_each_worker_is_introduced_to_those_before_it(host: Host) -> None:
    assert host.uses_bus(70) == [(70, Order.ALL_INTRODUCED, None, None)]
    assert host.uses_bus(71) == [*introduced(71, 70, 1), (71, Order.ALL_INTRODUCED, None, None)]
    assert host.uses_bus(72) == [
        *introduced(72, 70, 2),
        *introduced(72, 71, 3),
        (72, Order.ALL_INTRODUCED, None, None),
    ]


def test_the_first_use_makes_all_other_workers_begin(host: Host) -> None:
    host.running = [70, 71, 72]
    assert host.uses_bus(71) == [
        (71, Order.ALL_INTRODUCED, None, None),
        (70, Order.USE_BUS, None, None),
        (72, Order.USE_BUS, None, None),
    ]
    assert host.uses_bus(70) == [*introduced(70, 71, 1), (70, Order.ALL_INTRODUCED, None, None)]


def test_the_bus_is_used_as_long_as_one_of_its_users_runs(host: Host) -> None:
    used = [host.introductions.bus_used]
    for pid in (70, 71):
        host.uses_bus(pid)
        used.append(host.introductions.bus_used)
    for pid in (70, 71):
        host.introductions.worker_ended(pid)
        used.append(host.introductions.bus_used)
    assert used == [False, True, True, True, False]


def test_another_program_continues_with_the_use_of_the_bus(host: Host) -> None:
    host.uses_bus(70)
    state = host.introductions.export()
    host.introductions.worker_ended(70)
    host.introductions.restore(state)
    assert host.introductions.bus_used


def test_a_worker_that_has_ended_is_introduced_to_none(host: Host) -> None:
    host.uses_bus(70)
    host.uses_bus(71)
    host.introductions.worker_ended(70)
    host.introductions.worker_ended(99)
    assert host.uses_bus(72) == [*introduced(72, 71, 2), (72, Order.ALL_INTRODUCED, None, None)]


def test_a_pair_without_descriptors_in_the_master_is_introduced_late(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    host.uses_bus(70)
    host.full = True
    assert host.uses_bus(71) == [(71, Order.ALL_INTRODUCED, None, None)]
    assert host.retry() == []
    host.full = False
    assert host.retry() == introduced(71, 70, 1, late=True)
    assert [record.getMessage() for record in caplog.records] == ["introductions_delayed"]


def test_a_pair_of_which_one_end_cannot_be_sent_is_introduced_again(host: Host) -> None:
    host.uses_bus(70)
    host.refused = {70}
    sent = [(71, Order.INTRODUCE, 70, "1a", False), (71, Order.ALL_INTRODUCED, None, None)]
    assert host.uses_bus(71) == sent
    host.refused = set()
    assert host.retry() == introduced(71, 70, 2, late=True)


def test_a_worker_that_has_no_descriptor_left_is_introduced_late(host: Host) -> None:
    host.uses_bus(70)
    host.uses_bus(71)
    host.handlers[Report.NOT_INTRODUCED](70, {"report": Report.NOT_INTRODUCED, "pid": 71})
    assert host.retry() == introduced(70, 71, 2, late=True)
    # That is over: a later shortage is logged again.
    host.handlers[Report.NOT_INTRODUCED](71, {"report": Report.NOT_INTRODUCED, "pid": 70})
    assert host.retry() == introduced(71, 70, 3, late=True)


@pytest.mark.parametrize("ended", [70, 71])
def test_a_pair_of_which_one_ends_is_not_introduced_again(host: Host, ended: int) -> None:
    host.uses_bus(70)
    host.full = True
    host.uses_bus(71)
    host.introductions.worker_ended(ended)
    host.full = False
    assert host.retry() == []


def test_a_report_about_a_worker_that_has_ended_is_ignored(host: Host) -> None:
    host.uses_bus(70)
    host.handlers[Report.NOT_INTRODUCED](70, {"report": Report.NOT_INTRODUCED, "pid": 71})
    host.clock.now += RETRY_SECONDS
    assert host.reactor.wait_seconds(host.clock.now) > RETRY_SECONDS
