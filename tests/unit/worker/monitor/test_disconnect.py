"""An operator disconnects a client of a bench."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reactorhost import CloseReason, Connection, hookimpl
from reactorhost.testing import PluginBench
from reactorhost.testing.fakes import FakeSocket
from reactorhost.worker.monitor.disconnect import disconnect
from reactorhost.worker.stream.closing import CloseState

Bench = Callable[..., PluginBench]


class Greeting:
    """Sends a text to every client."""

    @hookimpl
    def connect(self, connection: Connection) -> None:
        connection.send(b"hello")


def test_the_client_gets_what_was_sent_and_the_plugin_the_reason(plugin_bench: Bench) -> None:
    bench = plugin_bench(Greeting())
    client, other = bench.connect(("10.0.0.7", 5000)), bench.connect()
    report = disconnect([other._transport, client._transport], 3, client.connection.id)
    client._settle()
    assert report == {"report": "disconnected", "request": 3, "service": "default", "peer": "10.0.0.7:5000"}
    assert client.received == b"hello"
    assert (client.closed, other.closed) == (CloseReason.OPERATOR, None)


def test_a_connection_that_is_gone_is_reported(plugin_bench: Bench) -> None:
    client = plugin_bench(Greeting()).connect()
    report = disconnect([client._transport], 3, client.connection.id + 1)
    assert (report["service"], report["peer"]) == (None, None)
    assert client.closed is None


def test_the_second_time_ends_a_client_that_does_not_read(plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    client = plugin_bench(Greeting()).connect()
    transport = client._transport
    monkeypatch.setattr(FakeSocket, "send", would_block)
    monkeypatch.setattr(FakeSocket, "sendmsg", would_block)
    client.connection.send(b"more")
    disconnect([transport], 1, client.connection.id)
    assert transport.close_state is CloseState.FLUSHING
    disconnect([transport], 2, client.connection.id)
    client._settle()
    assert client.closed is CloseReason.OPERATOR


def would_block(self: FakeSocket, data: object) -> int:
    raise BlockingIOError
