"""Which clients a service admits, before it does anything else for them."""

from __future__ import annotations

import logging
import socket
from typing import Any, cast

import pytest

from reactorhost import Connection, Endpoint, hookimpl
from reactorhost.plugins.loading import load_object
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakeDatagramSocket, FakePoller, FakeSocket, turn
from reactorhost.worker.admission.admission import AdmissionRules
from reactorhost.worker.builder import WorkerBuilder
from reactorhost.worker.context import Limits
from reactorhost.worker.service import LoadedService, RunningService

INSIDE = AdmissionRules(allow=["10.0.0.0/8", "2001:db8::/32"], deny=["10.6.0.0/16"])
PROXY = "192.0.2.1"


class ClientSocket(FakeSocket):
    """A socket whose input can be peeked at, as a PROXY header is."""

    def recv(self, size: int, flags: int = 0) -> bytes:
        data = super().recv(size)
        if flags == socket.MSG_PEEK and data:
            self.incoming.appendleft(data)
        return data


class Host:
    """A service whose plugin notes the clients that connect."""

    def __init__(self, rules: AdmissionRules, proxy_from: str | None = None, **hooks: Any) -> None:
        self.clock = FakeClock()
        self.poller = FakePoller(self.clock)
        self.reactor = Reactor(self.poller, self.clock)
        self.connected: list[str] = []
        self.datagrams: list[bytes] = []

        @hookimpl
        def connect(connection: Connection) -> None:
            self.connected.append(connection.peer.host)

        @hookimpl
        def receive(connection: Connection, data: bytes) -> None:
            self.datagrams.append(data)

        found = {"connect": connect, "receive": receive, **hooks}
        plugin = type("Plugin", (), {name: staticmethod(hook) for name, hook in found.items()})
        loaded = LoadedService(
            "a", [load_object(plugin, "plugin")], proxy_from=[proxy_from] if proxy_from else [], rules=rules
        )
        parts = WorkerBuilder(reactor=self.reactor, hook_failed=lambda *failure: pytest.fail(str(failure))).build(
            [loaded], Limits()
        )
        (self.counters,) = (each.counters for each in parts.service_stats)
        self.service: RunningService = parts.services["a"]

    def connect(self, host: str, sent: bytes = b"", scheme: str = "tcp") -> ClientSocket:
        sock = ClientSocket()
        self.poller.open(sock)
        if sent:
            sock.incoming.append(sent)
        peer: Any = host if scheme == "unix" else (host, 4711) if "." in host else (host, 4711, 0, 0)
        self.service.acceptor(scheme)(cast("Any", sock), peer)
        self.settle()
        return sock

    def leave(self, sock: ClientSocket) -> None:
        sock.incoming.append(b"")
        self.settle()

    def settle(self) -> None:
        while turn(self.reactor, self.poller):
            pass

    @property
    def counted(self) -> tuple[int, int, int]:
        return self.counters.connections, self.counters.accepted, self.counters.refused


@pytest.mark.parametrize(
    ("host", "admitted"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("10.6.0.1", False),
        ("::ffff:10.6.0.1", False),
        ("11.0.0.1", False),
        ("2001:db8::7", True),
        ("2001:db9::7", False),
    ],
)
def test_a_client_is_served_by_its_network(host: str, admitted: bool) -> None:
    served = Host(INSIDE)
    sock = served.connect(host)
    assert (served.connected, sock.finished) == ([host] if admitted else [], not admitted)
    assert served.counted == (admitted, 1, not admitted)
    assert served.counters.denied == (not admitted)


def test_without_allowed_networks_all_that_are_not_denied_are_served() -> None:
    host = Host(AdmissionRules(deny=["10.0.0.0/8"]))
    assert [host.connect(each).finished for each in ("10.0.0.1", "192.0.2.1", "::1")] == [True, False, False]


def test_clients_of_a_unix_socket_have_no_network() -> None:
    host = Host(AdmissionRules(allow=["10.0.0.0/8"], most_per_address=1))
    assert not any(host.connect("", scheme="unix").finished for _ in range(3))


def test_a_service_without_rules_accepts_as_if_there_were_none() -> None:
    host = Host(AdmissionRules())
    assert host.service.acceptor("tcp") == host.service.accept
    assert host.service.context.admission is None


@hookimpl
def admit(service: str, peer: Endpoint) -> bool | None:
    assert service == "a"
    return None if peer.host == "10.0.0.1" else peer.host.startswith("10.")


@pytest.mark.parametrize(("host", "admitted"), [("10.0.0.1", True), ("10.0.0.2", True), ("192.0.2.7", False)])
def test_a_plugin_refuses_a_client_before_anything_else_is_done_for_it(host: str, admitted: bool) -> None:
    served = Host(AdmissionRules(), admit=admit)
    sock = served.connect(host)
    assert (served.connected, sock.finished) == ([host] if admitted else [], not admitted)
    assert served.counted == (admitted, 1, not admitted)
    assert served.counters.denied == (not admitted)


def test_a_plugin_is_not_asked_for_clients_that_the_operator_has_denied_nor_for_those_without_an_address() -> None:
    @hookimpl
    def admit() -> bool:
        raise AssertionError

    host = Host(AdmissionRules(deny=["10.0.0.0/8"]), admit=admit)
    assert host.connect("10.0.0.1").finished
    assert not host.connect("", scheme="unix").finished


def test_a_client_that_a_plugin_refuses_is_none_of_the_connections_of_its_address() -> None:
    answers = iter([False, None, False, None])

    @hookimpl
    def admit() -> bool | None:
        return next(answers)

    host = Host(AdmissionRules(most_per_address=2), admit=admit)
    assert [host.connect("10.0.0.1").finished for _ in range(4)] == [True, False, True, False]


def test_behind_a_proxy_a_plugin_refuses_the_client_of_the_header() -> None:
    host = Host(AdmissionRules(), proxy_from=PROXY, admit=admit)
    refused = host.connect(PROXY, b"PROXY TCP4 192.0.2.7 10.0.0.9 4711 9000\r\n")
    admitted = host.connect(PROXY, b"PROXY TCP4 10.0.0.2 10.0.0.9 4711 9000\r\n")
    assert (refused.finished, admitted.finished) == (True, False)
    assert host.connected == ["10.0.0.2"]


def test_an_address_has_no_more_connections_than_it_may_have() -> None:
    host = Host(AdmissionRules(most_per_address=2))
    first, second, third = (host.connect("10.0.0.1") for _ in range(3))
    assert [each.finished for each in (first, second, third)] == [False, False, True]
    assert host.counters.over_address_limit == 1
    assert not host.connect("10.0.0.2").finished
    host.leave(second)
    assert not host.connect("::ffff:10.0.0.1").finished
    assert host.connect("10.0.0.1").finished


def test_an_ipv6_network_of_64_bits_counts_as_one_address() -> None:
    host = Host(AdmissionRules(most_per_address=1))
    hosts = ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1")
    assert [host.connect(each).finished for each in hosts] == [False, True, False]


@pytest.mark.parametrize(
    ("client", "admitted"), [("10.1.2.3", True), ("10.6.0.1", False), (PROXY, False)], ids=["allowed", "denied", "own"]
)
def test_behind_a_proxy_the_client_of_its_header_counts(client: str, admitted: bool) -> None:
    host = Host(INSIDE, proxy_from=PROXY)
    sock = host.connect(PROXY, f"PROXY TCP4 {client} 192.0.2.9 5000 80\r\n".encode())
    assert (host.connected, sock.finished) == ([client] if admitted else [], not admitted)
    assert host.counted == (admitted, 1, not admitted)


def test_a_header_without_an_address_leaves_that_of_the_proxy() -> None:
    assert Host(INSIDE, proxy_from=PROXY).connect(PROXY, b"PROXY UNKNOWN\r\n").finished
    host = Host(AdmissionRules(allow=[PROXY]), proxy_from=PROXY)
    assert not host.connect(PROXY, b"PROXY UNKNOWN\r\n").finished


def test_the_connections_of_an_address_are_counted_behind_a_proxy() -> None:
    host = Host(AdmissionRules(most_per_address=1), proxy_from=PROXY)
    header = b"PROXY TCP4 10.0.0.1 192.0.2.9 5000 80\r\n"
    first = host.connect(PROXY, header)
    assert host.connect(PROXY, header).finished
    assert not host.connect(PROXY, header.replace(b".1 ", b".2 ", 1)).finished
    host.leave(first)
    assert not host.connect(PROXY, header).finished


def test_a_handshake_that_fails_is_not_counted_any_more() -> None:
    host = Host(AdmissionRules(most_per_address=1), proxy_from=PROXY)
    # Not admitted yet, so nothing may be removed for it.
    assert host.connect(PROXY, b"nonsense\r\n").finished
    host.connect(PROXY)
    host.service.pending_handshakes.end_all()
    assert not host.connect(PROXY, b"PROXY TCP4 10.0.0.1 192.0.2.9 5000 80\r\n").finished
    assert host.counted == (1, 3, 2)


def test_datagrams_of_other_networks_are_dropped() -> None:
    host = Host(INSIDE)
    sock = FakeDatagramSocket()
    host.poller.open(sock)
    host.service.udp_socket(sock, lambda: None).open()
    sock.incoming += [(b"in", ("10.1.2.3", 1)), (b"denied", ("10.6.0.1", 2)), (b"out", ("192.0.2.7", 3))]
    host.settle()
    assert host.datagrams == [b"in"]
    assert (host.counters.denied, host.counters.messages) == (2, 1)


def test_refusals_are_logged_once_a_minute_for_each_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    host = Host(AdmissionRules(deny=["10.6.0.0/16"], most_per_address=1))
    for peer in ("10.6.0.1", "10.6.0.2", "10.6.0.3", "10.0.0.1", "10.0.0.1"):
        host.connect(peer)
    fields = [vars(record)["reactorhost_fields"] for record in caplog.records]
    assert [(each["reason"], str(each["peer"])) for each in fields] == [
        ("denied", "10.6.0.1:4711"),
        ("max_connections_per_address", "10.0.0.1:4711"),
    ]
    host.clock.now += 60.0
    host.settle()
    host.connect("10.6.0.4")
    assert vars(caplog.records[2])["reactorhost_fields"]["suppressed"] == 2
