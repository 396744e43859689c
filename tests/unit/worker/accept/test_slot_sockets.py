"""The sockets that a worker borrows: which are served, given up and reported as released."""

from __future__ import annotations

import logging
import socket
from typing import Any, cast
from unittest.mock import Mock

from reactorhost.ipc.counters import Counters
from reactorhost.ipc.worker_spec import BorrowedListener
from reactorhost.logs import EventLog
from reactorhost.reactor import Reactor
from reactorhost.system.fork import ForkRegistry
from reactorhost.testing.fakes import FakeClock, FakePoller
from reactorhost.worker.accept.acceptor import Acceptor
from reactorhost.worker.accept.slot_sockets import SlotSockets


class FakeListener:
    """A listening socket that no client connects to."""

    family = socket.AF_INET
    type = socket.SOCK_STREAM
    proto = 0
    number = -1

    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = False

    def fileno(self) -> int:
        return self.number

    def getsockname(self) -> str:
        return self.name

    def ready(self) -> int:
        return 0

    def close(self) -> None:
        self.closed = True


class FakeUdpSocket:
    """A UDP socket of a service, which owes an answer until `answer` is called."""

    def __init__(self, on_closed: Any) -> None:
        self.on_closed = on_closed
        self.reads = False

    def open(self) -> None:
        self.reads = True

    def release(self) -> None:
        self.reads = False

    def answer(self) -> None:
        self.on_closed()


class Worker:
    """The borrowed sockets of the services `a` and `b`, in the slots 0, 1 and None, and UDP sockets of `a`."""

    def __init__(self, *udp: int | None) -> None:
        udp = udp or (0, 1)
        poller = FakePoller(FakeClock())
        self.poller = poller
        self.udp: dict[int | None, FakeUdpSocket] = {}
        self.released: list[int | None] = []
        acceptor = Acceptor(
            Reactor(poller, FakeClock()), Counters(), EventLog(logging.getLogger()), ForkRegistry(), 10, Mock()
        )
        service = Mock(udp_socket=self._udp_socket)
        services = cast("Any", {"a": service, "b": service})
        self.listeners: dict[tuple[str, int | None], FakeListener] = {}
        waiting = [BorrowedListener(slot, "a", "udp", cast("Any", FakeListener(f"udp {slot}"))) for slot in udp]
        for name in ("a", "b"):
            for slot in (0, 1, None):
                listener = self.listeners[name, slot] = FakeListener(f"{name} {slot}")
                poller.open(listener)
                waiting.append(BorrowedListener(slot, name, "tcp", cast("Any", listener)))
        self.sockets = SlotSockets(acceptor, services, (), ForkRegistry(), self.released.append, waiting)

    def _udp_socket(self, sock: FakeListener, on_closed: Any) -> FakeUdpSocket:
        slot = sock.name.removeprefix("udp ")
        self.udp[None if slot == "None" else int(slot)] = made = FakeUdpSocket(on_closed)
        return made

    def closed(self) -> set[tuple[str, int | None]]:
        """Return the listeners that are closed."""
        return {key for key, listener in self.listeners.items() if listener.closed}


def test_sockets_of_the_fork_are_served_from_the_order_on() -> None:
    worker = Worker()
    assert not worker.poller.watched
    worker.sockets.begin()
    assert len(worker.poller.watched) == 6
    assert all(each.reads for each in worker.udp.values())
    worker.sockets.begin()
    assert len(worker.poller.watched) == 6


def test_a_service_is_given_up_in_some_slots_and_served_in_the_others() -> None:
    worker = Worker()
    worker.sockets.begin()
    worker.sockets.give_up("a", [1, None], 256)
    assert worker.closed() == {("a", 1), ("a", None)}
    assert [each.reads for each in worker.udp.values()] == [True, False]
    assert worker.released == [], "the UDP socket may still be answered"
    worker.udp[1].answer()
    assert worker.released == [256]
    assert worker.sockets.in_use
    worker.sockets.release(1)
    assert worker.closed() == {("a", 1), ("a", None), ("b", 1)}
    assert worker.released == [256, 1]


def test_sockets_that_are_given_up_before_the_worker_serves_are_never_served() -> None:
    worker = Worker()
    worker.sockets.give_up("a", [1, None], 256)
    assert worker.closed() == {("a", 1), ("a", None)}
    assert worker.released == [256]
    worker.sockets.begin()
    assert len(worker.poller.watched) == 4
    assert worker.udp.keys() == {0}


def test_the_end_of_sockets_that_clients_never_reached_is_not_reported() -> None:
    worker = Worker()
    worker.sockets.give_up("b", [0, 1], None)
    assert worker.closed() == {("b", 0), ("b", 1)}
    assert worker.released == []


def test_a_udp_socket_that_all_slots_share_is_given_up_alone_or_with_all_others() -> None:
    worker = Worker(0, None)
    worker.sockets.begin()
    worker.sockets.give_up("a", [1, None], 256)
    assert [each.reads for each in worker.udp.values()] == [True, False]
    worker.released.clear()
    worker.udp[None].answer()
    assert worker.released == [None]
    worker = Worker(None)
    worker.sockets.begin()
    worker.sockets.release_all()
    assert not worker.udp[None].reads
    assert worker.sockets.in_use
    worker.udp[None].answer()
    assert not worker.sockets.in_use
