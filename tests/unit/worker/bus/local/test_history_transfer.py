"""Tests of how a worker that starts reads the histories of others."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable

import pytest

from reactorhost.bus.backend import Keep
from reactorhost.bus.history import Entry, Histories
from reactorhost.bus.history_pages import Page, PageRequest, decoded, encoded_page, encoded_request
from reactorhost.bus.refs import Origin
from reactorhost.reactor import Reactor
from reactorhost.testing import fakes
from reactorhost.testing.fakes import FakeClock, FakePoller
from reactorhost.worker.bus.contract import THE_WORKER
from reactorhost.worker.bus.local.history_transfer import (
    PAGE_BYTES,
    PAGE_SECONDS,
    START_SECONDS,
    HistoryTransfer,
    TransferState,
)

HOST = b"host----"


class Network:
    """Workers that send each other requests and pages; those in `silent` do not answer."""

    def __init__(self) -> None:
        self.clock = FakeClock(100.0)
        self.poller = FakePoller(self.clock)
        self.reactor = Reactor(self.poller, self.clock)
        self.workers: dict[Origin, Worker] = {}
        self.silent: set[Origin] = set()
        self.sent: deque[tuple[Origin, bytes]] = deque()
        self.largest = 0
        self.requests: list[tuple[Origin, PageRequest]] = []

    def worker(self, number: int, kept: Iterable[int] = (), host: bytes = HOST, pattern: str = "g:*") -> Worker:
        """Return a new worker, with messages of the second worker in its ring."""
        worker = Worker(self, Origin(host, b"worker-%d" % number), pattern)
        worker.keeps("g:x", 2, kept)
        self.workers[worker.origin] = worker
        return worker

    def run(self) -> None:
        """Deliver everything that was sent."""
        while self.sent:
            to, data = self.sent.popleft()
            self.largest = max(self.largest, len(data))
            message = decoded(data)
            if isinstance(message, PageRequest):
                self.requests.append((to, message))
            if to in self.workers and to not in self.silent:
                self.workers[to].transfer.received(data)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.now += seconds
        while fakes.turn(self.reactor, self.poller):
            pass
        self.run()

    def requested(self) -> list[tuple[int, bool]]:
        """Return the transfers that have begun: the worker that is read, and whether only what it has published."""
        return [(int(to.worker[-1:]), request.own) for to, request in self.requests if request.begins]


class Worker:
    """One worker."""

    def __init__(self, network: Network, origin: Origin, pattern: str) -> None:
        self.network = network
        self.origin = origin
        self.histories = Histories()
        self.histories.keep(pattern, Keep(1000))
        self.times_ready = 0
        self.transfer = HistoryTransfer(origin, network.reactor, self.histories, self.become_ready)
        self.transfer.outbound = self  # type: ignore[assignment]

    def become_ready(self) -> None:
        self.times_ready += 1

    def keeps(self, key: str, publisher: int, numbers: Iterable[int], data: bytes = b"") -> None:
        for number in numbers:
            entry = Entry(HOST + b"worker-%d" % publisher, number, data or b"%d.%d" % (publisher, number))
            self.histories.add(key, entry, self.network.clock.now)

    def to_connection(self, origin: Origin, number: int, data: bytes | None) -> bool:
        assert number == THE_WORKER
        assert data is not None
        self.network.sent.append((origin, data))
        return origin in self.network.workers

    def push(self, messages: Iterable[bytes], unless: Container[Origin]) -> None:
        targets = [each for each in self.network.workers if each != self.origin and each not in unless]
        if targets:
            self.network.sent += [(each, message) for message in messages for each in targets]

    def knows(self, *others: Worker) -> None:
        for other in others:
            self.transfer.peer_known(other.origin)

    def newest(self, key: str = "g:x") -> list[bytes]:
        return self.histories.newest(key, 1000, self.network.clock.now)


def started(network: Network, *others: Worker) -> Worker:
    """Return a worker that starts when the others are there."""
    new = network.worker(1)
    new.transfer.begin()
    new.knows(*others)
    new.transfer.introduced()
    network.run()
    return new


def finished(worker: Worker) -> Worker:
    worker.transfer.begin()
    worker.transfer.introduced()
    return worker


def test_a_worker_without_others_is_ready_at_once() -> None:
    network = Network()
    new = network.worker(1)
    new.transfer.introduced()
    assert new.times_ready == 0
    new.transfer.begin()
    assert new.transfer.state is TransferState.READY
    new.transfer.begin()
    assert new.times_ready == 1


def test_everything_is_read_from_one_worker_and_from_the_others_what_they_have_published() -> None:
    network = Network()
    third, second = finished(network.worker(3, [1, 2])), finished(network.worker(2, [1, 2, 3]))
    third.keeps("g:x", 9, [5])
    new = started(network, third, second)
    assert network.requested() == [(3, False), (2, True)]
    assert new.newest() == [b"2.1", b"2.2", b"2.3", b"9.5"]
    assert new.times_ready == 1


@pytest.mark.parametrize("begins_first", [True, False])
def test_it_does_not_matter_whether_others_are_known_before_something_is_kept(begins_first: bool) -> None:
    network = Network()
    second = finished(network.worker(2, [1]))
    new = network.worker(1)
    if begins_first:
        new.transfer.begin()
    new.knows(second)
    new.knows(second)
    new.transfer.introduced()
    network.run()
    new.transfer.begin()
    network.run()
    assert new.newest() == [b"2.1"]
    assert network.requested() == [(2, False)]


def test_another_one_is_read_when_the_first_has_just_started_itself() -> None:
    network = Network()
    third, second = network.worker(3, [4]), finished(network.worker(2, [1, 2]))
    new = started(network, third, second)
    assert network.requested() == [(3, False), (2, False)]
    assert new.newest() == [b"2.1", b"2.2", b"2.4"]


def test_workers_that_start_together_are_ready() -> None:
    network = Network()
    workers = [network.worker(number) for number in (1, 2, 3)]
    for worker in workers:
        worker.transfer.begin()
        worker.knows(*(other for other in workers if other is not worker))
        worker.transfer.introduced()
    network.run()
    assert [worker.times_ready for worker in workers] == [1, 1, 1]


def test_a_worker_that_does_not_answer_is_skipped() -> None:
    network = Network()
    third, second = finished(network.worker(3)), finished(network.worker(2, [1, 2]))
    network.silent.add(third.origin)
    new = started(network, third, second)
    network.wait(PAGE_SECONDS - 0.1)
    assert new.times_ready == 0
    network.wait(0.2)
    assert new.newest() == [b"2.1", b"2.2"]
    assert new.times_ready == 1
    # Once more, in case that its answer was dropped.
    for _ in range(3):
        network.wait(PAGE_SECONDS + 0.1)
    assert network.requested() == [(3, False), (2, False), (3, True)]


def test_a_worker_that_answers_the_second_time_is_read() -> None:
    network = Network()
    second = finished(network.worker(2, [1, 2]))
    network.silent.add(second.origin)
    new = started(network, second)
    network.silent.clear()
    network.wait(PAGE_SECONDS + 0.1)
    assert new.times_ready == 1
    assert network.requested() == [(2, False), (2, False)]
    assert new.newest() == [b"2.1", b"2.2"]


def test_another_one_is_read_when_the_first_ends_in_the_middle() -> None:
    network = Network()
    third, second = finished(network.worker(3)), finished(network.worker(2))
    for worker in (third, second):
        for number in range(6):
            worker.keeps(f"g:{number}", 9, range(1, 4), b"x" * 60_000)
    new = network.worker(1)
    new.transfer.begin()
    new.knows(third, second)
    new.transfer.introduced()
    # The request, a page, and the next request.
    for _ in range(2):
        to, data = network.sent.popleft()
        network.workers[to].transfer.received(data)
    del network.workers[third.origin]
    new.transfer.peer_gone(third.origin)
    network.run()
    assert new.times_ready == 1
    assert all(len(new.newest(f"g:{number}")) == 3 for number in range(6))


@pytest.mark.parametrize("known_before", [True, False])
def test_a_worker_that_is_gone_is_not_read(known_before: bool) -> None:
    network = Network()
    third, second = finished(network.worker(3)), finished(network.worker(2))
    network.silent.add(second.origin)
    new = network.worker(1)
    if known_before:
        new.knows(second, third)
        new.transfer.begin()
    else:
        new.transfer.begin()
        new.knows(second, third)
    new.transfer.peer_gone(third.origin)
    new.transfer.introduced()
    network.wait(PAGE_SECONDS + 0.1)
    assert {number for number, _ in network.requested()} == {2}
    assert new.times_ready == 1


def test_a_worker_that_cannot_be_reached_is_skipped() -> None:
    network = Network()
    second, third = network.worker(2), finished(network.worker(3, [1]))
    del network.workers[second.origin]
    new = started(network, second, third)
    assert new.newest() == [b"2.1"]


def test_large_histories_are_read_page_by_page() -> None:
    network = Network()
    second = finished(network.worker(2))
    for number in range(20):
        second.keeps(f"g:{number}", 9, range(1, 11), b"x" * 10_000)
    second.keeps("g:large", 9, range(1, 4), b"x" * PAGE_BYTES)
    new = started(network, second)
    assert all(len(new.newest(f"g:{number}")) == 10 for number in range(20))
    assert len(new.newest("g:large")) == 3
    assert len(network.requests) > 8
    assert network.largest < 2.1 * PAGE_BYTES


def test_a_worker_that_leaves_pushes_to_those_that_have_not_read_it() -> None:
    network = Network()
    leaving = finished(network.worker(2, [1, 2, 3]))
    leaving.keeps("g:large", 9, range(1, 8), b"x" * PAGE_BYTES)
    has_read = started(network, leaving)
    other = finished(network.worker(3))
    late = finished(network.worker(4, [2, 3, 4]))
    network.silent = {has_read.origin}
    leaving.transfer.leave()
    assert {to for to, _ in network.sent} == {other.origin, late.origin}
    network.run()
    assert network.largest < 2.1 * PAGE_BYTES
    assert len(late.newest("g:large")) == len(other.newest("g:large")) == 7
    assert other.newest() == [b"2.1", b"2.2", b"2.3"]
    assert late.newest() == [b"2.1", b"2.2", b"2.3", b"2.4"]


def test_what_a_worker_had_pushed_when_it_ended_is_dropped_with_an_incomplete_group() -> None:
    network = Network()
    leaving, new = finished(network.worker(2)), finished(network.worker(3))
    for key in ("g:a", "g:b"):
        leaving.keeps(key, 9, range(1, 3), b"x" * PAGE_BYTES)
    leaving.transfer.leave()
    network.sent.pop()
    network.run()
    new.transfer.peer_gone(leaving.origin)
    assert [len(new.newest(key)) for key in ("g:a", "g:b")] == [2, 0]


def test_a_worker_that_keeps_nothing_pushes_nothing() -> None:
    network = Network()
    leaving = network.worker(2)
    finished(network.worker(3))
    leaving.transfer.leave()
    assert not network.sent


def test_what_arrives_meanwhile_is_kept_once_and_in_order() -> None:
    network = Network()
    second = finished(network.worker(2, [1, 2, 3]))
    new = network.worker(1)
    new.transfer.begin()
    new.keeps("g:x", 2, [3, 4])
    new.knows(second)
    network.run()
    assert new.newest() == [b"2.1", b"2.2", b"2.3", b"2.4"]


def test_only_what_is_kept_here_is_added() -> None:
    network = Network()
    second = finished(network.worker(2, [1]))
    second.keeps("g:y", 2, [1])
    new = network.worker(1, pattern="g:y")
    new.transfer.begin()
    new.knows(second)
    network.run()
    assert new.newest("g:y") == [b"2.1"]
    assert new.newest("g:x") == []


def test_workers_of_other_hosts_are_not_read() -> None:
    network = Network()
    other = finished(network.worker(2, [1], host=b"another-"))
    new = started(network, other)
    assert network.requests == []
    assert new.times_ready == 1


def test_a_worker_of_another_host_is_not_answered() -> None:
    network = Network()
    second = finished(network.worker(2, [1]))
    foreign = Origin(b"another-", b"worker-7")
    second.transfer.received(encoded_request(PageRequest(foreign.id, 1, begins=True, own=False)))
    assert not network.sent
    second.transfer.received(encoded_request(PageRequest(Origin(HOST, b"worker-7").id, 1, begins=True, own=False)))
    assert len(network.sent) == 1


def test_it_is_ready_after_some_time_and_goes_on_reading() -> None:
    network = Network()
    silent = [network.worker(number) for number in (2, 3, 4, 5)]
    network.silent |= {worker.origin for worker in silent}
    last = finished(network.worker(6, [1]))
    new = network.worker(1)
    new.transfer.begin()
    new.knows(*silent, last)
    for _ in range(2):
        network.wait(START_SECONDS / 3)
        assert new.times_ready == 0
    network.wait(START_SECONDS / 3 + 0.1)
    assert new.times_ready == 1
    assert new.newest() == []
    for _ in range(3):
        network.wait(PAGE_SECONDS + 0.1)
    assert new.newest() == [b"2.1"]
    assert new.times_ready == 1


def test_a_page_of_an_abandoned_transfer_is_ignored() -> None:
    network = Network()
    second, third = finished(network.worker(2, [1])), finished(network.worker(3))
    network.silent.add(second.origin)
    new = started(network, second, third)
    network.wait(PAGE_SECONDS + 0.1)
    abandoned = network.requests[0][1]
    late = Page(
        second.origin.host + second.origin.worker,
        abandoned.transfer,
        True,
        True,
        list(second.histories.parts(None, 1000)),
    )
    new.transfer.received(encoded_page(late))
    assert new.newest() == []


@pytest.mark.parametrize("data", [b"", b"\x07rubbish" * 10])
def test_what_is_not_understood_is_ignored(data: bytes) -> None:
    network = Network()
    worker = finished(network.worker(1))
    worker.transfer.received(data)
    assert not network.sent
