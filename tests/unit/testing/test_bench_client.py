"""Clients on the bench: what they send and receive, and how they end."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from hypothesis import given, strategies

import reactorhost_echo
from hook_modules import of
from reactorhost import CloseReason, Connection, TlsFacts, hookimpl
from reactorhost.testing import PluginBench

Start = Callable[..., PluginBench]


def test_what_a_client_sends_and_receives(plugin_bench: Start) -> None:
    client = plugin_bench(reactorhost_echo).connect()
    client.send(b"one")
    client.send(b"two")
    assert client.received == b"onetwo"
    assert (client.connection.bytes_in, client.connection.bytes_out) == (6, 6)
    assert client.closed is None
    client.end()
    assert client.closed is CloseReason.PEER


def test_a_client_that_admit_refuses_reaches_no_other_hook(plugin_bench: Start) -> None:
    connected: list[Connection] = []

    def connect(connection: Connection) -> None:
        connected.append(connection)

    bench = plugin_bench(of(admit=lambda peer: peer.port != 7, connect=connect))
    refused = bench.connect(("192.0.2.7", 7))
    assert (refused.refused, refused.closed, connected) == (True, None, [])
    for action in (lambda: refused.send(b"x"), lambda: refused.connection):
        with pytest.raises(ConnectionError):
            action()
    assert not bench.connect(("192.0.2.7", 8)).refused
    assert len(connected) == 1


def test_a_client_answers_a_close_unless_ends_too_is_false(plugin_bench: Start) -> None:
    def receive(connection: Connection) -> None:
        connection.send(b"bye")
        connection.close()

    bench = plugin_bench(of(receive=receive), close_timeout=5.0)
    polite, unfinished = bench.connect(), bench.connect(ends_too=False)
    polite.send(b"x")
    unfinished.send(b"x")
    assert polite.received == unfinished.received == b"bye"
    assert (polite.eof, unfinished.eof) == (True, True)
    assert (polite.closed, unfinished.closed) == (CloseReason.LOCAL, None)
    bench.advance(5.0)
    assert unfinished.closed is CloseReason.LOCAL


def test_a_half_closed_client_goes_on_sending(plugin_bench: Start) -> None:
    received: list[bytes] = []

    def receive(connection: Connection, data: bytes) -> None:
        received.append(data)
        connection.send_eof()

    client = plugin_bench(of(receive=receive)).connect()
    client.send(b"one")
    assert client.eof
    client.send(b"two")
    assert received == [b"one", b"two"]


def test_a_client_that_reads_nothing_makes_answers_wait(plugin_bench: Start) -> None:
    client = plugin_bench(reactorhost_echo).connect()
    client.pause()
    client.send(bytes(100_000))
    assert client.received == b""
    assert 65_536 < client.connection.queued < 100_000
    client.resume()
    assert client.received == bytes(100_000)


def test_too_much_for_a_client_that_reads_nothing_is_overflow(plugin_bench: Start) -> None:
    bench = plugin_bench(reactorhost_echo, max_send_buffer=1024)
    client = bench.connect()
    client.pause()
    client.send(bytes(2000))
    assert client.closed is None
    client.send(b"x")
    assert client.closed is CloseReason.OVERFLOW


def test_a_reset_is_the_clients_end(plugin_bench: Start) -> None:
    client = plugin_bench(reactorhost_echo).connect()
    client.reset()
    assert client.closed is CloseReason.PEER


def test_a_client_that_is_gone_cannot_send(plugin_bench: Start) -> None:
    bench = plugin_bench(reactorhost_echo)
    ended, waiting, refused = bench.connect(), bench.connect(), bench.connect()
    ended.end()
    waiting.pause()
    waiting.send(b"x")
    waiting.end()
    assert waiting.closed is None
    refused.connection.abort()
    bench.settle()
    assert refused.closed is CloseReason.LOCAL
    for client in (ended, waiting, refused):
        with pytest.raises(ConnectionError):
            client.send(b"x")


def test_drain_is_called_for_open_clients(plugin_bench: Start) -> None:
    def drain(connection: Connection) -> None:
        connection.send(b"soon")

    bench = plugin_bench(of(drain=drain), reactorhost_echo)
    client = bench.connect()
    bench.drain()
    client.send(b"!")
    assert client.received == b"soon!"
    assert client.closed is None


def test_the_worker_knows_its_clients(plugin_bench: Start) -> None:
    bench = plugin_bench(reactorhost_echo)
    clients = [bench.connect() for _ in range(3)]
    assert {each.id for each in bench.worker.connections} == {client.connection.id for client in clients}


def test_nothing_is_opened(plugin_bench: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "socket")
    client = plugin_bench(reactorhost_echo).connect()
    client.send(b"x")
    assert client.received == b"x"
    assert str(client.connection.local) == "127.0.0.1:9000"


@given(strategies.lists(strategies.binary(min_size=1, max_size=40_000), max_size=5), strategies.booleans())
def test_an_echo_is_whole_for_any_pieces(pieces: list[bytes], paused: bool) -> None:
    with PluginBench(reactorhost_echo) as bench:
        client = bench.connect()
        if paused:
            client.pause()
        for piece in pieces:
            client.send(piece)
        client.resume()
        assert client.received == b"".join(pieces)


def test_a_client_has_the_tls_facts_that_a_test_sets(plugin_bench: Start) -> None:
    seen: list[TlsFacts | None] = []
    facts = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", server_name="example.org")
    bench = plugin_bench(of(connect=lambda connection: seen.append(connection.tls)), reactorhost_echo)
    client = bench.connect(tls=facts)
    bench.connect()
    client.send(b"x")
    assert client.received == b"x"
    assert seen == [facts, None]


def test_a_client_that_is_reset_while_it_is_paused_ends(plugin_bench: Start) -> None:
    class Pauses:
        @hookimpl
        def connect(self, connection: Connection) -> None:
            connection.pause()

    client = plugin_bench(Pauses).connect()
    client.reset()
    assert client.closed is CloseReason.PEER
