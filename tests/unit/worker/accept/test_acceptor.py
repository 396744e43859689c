"""Accepting: the fast and the portable way, pauses, and the log line of a pause."""

from __future__ import annotations

import errno
import itertools
import logging
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import pytest

from reactorhost.ipc.counters import Counters
from reactorhost.logs import EventLog
from reactorhost.reactor import EXCLUSIVE, READ, Reactor
from reactorhost.system.fork import ForkRegistry
from reactorhost.worker.accept.acceptor import Acceptor, WatchedListener
from reactorhost.worker.accept.capacity import CapacityReport
from reactorhost.worker.admission.accept_rate import AcceptRate


class FakeAccepted:
    """An accepted socket."""

    def __init__(self) -> None:
        self.blocking = True
        self.closed = False

    def close(self) -> None:
        self.closed = True

    def setblocking(self, flag: bool) -> None:
        self.blocking = flag


class PortableListener:
    """A listening socket of an interpreter without `socket._accept`."""

    family = socket.AF_INET
    type = socket.SOCK_STREAM
    proto = 0

    def __init__(self, *queue: Any, number: int = 7) -> None:
        self.queue = deque(queue)
        self.closed = False
        self.number = number

    def fileno(self) -> int:
        return self.number

    def accept(self) -> tuple[FakeAccepted, Any]:
        if not self.queue:
            raise BlockingIOError
        item = self.queue.popleft()
        if isinstance(item, OSError):
            raise item
        return FakeAccepted(), item

    def close(self) -> None:
        self.closed = True


class Host:
    """An acceptor with one listener on a fake reactor."""

    def __init__(
        self,
        *queue: Any,
        most_connections: int = 100,
        refuses: bool = False,
        slot: int | None = 0,
        per_second: int | None = None,
    ) -> None:
        self.now = 0.0
        self.events = READ if slot is not None else READ | EXCLUSIVE
        self.registrations = 0
        self.watched: dict[int, Callable[[int], object]] = {}
        self.retry: Callable[[], object] | None = None
        self.rejoin_at = 0.0
        self.rejoin: Callable[[], object] | None = None
        self.check: Callable[[], object] = lambda: None
        self.accepted: list[tuple[Any, Any]] = []
        self.counters = Counters()
        self.of_service = Counters()
        self.listener = PortableListener(*queue)
        self.registry = ForkRegistry()
        log = EventLog(logging.getLogger("reactorhost"))
        self.reports: list[bool] = []
        reactor = cast("Reactor", self)
        capacity = CapacityReport(reactor, lambda report: self.reports.append(report["full"]))
        self.acceptor = Acceptor(reactor, self.counters, log, self.registry, most_connections, capacity)
        listener = cast("socket.socket", self.listener)
        self.rate_waits: list[tuple[float, Callable[[], object]]] = []
        self.rate = None if per_second is None else AcceptRate(per_second, lambda: 1, self.now)
        watched = WatchedListener(
            slot, "echo", listener, self.on_accepted, counters=self.of_service, refuses=refuses, rate=self.rate
        )
        self.acceptor.add([watched])

    def on_accepted(self, sock: socket.SocketType, peer: Any) -> None:
        self.accepted.append((sock, peer))
        self.counters.connections += 1

    def turn(self) -> None:
        for callback in tuple(self.watched.values()):
            callback(READ)

    # The reactor.

    def register(self, descriptor: int, events: int, callback: Callable[[int], object]) -> None:
        assert events == self.events
        assert descriptor not in self.watched
        self.registrations += 1
        self.watched[descriptor] = callback

    def unregister(self, descriptor: int) -> None:
        del self.watched[descriptor]

    def call_later(self, seconds: float, callback: Any) -> None:
        if isinstance(callback.__self__, CapacityReport):
            self.check = callback
        else:
            self.retry = callback

    def clock(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Any, *args: Any) -> None:
        if args:
            self.rate_waits.append((when, lambda: callback(*args)))
        else:
            self.rejoin_at, self.rejoin = when, callback

    def end_wait(self) -> None:
        self.now, callback = self.rate_waits.pop()
        callback()


def test_sockets_are_accepted_without_the_private_method_of_cpython() -> None:
    host = Host("first", "second")
    host.turn()
    assert [peer for _, peer in host.accepted] == ["first", "second"]
    assert not any(cast("FakeAccepted", sock).blocking for sock, _ in host.accepted)


def test_the_private_method_of_cpython_is_used_where_there_is_one() -> None:
    class FastListener(PortableListener):
        def _accept(self) -> tuple[int, Any]:
            raise BlockingIOError

    sock = cast("socket.socket", FastListener("client"))
    listener = WatchedListener(0, "echo", sock, lambda sock, peer: None, counters=Counters())
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_a_full_worker_stops_watching_until_a_connection_ends() -> None:
    host = Host("a", "b", "c", most_connections=2)
    host.turn()
    assert [peer for _, peer in host.accepted] == ["a", "b"]
    assert not host.watched
    host.counters.connections -= 1
    host.acceptor.resume()
    host.turn()
    assert [peer for _, peer in host.accepted] == ["a", "b", "c"]


def test_a_pause_is_reported_at_once_and_its_end_by_the_next_check() -> None:
    host = Host("a", "b", "c", most_connections=1)
    host.turn()
    assert host.reports == [True]
    host.counters.connections -= 1
    host.acceptor.resume()
    host.turn()
    host.check()
    assert host.reports == [True], "it is full again"
    host.counters.connections -= 1
    host.acceptor.resume()
    host.check()
    assert host.reports == [True, False]
    host.turn()
    assert host.reports == [True, False, True]


@pytest.mark.parametrize("refuses", [False, True])
def test_a_full_worker_refuses_by_order_what_its_service_lets_it_refuse(refuses: bool) -> None:
    host = Host("a", "b", "c", most_connections=1, refuses=refuses)
    host.turn()
    assert not host.watched
    host.acceptor.refuse(["chat", "echo"])
    host.turn()
    assert [peer for _, peer in host.accepted] == ["a"]
    assert host.counters.refused == host.of_service.refused == host.of_service.accepted == (2 if refuses else 0)
    host.counters.connections -= 1
    host.acceptor.resume()
    host.listener.queue.append("d")
    host.turn()
    assert host.accepted[1][1] == ("d" if refuses else "b")
    host.acceptor.refuse(["chat"])
    assert not host.watched


@pytest.mark.parametrize("ordered", [True, False])
def test_a_worker_without_descriptors_refuses_again_later_if_it_still_shall(ordered: bool) -> None:
    host = Host("a", OSError(errno.EMFILE, "too many"), "b", most_connections=1, refuses=True)
    host.turn()
    host.acceptor.refuse(["chat", "echo"])
    host.turn()
    assert not host.watched
    assert host.counters.refused == 0
    if not ordered:
        host.acceptor.refuse([])
    assert host.retry is not None
    host.retry()
    host.turn()
    assert host.counters.refused == ordered


def test_a_pause_is_logged_once_until_a_queue_was_empty(caplog: pytest.LogCaptureFixture) -> None:
    host = Host("a", "b", "c", most_connections=1)

    def client_ends() -> None:
        host.counters.connections -= 1
        host.acceptor.resume()
        host.turn()

    host.turn()
    client_ends()
    client_ends()
    assert len(caplog.records) == 1
    client_ends()  # the queue is empty now
    host.listener.queue.append("d")
    host.turn()
    assert len(caplog.records) == 2


@pytest.mark.parametrize("slot", [0, None])
def test_above_its_rate_a_service_waits_and_the_master_does_not_know(
    slot: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    host = Host("a", "b", "c", "d", "e", slot=slot, per_second=2)
    for _ in range(5):
        host.turn()
    assert [peer for _, peer in host.accepted] == ["a", "b"]
    # Not watched, or the loop would spin.
    assert not host.watched
    assert (host.reports, host.counters.rate_pauses) == ([], 1)
    host.end_wait()
    assert host.now == 0.5
    for _ in range(5):
        host.turn()
    assert [peer for _, peer in host.accepted] == ["a", "b", "c"]
    assert (len(host.rate_waits), host.counters.rate_pauses, host.of_service.rate_pauses) == (1, 2, 2)
    assert [record.message for record in caplog.records] == ["accept_rate_reached"]


@pytest.mark.parametrize("slot", [0, None])
def test_a_service_whose_rate_is_used_up_waits_only_if_another_client_does(
    slot: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    host = Host("a", "b", slot=slot, per_second=2)
    host.turn()
    if slot is None:
        host.turn()
    assert [peer for _, peer in host.accepted] == ["a", "b"]
    assert (host.rate_waits, host.counters.rate_pauses, caplog.records) == ([], 0, [])
    host.listener.queue.append("c")
    host.turn()
    assert (len(host.rate_waits), host.counters.rate_pauses) == (1, 1)
    assert [record.message for record in caplog.records] == ["accept_rate_reached"]


def test_above_the_rate_each_listener_of_a_service_has_its_turn() -> None:
    host = Host(*(10 * ["one"]), per_second=2)
    other = PortableListener(*(10 * ["two"]), number=8)
    second = WatchedListener(
        1, "echo", cast("socket.socket", other), host.on_accepted, counters=host.of_service, rate=host.rate
    )
    host.acceptor.add([second])
    host.turn()
    host.turn()
    host.accepted.clear()
    for _ in range(12):
        # The reactor calls the one that is due first, and of two at the same time the one that was made first.
        due = min(host.rate_waits, key=lambda each: each[0])
        host.rate_waits.remove(due)
        host.rate_waits.append(due)
        host.end_wait()
        host.turn()
        host.turn()
    peers = [peer for _, peer in host.accepted]
    assert len(peers) == 6
    assert all(before != after for before, after in itertools.pairwise(peers))


def test_no_token_is_taken_for_a_queue_that_is_empty() -> None:
    host = Host(per_second=1)
    for _ in range(5):
        host.turn()
    host.listener.queue.append("a")
    host.turn()
    assert [peer for _, peer in host.accepted] == ["a"]


def test_other_reasons_to_accept_again_do_not_end_the_wait_for_the_rate() -> None:
    host = Host("a", "b", slot=None, per_second=1)
    host.turn()
    host.turn()
    assert host.rejoin is not None
    host.rejoin()
    host.acceptor.refuse(["chat"])
    host.acceptor.resume()
    assert not host.watched
    host.end_wait()
    assert host.watched


def test_a_listener_that_waits_can_be_released() -> None:
    host = Host("a", "b", per_second=1)
    host.turn()
    host.turn()
    host.acceptor.release(0)
    assert host.listener.closed
    host.end_wait()
    assert not host.watched


def test_a_worker_that_leaves_accepts_its_queue_whatever_the_rate() -> None:
    host = Host("a", "b", "c", per_second=1)
    host.turn()
    host.acceptor.empty_queues()
    assert [peer for _, peer in host.accepted] == ["a", "b", "c"]


def test_without_descriptors_accepting_is_tried_again_later() -> None:
    host = Host(OSError(errno.EMFILE, "Too many open files"), "a")
    host.turn()
    assert not host.watched
    assert host.counters.accept_pauses == 1
    assert host.retry is not None
    host.retry()
    host.turn()
    assert [peer for _, peer in host.accepted] == ["a"]


def test_a_client_that_is_gone_does_not_end_the_batch() -> None:
    host = Host(OSError(errno.ECONNABORTED, "aborted"), "a")
    host.turn()
    assert [peer for _, peer in host.accepted] == ["a"]


def test_emptying_the_queues_accepts_and_closes() -> None:
    host = Host("a", "b")
    host.acceptor.empty_queues()
    assert [peer for _, peer in host.accepted] == ["a", "b"]
    assert host.listener.closed
    assert not host.watched


def test_a_forked_child_closes_the_listeners_that_are_open() -> None:
    host = Host()
    host.registry.close_in_child()
    assert host.listener.closed
    released = Host()
    released.acceptor.release(0)
    released.listener.closed = False
    released.registry.close_in_child()
    assert not released.listener.closed


class UnixListener(PortableListener):
    def __init__(self, path: str, descriptor: int, *queue: Any) -> None:
        super().__init__(*queue)
        self._path = path
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def getsockname(self) -> str:
        return self._path


@pytest.mark.parametrize("full", [False, True])
def test_a_new_unix_listener_takes_the_place_of_the_one_with_its_path(full: bool) -> None:
    host = Host(*(["first"] if full else []), most_connections=1 if full else 100)
    host.turn()
    host.events = READ | EXCLUSIVE
    old, other, new = (UnixListener("/a", 8, "waits"), UnixListener("/b", 9), UnixListener("/a", 10))
    for each in (old, other, new):
        sock = cast("socket.socket", each)
        host.acceptor.replace_or_add(WatchedListener(None, "echo", sock, host.on_accepted, counters=host.of_service))
    assert (old.closed, other.closed, new.closed) == (True, False, False)
    assert [peer for _, peer in host.accepted][-1] == "waits", "its file is gone, but not its queue"
    assert set(host.watched) == (set() if full else {7, 9, 10})
    assert set(host.registry._open) == {host.listener, other, new}


def test_of_a_shared_queue_one_client_is_accepted_in_a_turn_and_the_next_goes_to_another_worker() -> None:
    host = Host("a", "b", slot=None)
    for number, peers in enumerate((["a"], ["a", "b"], ["a", "b"])):
        # Registered anew after each client: the kernel wakes the first of those that wait.
        assert host.registrations == 1 + number
        host.turn()
        assert [peer for _, peer in host.accepted] == peers
    assert host.registrations == 3


def test_a_shared_queue_is_looked_at_every_whole_second() -> None:
    host = Host(slot=None, most_connections=1)
    for registrations in (2, 3):
        assert host.rejoin_at == registrations - 1
        host.now = host.rejoin_at + 0.2
        assert host.rejoin is not None
        rejoin, host.rejoin = host.rejoin, None
        rejoin()
        assert host.registrations == registrations
    host.listener.queue.append("a")
    host.turn()
    assert not host.watched
    assert host.rejoin is not None
    host.rejoin()
    assert not host.watched


def test_a_worker_without_shared_queues_has_no_timer() -> None:
    assert Host("a").rejoin is None
    host = Host("a", slot=None)
    host.acceptor.release_all()
    rejoin, host.rejoin = host.rejoin, None
    assert rejoin is not None
    rejoin()
    assert host.rejoin is None
