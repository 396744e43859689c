"""Dispatch of what a turn has read of several clients, while hooks close or pause some of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reactorhost import CloseReason, Connection, Lines, hookimpl
from reactorhost.testing import BenchClient, PluginBench

Bench = Callable[..., PluginBench]


class ActsOnOther:
    """Calls a method of one client's connection when another client sends."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, bytes]] = []
        self.closed: list[tuple[int, CloseReason]] = []
        self.target: Connection | None = None
        self.method = ""

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        self.seen.append((connection.id, data))
        if self.target is not None and connection is not self.target:
            getattr(self.target, self.method)()

    @hookimpl
    def close(self, connection: Connection, reason: CloseReason) -> None:
        self.closed.append((connection.id, reason))


def ready_at_once(bench: PluginBench, *items: tuple[BenchClient, bytes | Exception]) -> None:
    """Let all items be ready in one turn."""
    for client, item in items:
        client._socket.incoming.append(item)
    bench.settle()


@pytest.fixture
def plugin() -> ActsOnOther:
    return ActsOnOther()


@pytest.fixture
def bench(plugin_bench: Bench, plugin: ActsOnOther) -> PluginBench:
    return plugin_bench(plugin)


def test_input_of_all_clients_in_a_turn_is_delivered_and_counted(bench: PluginBench, plugin: ActsOnOther) -> None:
    one, two = bench.connect(), bench.connect()
    ready_at_once(bench, (one, b"first"), (two, b"second"))
    assert plugin.seen == [(1, b"first"), (2, b"second")]
    assert [client.connection.bytes_in for client in (one, two)] == [5, 6]
    counters = bench._service.context.counters
    assert (counters.messages, counters.bytes_in) == (2, 11)


def test_input_of_a_client_paused_by_another_hook_waits_for_resume(bench: PluginBench, plugin: ActsOnOther) -> None:
    one, two = bench.connect(), bench.connect()
    plugin.target, plugin.method = two.connection, "pause"
    ready_at_once(bench, (one, b"x"), (two, b"kept"), (two, b"later"))
    assert plugin.seen == [(1, b"x")]
    assert (bench._service.context.counters.messages, two.connection.bytes_in) == (1, 0)
    two.connection.resume()
    bench.settle()
    assert plugin.seen == [(1, b"x"), (2, b"kept"), (2, b"later")]
    assert (bench._service.context.counters.messages, two.connection.bytes_in) == (3, 9)


def test_input_of_a_client_with_a_full_send_buffer_waits_until_it_has_read(plugin_bench: Bench) -> None:
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


def test_kept_input_follows_the_messages_that_wait_in_the_framing(plugin_bench: Bench) -> None:
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


def test_kept_input_stays_kept_when_the_client_is_paused_again(bench: PluginBench, plugin: ActsOnOther) -> None:
    one, two = bench.connect(), bench.connect()
    plugin.target, plugin.method = two.connection, "pause"
    ready_at_once(bench, (one, b"x"), (two, b"kept"))
    two.connection.resume()
    two.connection.pause()
    bench.settle()
    assert plugin.seen == [(1, b"x")]
    two.connection.resume()
    bench.settle()
    assert plugin.seen == [(1, b"x"), (2, b"kept")]


@pytest.mark.parametrize("method", ["close", "abort"])
def test_input_of_a_client_closed_by_another_hook_is_dropped(
    bench: PluginBench, plugin: ActsOnOther, method: str
) -> None:
    one, two = bench.connect(), bench.connect()
    plugin.target, plugin.method = two.connection, method
    ready_at_once(bench, (one, b"x"), (two, b"dropped"))
    assert plugin.seen == [(1, b"x")]
    assert plugin.closed == [(2, CloseReason.LOCAL)]
    counters = bench._service.context.counters
    assert (counters.messages, counters.bytes_in) == (1, 1)


@pytest.mark.parametrize("end", [b"", ConnectionResetError()])
def test_a_client_that_ends_while_another_hook_closes_it_is_closed_once(
    bench: PluginBench, plugin: ActsOnOther, end: bytes | Exception
) -> None:
    one, two = bench.connect(), bench.connect()
    plugin.target, plugin.method = two.connection, "close"
    ready_at_once(bench, (one, b"x"), (two, end))
    assert plugin.closed == [(2, CloseReason.LOCAL)]


def test_the_end_of_a_client_paused_by_another_hook_is_handled_after_resume(
    bench: PluginBench, plugin: ActsOnOther
) -> None:
    one, two = bench.connect(), bench.connect()
    plugin.target, plugin.method = two.connection, "pause"
    ready_at_once(bench, (one, b"x"), (two, b""))
    assert plugin.closed == []
    # Plain TCP would report it again; with TLS it was removed from the stream.
    two.connection.resume()
    bench.settle()
    assert plugin.closed == [(2, CloseReason.PEER)]


def test_a_hook_that_raises_does_not_stop_the_dispatch_to_others(plugin_bench: Bench) -> None:
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


def test_the_idle_time_of_a_client_begins_after_the_slow_hooks_of_its_turn(plugin_bench: Bench) -> None:
    class Slow:
        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            made._time.clock.now += 1.3
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
