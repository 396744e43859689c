"""A connection that has ended: nothing that it held stays until the cyclic collector runs."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator

import pytest

from reactorhost import CloseReason, Connection, Delimited, Fixed, LengthPrefixed, Lines, hookimpl
from reactorhost.testing import PluginBench

Bench = Callable[..., PluginBench]


class OwnFraming:
    """One message is everything before a newline; written as a plugin would."""

    def __init__(self) -> None:
        self.pending = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        *messages, self.pending = (self.pending + data).split(b"\n")
        yield from messages


# Subclasses, because those of the host have slots and none for weak references.
FRAMINGS = {
    "none": None,
    "lines": lambda: type("Watched", (Lines,), {})(max_size=1000),
    "delimited": lambda: type("Watched", (Delimited,), {})(b"\n", max_size=1000),
    "length prefix": lambda: type("Watched", (LengthPrefixed,), {})(">H", max_size=1000),
    "fixed": lambda: type("Watched", (Fixed,), {})(30_000),
    "own": OwnFraming,
}


class Keeps:
    """Keeps what it receives in the connection's state, and starts a timer."""

    def __init__(self, framing: Callable[[], object] | None) -> None:
        self.made = framing
        self.kept: list[weakref.ref[object]] = []
        self.held: Connection | None = None

    @hookimpl
    def connect(self, connection: Connection) -> None:
        connection.state.buffer = OwnFraming()
        self.kept.append(weakref.ref(connection.state.buffer))
        connection.call_later(10, connection.close)
        if self.made is not None:
            connection.framing = self.made()  # type: ignore[assignment]
            self.kept.append(weakref.ref(connection.framing))

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        connection.send(data)


class KeepsAsync(Keeps):
    @hookimpl
    async def receive(self, connection: Connection, data: bytes) -> None:  # type: ignore[override]
        connection.send(data)


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("kind", [Keeps, KeepsAsync])
# Not a reset: the exception that the fake socket raises refers to the frames that it has passed.
@pytest.mark.parametrize("how", ["end", "close", "abort"])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_nothing_is_left_to_the_cyclic_collector(plugin_bench: Bench, framing: str, how: str, kind: type) -> None:
    plugin = kind(FRAMINGS[framing])
    bench = plugin_bench(plugin)
    client = bench.connect()
    client.send(b"\0\x20begin of a message")
    getattr(client if how == "end" else client.connection, how)()
    bench.settle()
    assert client.closed is not None
    bench._clients.clear()
    del client
    assert [kept() for kept in plugin.kept] == [None] * len(plugin.kept)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("framing", ["lines", "delimited", "length prefix"])
def test_a_message_that_is_too_long_is_not_kept(plugin_bench: Bench, framing: str) -> None:
    plugin = Keeps(FRAMINGS[framing])
    client = plugin_bench(plugin).connect()
    client.send(b"x" * 5000)
    assert client.closed is CloseReason.FRAMING
    # The client of the test keeps the transport, and the plugin the connection.
    assert plugin.kept[-1]() is None


def test_a_plugin_may_use_a_connection_that_it_has_kept(plugin_bench: Bench) -> None:
    calls: list[object] = []
    bench = plugin_bench(Keeps(FRAMINGS["lines"]))
    client = bench.connect(("192.0.2.7", 1234))
    connection = client.connection
    text = repr(connection)
    client.end()
    assert client.closed is CloseReason.PEER
    assert repr(connection) == text
    assert (connection.queued, connection.framing, connection.idle_timeout) == (0, None, None)
    assert connection.age >= 0
    assert connection.local.port == 0
    assert not connection.send(b"x")
    assert not connection.send_message(b"x")
    connection.framing = Lines()
    connection.idle_timeout = 3.0
    assert not connection.send_message(b"x")
    for request in (connection.pause, connection.resume, connection.send_eof, connection.close, connection.abort):
        request()
    connection.throttle(1)
    connection.when_drained(calls.append, "drained")
    connection.call_later(0, calls.append, "timer").cancel()
    with pytest.raises(TypeError, match="seconds"):
        connection.call_later("soon", print)  # type: ignore[arg-type]
    bench.advance(20)
    assert calls == []
