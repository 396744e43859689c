"""Clients of the control socket: their turns, their number, and the end of their half of a connection."""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from reactorhost.errors import ReactorhostError
from reactorhost.ipc.jsonlines import Message
from reactorhost.logs import EventLog
from reactorhost.master.admin import control_server
from reactorhost.master.admin.control_server import ControlServer, Session
from reactorhost.reactor import Reactor, new_poller
from reactorhost.system.fork import ForkRegistry
from turning import turn_until


class Host:
    """A control server with three verbs, and its clients.

    Attributes:
        pings: requests that each turn of the loop carried out.
        waiting: sessions of clients that wait for the response to `wait`.
        path: the control socket.
    """

    def __init__(self, directory: Path, poller: str, closing: ExitStack) -> None:
        self.reactor = Reactor(new_poller(poller))
        self.pings: list[int] = []
        self.waiting: list[Session] = []
        self._closing = closing
        self.path = directory / "control.sock"
        verbs = {"ping": self._ping, "wait": lambda session, message: self.waiting.append(session), "fail": self._fail}
        self.server = ControlServer(self.reactor, ForkRegistry(), self.path, verbs, EventLog(logging.getLogger("x")))
        self.server.open()

    def close(self) -> None:
        self.server.close()
        self.reactor.close()

    def client(self, request: str = "") -> socket.socket:
        client = self._closing.enter_context(socket.socket(socket.AF_UNIX))
        client.connect(str(self.path))
        client.setblocking(False)
        client.sendall(request.encode())
        return client

    def turn_until(self, holds: Callable[[], object]) -> None:
        turn_until(self.reactor, holds)

    def responses(self, client: socket.socket, count: int) -> list[dict[str, Any]]:
        """Return this number of responses; an end of the connection counts as the last."""
        data = bytearray()
        ended = False

        def complete() -> bool:
            nonlocal ended
            try:
                received = client.recv(65536)
            except BlockingIOError:
                return False
            data.extend(received)
            ended = not received
            return ended or data.count(b"\n") >= count

        self.turn_until(complete)
        return [json.loads(line) for line in data.splitlines()]

    def _ping(self, session: Session, message: Message) -> None:
        self.pings.append(self.reactor.turns)
        session.done()

    def _fail(self, session: Session, message: Message) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


@pytest.fixture(params=["epoll", "selectors"])
def host(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Host]:
    with ExitStack() as closing:
        host = Host(tmp_path, request.param, closing)
        yield host
        host.close()


PING, WAIT = '{"verb": "ping"}\n', '{"verb": "wait"}\n'


def test_a_client_with_many_requests_has_one_of_them_carried_out_in_a_turn(host: Host) -> None:
    first = host.client(PING * 500)
    host.turn_until(lambda: host.pings)
    second = host.client(PING)
    assert len(host.responses(second, 1)) == 1
    assert len(host.pings) < 100
    assert len(host.responses(first, 500)) == 500
    # At most one of each client.
    assert max(map(host.pings.count, set(host.pings))) <= 2


def test_requests_are_carried_out_after_the_response_to_the_one_before(host: Host) -> None:
    client = host.client(WAIT + PING)
    host.turn_until(lambda: host.waiting)
    for _ in range(3):
        host.reactor.turn(0)
    assert host.pings == []
    host.waiting[0].done(number=1)
    assert host.responses(client, 2) == [{"status": 0, "number": 1}, {"status": 0}]


def test_a_client_that_ends_its_half_gets_its_responses(host: Host) -> None:
    client = host.client(WAIT + PING)
    client.shutdown(socket.SHUT_WR)
    host.turn_until(lambda: host.waiting)
    host.waiting[0].progress("half")
    assert host.responses(client, 1) == [{"progress": "half"}]
    host.waiting[0].done()
    # Two responses, then the end of the connection.
    assert host.responses(client, 3) == [{"status": 0}, {"status": 0}]


def test_a_client_that_ends_its_half_without_a_request_is_disconnected(host: Host) -> None:
    client = host.client()
    client.shutdown(socket.SHUT_WR)
    assert host.responses(client, 1) == []


def test_a_client_that_disconnects_while_it_waits_leaves_nothing(host: Host) -> None:
    before = os.listdir("/proc/self/fd")
    client = host.client(WAIT + PING)
    host.turn_until(lambda: host.waiting)
    client.close()
    host.turn_until(lambda: os.listdir("/proc/self/fd") == before)
    host.waiting[0].done()
    host.reactor.turn(0)
    assert host.pings == []


def test_a_request_that_the_system_refuses_fails_alone(host: Host) -> None:
    client = host.client('{"verb": "fail"}\n' + PING)
    failed, done = host.responses(client, 2)
    assert (failed["status"], failed["what"]) == (1, "the request 'fail' failed: Too many open files")
    assert "ulimit -n" in failed["hint"]
    assert done == {"status": 0}


@pytest.mark.parametrize("limit", ["clients", "descriptors"])
def test_a_new_client_gets_the_place_of_the_one_that_is_idle_for_longest(
    host: Host, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    clients = [host.client(WAIT), *(host.client(PING) for _ in range(2))]
    host.turn_until(lambda: host.waiting and len(host.pings) == 2)
    assert host.responses(clients[1], 1)
    if limit == "clients":
        monkeypatch.setattr(host.server, "_most_clients", 3)
    else:
        listener = host.server._listener
        assert listener is not None
        monkeypatch.setattr(host.server, "_listener", OneRefusal(listener))
    newest = host.client(PING)
    assert host.responses(newest, 1) == [{"status": 0}]
    assert host.responses(clients[1], 1) == [], "disconnected"
    host.waiting[0].done()
    assert host.responses(clients[0], 1) == [{"status": 0}]


class OneRefusal:
    """A listener whose first accept finds no free descriptor."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._refused = False

    def accept(self) -> Any:
        if not self._refused:
            self._refused = True
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return self._listener.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)


def test_clients_that_wait_when_the_file_is_made_again_are_served(host: Host) -> None:
    clients = [host.client(PING), host.client(PING)]
    host.path.unlink()
    host.server.open()
    clients.append(host.client(PING))
    assert [host.responses(client, 1) for client in clients] == [[{"status": 0}]] * 3


def test_a_new_file_without_descriptors_disconnects_only_a_client_that_is_idle(host: Host) -> None:
    idle = host.client(PING)
    host.responses(idle, 1)
    clients = [host.client(PING), host.client(PING)]
    listener = host.server._listener
    assert listener is not None
    host.server._listener = cast("socket.socket", OneRefusal(listener))
    host.path.unlink()
    host.server.open()
    assert [host.responses(client, 1) for client in clients] == [[{"status": 0}]] * 2
    assert host.responses(idle, 1) == [], "disconnected"


def test_clients_wait_on_if_no_file_can_be_made(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_descriptor(server: ControlServer) -> socket.socket:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    clients = [host.client(PING), host.client(PING)]
    listener = host.server._listener
    assert listener is not None
    host.server._listener = cast("socket.socket", OneRefusal(listener))
    monkeypatch.setattr(ControlServer, "_bound", no_descriptor)
    with pytest.raises(ReactorhostError, match="Too many open files"):
        host.server.open()
    assert [host.responses(client, 1) for client in clients] == [[{"status": 0}]] * 2


def test_a_client_whose_request_has_arrived_keeps_its_place(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host.server, "_most_clients", 1)
    first, second = host.client(PING), host.client(PING)
    # Both are accepted before anything is received.
    host.server.open()
    assert host.responses(first, 1) == [{"status": 0}]
    (refused,) = host.responses(second, 1)
    assert refused["what"] == "1 clients of the control socket wait for responses"


def test_a_client_is_refused_while_all_others_wait(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host.server, "_most_clients", 2)
    for _ in range(2):
        host.client(WAIT)
    host.turn_until(lambda: len(host.waiting) == 2)
    (refused,) = host.responses(host.client(), 2)
    assert refused["what"] == "2 clients of the control socket wait for responses"


def test_a_client_that_requests_nothing_is_disconnected(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_server, "_IDLE_SECONDS", 0.0)
    waits, idle = host.client(WAIT), host.client(PING)
    host.turn_until(lambda: host.waiting and host.pings)
    host.server.disconnect_idle()
    assert host.responses(idle, 2) == [{"status": 0}]
    host.waiting[0].done()
    assert host.responses(waits, 1) == [{"status": 0}]
