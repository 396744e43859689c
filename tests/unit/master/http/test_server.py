"""The clients of the HTTP endpoint: their number, their time, and what becomes of them when descriptors are short."""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import Mock

import pytest

from reactorhost.address import parse
from reactorhost.config.settings import POLLERS
from reactorhost.errors import ReactorhostError
from reactorhost.master.http.messages import Request, Response, text_response
from reactorhost.master.http.server import EXCHANGE_SECONDS, IDLE_SECONDS, HttpServer
from reactorhost.master.http.sockets import EndpointSockets, is_local
from reactorhost.reactor import Reactor, new_poller
from reactorhost.system import process
from reactorhost.system.fork import ForkRegistry
from reactorhost.testing.fakes import FakeClock
from turning import turn_until

GET = b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n"


class NoDescriptorLeft(socket.socket):
    """A listener of a process that has no descriptor left."""

    def accept(self) -> tuple[socket.socket, object]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


class Endpoint:
    """A server with one route, and its clients.

    Attributes:
        answered: the turns of the loop in which requests were answered.
    """

    def __init__(self, directory: Path, closing: ExitStack) -> None:
        self.clock = FakeClock(1000.0)
        self.reactor = Reactor(new_poller(POLLERS[0]), self.clock)
        self.path = directory / "admin.sock"
        self.answered: list[int] = []
        self.registry = ForkRegistry()
        self.server = HttpServer.at(parse(f"unix://{self.path}"), self.reactor, self.registry, {"/live": self._live})
        self._closing = closing

    def close(self) -> None:
        self.server.close()
        self.reactor.close()

    def client(self, data: bytes = b"") -> socket.socket:
        client = self._closing.enter_context(socket.socket(socket.AF_UNIX))
        client.connect(str(self.path))
        client.setblocking(False)
        client.sendall(data)
        return client

    def turns(self, count: int = 4) -> None:
        for _ in range(count):
            self.reactor.turn(0)

    def turn_until(self, holds: Callable[[], object]) -> None:
        turn_until(self.reactor, holds)

    def received(self, client: socket.socket, count: int = 1) -> bytes:
        """Return what the client receives: this number of responses, or all to the end of the connection."""
        data = bytearray()
        ended = False

        def complete() -> bool:
            nonlocal ended
            try:
                received = client.recv(65536)
            except BlockingIOError:
                return False
            except ConnectionResetError:
                received = b""
            data.extend(received)
            ended = not received
            return ended or data.count(b"it lives\n") >= count

        self.turn_until(complete)
        return bytes(data)

    def _live(self, request: Request) -> Response:
        self.answered.append(self.reactor.turns)
        return text_response(200, "it lives")


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    with ExitStack() as closing:
        made = Endpoint(tmp_path, closing)
        closing.callback(made.close)
        yield made


def test_a_connection_serves_many_requests(endpoint: Endpoint) -> None:
    client = endpoint.client()
    for _ in range(3):
        client.sendall(GET)
        assert endpoint.received(client).startswith(b"HTTP/1.1 200 OK\r\n")


def test_requests_sent_at_once_do_not_keep_the_loop(endpoint: Endpoint) -> None:
    client = endpoint.client(GET * 5)
    assert endpoint.received(client, 5).count(b"HTTP/1.1 200") == 5
    assert max(Counter(endpoint.answered).values()) == 1


def test_clients_that_send_at_once_do_not_keep_the_loop(endpoint: Endpoint) -> None:
    clients = [endpoint.client() for _ in range(10)]
    endpoint.turn_until(lambda: len(endpoint.server._clients) == 10)
    for client in clients:
        client.sendall(GET * 3)
    for client in clients:
        assert endpoint.received(client, 3).count(b"HTTP/1.1 200") == 3
    assert max(Counter(endpoint.answered).values()) == 1


def test_many_clients_are_accepted_in_a_turn(endpoint: Endpoint) -> None:
    clients = [endpoint.client(GET) for _ in range(40)]
    endpoint.turns(1)
    assert 10 < len(endpoint.server._clients) < 30
    assert all(endpoint.received(client) for client in clients)


def test_a_probe_does_not_wait_for_the_requests_of_another_path(endpoint: Endpoint) -> None:
    slow = {"/slow": lambda request: text_response(200, "it lives")}
    endpoint.server.routes = {**endpoint.server.routes, **slow}
    slow_clients = [endpoint.client() for _ in range(10)]
    probe = endpoint.client()
    endpoint.turn_until(lambda: len(endpoint.server._clients) == 11)
    for client in slow_clients:
        client.sendall(GET.replace(b"live", b"slow"))
    probe.sendall(GET)
    sent = endpoint.reactor.turns
    assert endpoint.received(probe)
    assert endpoint.answered == [sent + 1]


def test_a_client_that_ends_its_half_gets_its_response(endpoint: Endpoint) -> None:
    client = endpoint.client(GET)
    client.shutdown(socket.SHUT_WR)
    assert endpoint.received(client, 2).endswith(b"it lives\n")


def test_a_client_that_disconnects_in_the_middle_is_forgotten(endpoint: Endpoint) -> None:
    endpoint.client(GET[:10]).close()
    assert endpoint.received(endpoint.client(GET)).endswith(b"it lives\n")


@pytest.mark.parametrize(("data", "seconds"), [(b"", IDLE_SECONDS), (GET[:10], EXCHANGE_SECONDS)])
def test_a_client_has_limited_time(endpoint: Endpoint, data: bytes, seconds: float) -> None:
    client = endpoint.client(data)
    endpoint.turns()
    endpoint.clock.now += seconds - 1
    endpoint.turns()
    with pytest.raises(BlockingIOError):
        client.recv(1)
    endpoint.clock.now += 2
    assert endpoint.received(client) == b""


def test_the_time_of_a_request_is_not_extended_by_its_bytes(endpoint: Endpoint) -> None:
    client = endpoint.client(GET[:1])
    endpoint.turns()
    for byte in GET[1:12]:
        endpoint.clock.now += EXCHANGE_SECONDS / 12
        client.sendall(bytes([byte]))
        endpoint.turns()
    endpoint.clock.now += EXCHANGE_SECONDS / 10
    assert endpoint.received(client) == b""


def test_one_client_more_disconnects_the_one_that_is_idle_for_longest(endpoint: Endpoint) -> None:
    endpoint.server.most_clients = 3
    slow = endpoint.client(GET[:10])
    endpoint.turns()
    first, second = endpoint.client(), endpoint.client()
    endpoint.turns()
    endpoint.clock.now += 1
    first.sendall(GET)
    assert endpoint.received(first)
    assert endpoint.received(endpoint.client(GET))
    assert endpoint.received(second) == b""
    slow.sendall(GET[10:])
    first.sendall(GET)
    assert endpoint.received(slow)
    assert endpoint.received(first)


def test_slow_clients_do_not_keep_a_probe_from_its_answer(endpoint: Endpoint) -> None:
    endpoint.server.most_clients = 3
    slow = []
    for _ in range(3):
        slow.append(endpoint.client(GET[:10]))
        endpoint.clock.now += 1
        endpoint.turns()
    assert endpoint.received(endpoint.client(GET)).endswith(b"it lives\n")
    assert endpoint.received(slow[0]) == b""
    slow[1].sendall(GET[10:])
    assert endpoint.received(slow[1])


@pytest.mark.parametrize("data", [b"", GET])
def test_an_upgrade_waits_for_what_is_on_its_way(endpoint: Endpoint, data: bytes) -> None:
    connected = endpoint.client()
    endpoint.turns()
    assert not endpoint.server.quiesce()
    waiting = endpoint.client(GET)
    connected.sendall(data)
    if data:
        assert endpoint.received(connected)
    endpoint.turns()
    assert len(endpoint.answered) == bool(data)
    endpoint.clock.now += 0.1
    endpoint.turns()
    assert endpoint.server.quiesce()
    # The program was not executed after all.
    endpoint.clock.now += 1
    assert endpoint.received(waiting)


def test_slow_clients_delay_an_upgrade_for_a_short_time_only(endpoint: Endpoint) -> None:
    endpoint.client(GET[:10])
    endpoint.turns()
    waited = 0.0
    while not endpoint.server.quiesce():
        endpoint.client(GET[:10])
        endpoint.clock.now += 0.1
        endpoint.turns()
        waited += 0.1
    assert 0.9 < waited < 1.2


def test_without_a_descriptor_a_client_gets_the_place_of_an_idle_one(endpoint: Endpoint) -> None:
    idle = endpoint.client()
    endpoint.turns()
    client = endpoint.client(GET)
    with NoDescriptorLeft() as listener:
        endpoint.server._accept(listener, 0)
    assert endpoint.received(idle) == b""
    assert endpoint.received(client).endswith(b"it lives\n")


def test_without_any_client_the_listener_waits_for_a_descriptor(endpoint: Endpoint) -> None:
    with NoDescriptorLeft() as listener:
        endpoint.server._accept(listener, 0)
    client = endpoint.client(GET)
    endpoint.turns()
    assert not endpoint.answered
    endpoint.clock.now += 1
    assert endpoint.received(client).endswith(b"it lives\n")


def test_a_close_ends_every_connection_and_removes_the_file(endpoint: Endpoint) -> None:
    clients = [endpoint.client(), endpoint.client(GET[:10])]
    endpoint.turns()
    endpoint.server.close()
    assert [endpoint.received(client) for client in clients] == [b"", b""]
    assert not endpoint.path.exists()
    endpoint.registry.close_in_child()


def test_a_child_has_no_descriptor_of_the_endpoint(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with ExitStack() as closing:
        endpoint = Endpoint(tmp_path, closing)
        endpoint.client()
        endpoint.client(GET[:10])
        endpoint.turns()
        # What it would do in a child is done here: the reactor is closed without it.
        endpoint.registry.close_in_child()
        endpoint.reactor.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_file_is_only_for_this_user_and_is_made_again(endpoint: Endpoint) -> None:
    assert endpoint.path.stat().st_mode & 0o777 == 0o600
    endpoint.path.unlink()
    endpoint.server.open()
    assert endpoint.received(endpoint.client(GET)).endswith(b"it lives\n")


def test_every_address_of_a_name_gets_the_port_that_the_kernel_chose() -> None:
    sockets = EndpointSockets(parse("tcp://localhost:0"))
    sockets.open()
    try:
        ports = {sock.getsockname()[1] for sock in sockets.opened}
        assert len(ports) == 1
        assert f"tcp://127.0.0.1:{ports.pop()}" in sockets.addresses()
    finally:
        sockets.close()


def test_an_address_that_a_connection_uses_is_reported_with_a_command_that_lists_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        address = parse(f"tcp://127.0.0.1:{client.getsockname()[1]}")
        with pytest.raises(ReactorhostError, match="is in use by another process") as caught:
            EndpointSockets(address).open()
    assert caught.value.hint == "see which with: ss -tanp"


def test_an_address_in_use_is_reported_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        address = parse(f"tcp://127.0.0.1:{other.getsockname()[1]}")
        with pytest.raises(ReactorhostError, match="is in use by another process"):
            EndpointSockets(address).open()


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("tcp://127.0.0.1:1", True),
        ("tcp://127.9.9.9:1", True),
        ("tcp://[::1]:1", True),
        ("unix:///a", True),
        ("tcp://*:1", False),
        ("tcp://0.0.0.0:1", False),
        ("tcp://192.0.2.1:1", False),
        ("tcp://[fe80::1%lo]:1", False),
    ],
)
def test_only_loopback_and_files_are_local(text: str, local: bool) -> None:
    assert is_local(parse(text)) is local


def test_with_few_descriptors_clients_leave_some_free(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    idle = endpoint.client()
    endpoint.turns()
    monkeypatch.setattr(process, "require_free_descriptors", Mock(side_effect=OSError(errno.EMFILE, "")))
    client = endpoint.client(GET)
    assert endpoint.received(client).endswith(b"it lives\n")
    assert endpoint.received(idle) == b""


@pytest.mark.parametrize(("limit", "clients"), [(1 << 20, 64), (40, 10), (resource.RLIM_INFINITY, 64)])
def test_the_number_of_clients_follows_that_of_descriptors(
    monkeypatch: pytest.MonkeyPatch, limit: int, clients: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (limit, limit))
    assert HttpServer(Mock(), ForkRegistry(), Mock(), {}).most_clients == clients
