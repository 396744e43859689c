"""What a turn has read of several clients at once: each gets what is its own, whatever hooks do to the others."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reactorhost import CloseReason, Connection, Lines, hookimpl
from reactorhost.testing import BenchClient, PluginBench

Bench = Callable[..., PluginBench]


class Meddling:
    """Does something to a client when it hears from another one."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, bytes]] = []
        self.closed: list[tuple[int, CloseReason]] = []
        self.victim: Connection | None = None
        self.deed = ""

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        self.seen.append((connection.id, data))
        if self.victim is not None and connection is not self.victim:
            getattr(self.victim, self.deed)()

    @hookimpl
    def close(self, connection: Connection, reason: CloseReason) -> None:
        self.closed.append((connection.id, reason))


def ready_at_once(bench: PluginBench, *said: tuple[BenchClient, bytes | Exception]) -> None:
    """Let all of it be there in one turn."""
    for client, item in said:
        client._socket.incoming.append(item)
    bench.settle()


@pytest.fixture
def plugin() -> Meddling:
    return Meddling()


@pytest.fixture
def bench(plugin_bench: Bench, plugin: Meddling) -> PluginBench:
    return plugin_bench(plugin)


def test_everybody_gets_what_came_and_it_is_counted(bench: PluginBench, plugin: Meddling) -> None:
    one, two = bench.connect(), bench.connect()
    ready_at_once(bench, (one, b"first"), (two, b"second"))
    assert plugin.seen == [(1, b"first"), (2, b"second")]
    assert [client.connection.bytes_in for client in (one, two)] == [5, 6]
    counters = bench._service.context.counters
    assert (counters.messages, counters.bytes_in) == (2, 11)


def test_what_was_read_of_a_client_that_another_one_paused_waits_for_its_resume(
    bench: PluginBench, plugin: Meddling
) -> None:
    one, two = bench.connect(), bench.connect()
    plugin.victim, plugin.deed = two.connection, "pause"
    ready_at_once(bench, (one, b"x"), (two, b"kept"), (two, b"later"))
    assert plugin.seen == [(1, b"x")]
    assert (bench._service.context.counters.messages, two.connection.bytes_in) == (1, 0)
    two.connection.resume()
    bench.settle()
    assert plugin.seen == [(1, b"x"), (2, b"kept"), (2, b"later")]
    assert (bench._service.context.counters.messages, two.connection.bytes_in) == (3, 9)


def test_what_was_read_of_a_client_that_is_flooded_meanwhile_waits_until_it_has_read(plugin_bench: Bench) -> None:
    seen: list[bytes] = []

    class Floods:
        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            seen.append(data)
            if data == b"flood":
                two.connection.send(bytes(100_000))

    bench = plugin_bench(Floods())
    one, two = bench.connect(), bench.connect()
    two.pause()
    ready_at_once(bench, (one, b"flood"), (two, b"kept"), (two, b"later"))
    assert seen == [b"flood"]
    two.resume()
    assert seen == [b"flood", b"kept", b"later"]


def test_what_waits_comes_behind_the_messages_that_wait_already(plugin_bench: Bench) -> None:
    seen: list[bytes] = []

    class Pauses:
        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            seen.append(data)
            if connection is one.connection:
                two.connection.pause()

    bench = plugin_bench(Pauses())
    one, two = bench.connect(), bench.connect()
    two.connection.framing = Lines()
    ready_at_once(bench, (one, b"x"), (two, b"a\nb\nc"), (two, b"d\n"))
    assert seen == [b"x"]
    two.connection.resume()
    bench.settle()
    assert seen == [b"x", b"a", b"b", b"cd"]


def test_what_waits_for_a_resume_waits_on_when_it_is_paused_again(bench: PluginBench, plugin: Meddling) -> None:
    one, two = bench.connect(), bench.connect()
    plugin.victim, plugin.deed = two.connection, "pause"
    ready_at_once(bench, (one, b"x"), (two, b"kept"))
    two.connection.resume()
    two.connection.pause()
    bench.settle()
    assert plugin.seen == [(1, b"x")]
    two.connection.resume()
    bench.settle()
    assert plugin.seen == [(1, b"x"), (2, b"kept")]


@pytest.mark.parametrize("deed", ["close", "abort"])
def test_what_was_read_of_a_client_that_another_one_closed_is_dropped(
    bench: PluginBench, plugin: Meddling, deed: str
) -> None:
    one, two = bench.connect(), bench.connect()
    plugin.victim, plugin.deed = two.connection, deed
    ready_at_once(bench, (one, b"x"), (two, b"dropped"))
    assert plugin.seen == [(1, b"x")]
    assert plugin.closed == [(2, CloseReason.LOCAL)]
    counters = bench._service.context.counters
    assert (counters.messages, counters.bytes_in) == (1, 1)


@pytest.mark.parametrize("end", [b"", ConnectionResetError()])
def test_a_client_that_ends_as_another_one_closes_it_is_closed_once(
    bench: PluginBench, plugin: Meddling, end: bytes | Exception
) -> None:
    one, two = bench.connect(), bench.connect()
    plugin.victim, plugin.deed = two.connection, "close"
    ready_at_once(bench, (one, b"x"), (two, end))
    assert plugin.closed == [(2, CloseReason.LOCAL)]


def test_a_client_that_ends_as_another_one_pauses_it_is_heard_after_its_resume(
    bench: PluginBench, plugin: Meddling
) -> None:
    one, two = bench.connect(), bench.connect()
    plugin.victim, plugin.deed = two.connection, "pause"
    ready_at_once(bench, (one, b"x"), (two, b""))
    assert plugin.closed == []
    # Of plain TCP it would be told again, of TLS it was taken out of the stream.
    two.connection.resume()
    bench.settle()
    assert plugin.closed == [(2, CloseReason.PEER)]


def test_a_hook_that_raises_keeps_nobody_else_from_being_served(plugin_bench: Bench) -> None:
    seen: list[bytes] = []

    class Fails:
        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            if data == b"bad":
                raise ValueError(data)
            seen.append(data)

    bench = plugin_bench(Fails())
    one, two, three = (bench.connect() for _ in range(3))
    with pytest.raises(ValueError, match="bad"):
        ready_at_once(bench, (one, b"good"), (two, b"bad"), (three, b"good too"))
    assert seen == [b"good", b"good too"]
    assert [client.closed for client in (one, two, three)] == [None, CloseReason.ERROR, None]


def test_who_was_answered_by_a_slow_hook_has_all_the_idle_time_from_then_on(plugin_bench: Bench) -> None:
    class Slow:
        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            made._clock.now += 1.3
            connection.send(data)

    made = plugin_bench(Slow(), idle_timeout=1.0)
    clients = [made.connect() for _ in range(3)]
    ready_at_once(made, *((client, b"x") for client in clients))
    made.advance(0.9)
    assert [client.closed for client in clients] == [None] * 3
    made.advance(0.2)
    assert [client.closed for client in clients] == [CloseReason.IDLE] * 3


def test_progress_is_seen_from_inside_a_hook(plugin_bench: Bench) -> None:
    progress: list[int] = []

    class Asks:
        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            progress.append(made._service.context.dispatcher.handed_over)

    made = plugin_bench(Asks())
    clients = [made.connect() for _ in range(3)]
    ready_at_once(made, *((client, b"x") for client in clients))
    assert progress == [1, 2, 3]
