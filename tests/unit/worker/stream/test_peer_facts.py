"""What is known of a peer beside its address, on the bench: it lasts as long as the plugin keeps the connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reactorhost import CloseReason, Connection, PeerCredentials, ProxyFacts, Worker, hookimpl
from reactorhost.testing import PluginBench

Bench = Callable[..., PluginBench]

CREDENTIALS = PeerCredentials(4711, 1000, 100)
FACTS: dict[str, Any] = {"credentials": CREDENTIALS, "proxy": ProxyFacts(authority="chat.example")}


class Notes:
    """Notes the facts of each connection in every hook."""

    def __init__(self, member: str) -> None:
        self.member = member
        self.seen: list[object] = []

    def note(self, connection: Connection) -> None:
        self.seen.append(getattr(connection, self.member))

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        self.worker = worker

    @hookimpl
    def connect(self, connection: Connection) -> None:
        self.note(connection)

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        self.note(connection)

    @hookimpl
    def close(self, connection: Connection, reason: CloseReason) -> None:
        self.note(connection)


@pytest.mark.parametrize("how", ["end", "reset", "abort", "close"])
@pytest.mark.parametrize(("argument", "member"), [("credentials", "peer_credentials"), ("proxy", "proxy")])
def test_every_hook_sees_them_and_a_connection_that_is_kept_still_has_them(
    plugin_bench: Bench, argument: str, member: str, how: str
) -> None:
    plugin = Notes(member)
    bench = plugin_bench(plugin)
    client, other = bench.connect(**{argument: FACTS[argument]}), bench.connect()
    client.send(b"x")
    getattr(client if how in ("end", "reset") else client.connection, how)()
    bench.settle()
    assert plugin.seen == [FACTS[argument], None, FACTS[argument], FACTS[argument]]
    assert getattr(client.connection, member) == FACTS[argument]
    assert getattr(other.connection, member) is None
    context = bench._service.context
    assert not context.credentials
    assert not context.proxies


def test_a_client_with_credentials_is_one_of_a_unix_socket(plugin_bench: Bench) -> None:
    assert str(plugin_bench(Notes("peer")).connect(credentials=CREDENTIALS).connection.peer) == "unix"


def test_an_outbound_connection_has_those_of_the_listener(plugin_bench: Bench) -> None:
    plugin = Notes("peer_credentials")
    bench = plugin_bench(plugin)
    for address in ("unix:///run/db.sock", "tcp://db:5432"):
        plugin.worker.connect(address, plugin)
        bench.settle()
    unix, tcp = bench.outbound
    unix._socket.credentials = CREDENTIALS
    assert unix.connection.peer_credentials == CREDENTIALS
    assert tcp.connection.peer_credentials is None


def test_a_datagram_has_neither(plugin_bench: Bench) -> None:
    for member in ("peer_credentials", "proxy"):
        plugin = Notes(member)
        plugin_bench(plugin).datagram(b"x")
        assert plugin.seen == [None]
