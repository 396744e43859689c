"""Outbound UDP connections on the bench: datagrams both ways, what ends them, and what does not."""

from __future__ import annotations

import asyncio
import errno
import io
import os
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from reactorhost import CloseReason, Connection, Lines, Worker, hookimpl
from reactorhost.api.connection import transport_of
from reactorhost.testing import BenchClient, PluginBench
from reactorhost.worker.stream.closed import ClosedTransport

ADDRESS = "udp://time:123"

Bench = Callable[..., PluginBench]


class Plugin:
    """A plugin whose worker a test uses."""

    worker: Worker

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        self.worker = worker


class AsyncPlugin(Plugin):
    """The same in a worker with async hooks."""

    @hookimpl
    async def worker_stop(self) -> None: ...


class Handler:
    """A handler that records its calls."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def connect(self, connection: Connection) -> None:
        self.calls.append("connect")

    def receive(self, connection: Connection, data: bytes) -> None:
        self.calls.append(data)

    def close(self, connection: Connection, reason: CloseReason) -> None:
        self.calls.append(reason)


@pytest.fixture
def plugin() -> Plugin:
    return Plugin()


@pytest.fixture
def bench(plugin: Plugin, plugin_bench: Bench) -> PluginBench:
    return plugin_bench(plugin)


@pytest.fixture
def handler() -> Handler:
    return Handler()


def connected(bench: PluginBench, handler: object) -> BenchClient:
    """Connect a handler, and return the other end."""
    bench.worker.connect(ADDRESS, handler)
    bench.settle()
    return bench.outbound[-1]


@pytest.fixture
def server(bench: PluginBench, handler: Handler) -> BenchClient:
    return connected(bench, handler)


def test_datagrams_go_both_ways_and_stay_apart(handler: Handler, bench: PluginBench, server: BenchClient) -> None:
    connection = server.connection
    assert all(connection.send(data) for data in (b"one", bytearray(b"two"), memoryview(b""), bytes(65507)))
    assert server.datagrams == [b"one", b"two", b"", bytes(65507)]
    for data in (b"first", b"", b"second"):
        server.send(data)
    assert handler.calls == ["connect", b"first", b"", b"second"]
    assert (connection.bytes_out, connection.bytes_in) == (65513, 11)
    assert (connection.service, str(connection.peer), connection.queued, connection.tls) == (
        ADDRESS,
        "time:123",
        0,
        None,
    )
    outbound, clients = bench._parts.outbound.context.dispatcher.counters, bench._service.context.counters
    assert (outbound.messages, outbound.bytes_in, outbound.bytes_out) == (3, 11, 65513)
    assert (clients.messages, clients.connections) == (0, 0)


def test_a_batch_of_datagrams_leaves_room_for_others(handler: Handler, bench: PluginBench, server: BenchClient) -> None:
    server._socket.incoming.extend(b"%d" % number for number in range(100))
    bench._time.reactor.turn(0)
    assert len(handler.calls) == 1 + 64
    bench.settle()
    assert handler.calls[1:] == [b"%d" % number for number in range(100)]


# The end.


@pytest.mark.parametrize("method", ["close", "abort"])
def test_closing_ends_it_at_once_and_once(
    handler: Handler, bench: PluginBench, server: BenchClient, method: str
) -> None:
    connection = server.connection
    connection.call_later(1.0, handler.calls.append, "timer")
    getattr(connection, method)()
    assert handler.calls == ["connect"], "the handler may be at work further up the stack"
    assert not connection.send(b"late")
    connection.close()
    connection.abort()
    connection.resume()
    bench.advance(2.0)
    assert handler.calls == ["connect", CloseReason.LOCAL]
    assert (server.datagrams, server._socket.finished) == ([], True)


def test_a_peer_without_a_listener_closes_it(handler: Handler, bench: PluginBench, server: BenchClient) -> None:
    server.connection.send(b"anyone?")
    server.send(b"earlier answer")
    server.reset()
    assert handler.calls == ["connect", b"earlier answer", CloseReason.PEER]


def test_a_send_notices_it_too_while_nothing_is_read(handler: Handler, bench: PluginBench, server: BenchClient) -> None:
    server.connection.pause()
    server.reset()
    assert handler.calls == ["connect"]
    assert not server.connection.send(b"anyone?")
    bench.settle()
    assert handler.calls == ["connect", CloseReason.PEER]


def test_a_handler_may_connect_again_when_it_is_closed(
    handler: Handler, bench: PluginBench, server: BenchClient
) -> None:
    again = SimpleNamespace(close=lambda: bench.worker.connect(ADDRESS, handler))
    connected(bench, again).reset()
    assert [each.closed for each in bench.outbound] == [None, CloseReason.PEER, None]


@pytest.mark.parametrize("number", [errno.EMSGSIZE, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES])
def test_any_other_error_is_a_lost_datagram(handler: Handler, server: BenchClient, number: int) -> None:
    server._socket.incoming.append(OSError(number, os.strerror(number)))
    server.send(b"answer")
    assert handler.calls == ["connect", b"answer"]
    assert server.connection.send(b"question")


def test_a_datagram_that_the_kernel_does_not_accept_is_lost(server: BenchClient) -> None:
    server.pause()
    assert not server.connection.send(b"lost")
    server.resume()
    assert server.connection.send(b"sent")
    assert server.datagrams == [b"sent"]


def test_what_cannot_be_a_datagram_is_refused(server: BenchClient) -> None:
    with pytest.raises(
        ValueError, match="a datagram has room for 65507 bytes over IPv4, 65527 over IPv6, not for 70000"
    ):
        server.connection.send(bytes(70_000))
    with pytest.raises(TypeError, match="send takes bytes-like data, not str"):
        server.connection.send("text")  # type: ignore[arg-type]
    assert server.closed is None


@pytest.mark.parametrize("method", ["connect", "receive", "timer"])
def test_an_exception_closes_it(handler: Handler, bench: PluginBench, method: str) -> None:
    def fail(connection: Connection) -> None:
        raise ZeroDivisionError

    broken = SimpleNamespace(close=handler.close)
    if method != "timer":
        setattr(broken, method, fail)

    def go_on() -> None:
        server = connected(bench, broken)
        server.connection.call_later(1.0, fail, server.connection)
        server.send(b"x")
        bench.advance(1.0)

    with pytest.raises(ZeroDivisionError) as raised:
        go_on()
    assert raised.value.__notes__[0].startswith(f"raised in {method} of plugin Plugin for <Connection ")
    bench.settle()
    assert handler.calls == [CloseReason.ERROR]


def test_a_silent_peer_ends_by_the_idle_timeout(handler: Handler, bench: PluginBench, server: BenchClient) -> None:
    connection = server.connection
    assert connection.idle_timeout is None
    connection.idle_timeout = 10.0
    for traffic in (lambda: server.send(b"x"), lambda: connection.send(b"x"), connection.pause):
        bench.advance(9.0)
        traffic()
    bench.advance(100.0)
    assert server.closed is None, "a paused connection is not idle"
    connection.resume()
    bench.advance(9.9)
    assert server.closed is None
    bench.advance(0.2)
    assert server.closed is CloseReason.IDLE


def test_an_idle_timeout_can_be_lifted(bench: PluginBench, server: BenchClient) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        server.connection.idle_timeout = -1.0
    server.connection.idle_timeout = 10.0
    server.connection.idle_timeout = None
    bench.advance(100.0)
    assert server.closed is None


def test_the_worker_drains_it_and_closes_it(bench: PluginBench, handler: Handler) -> None:
    handler.drain = lambda connection: handler.calls.append(connection.send(b"bye"))  # type: ignore[attr-defined]
    server = connected(bench, handler)
    bench.stop()
    assert handler.calls == ["connect", True, CloseReason.SHUTDOWN]
    assert server.datagrams == [b"bye"]


def test_a_connection_that_is_kept_refers_to_nothing_and_may_be_used(bench: PluginBench, server: BenchClient) -> None:
    connection = server.connection
    local = connection.local
    connection.close()
    bench.settle()
    # A timer or a session that the transport has kept would stay with it.
    assert isinstance(transport_of(connection), ClosedTransport)
    assert not connection.send(b"x")
    assert (repr(connection), connection.local) == (f"<Connection {connection.id} {ADDRESS} time:123>", local)


# Pauses and async handlers.


def test_a_pause_leaves_datagrams_in_the_kernel(handler: Handler, bench: PluginBench, server: BenchClient) -> None:
    connection = server.connection
    connection.pause()
    server.send(b"one")
    assert handler.calls == ["connect"]
    connection.resume()
    server.send(b"two")
    assert handler.calls == ["connect", b"one", b"two"]


def test_a_pause_within_a_batch_holds_the_rest(handler: Handler, bench: PluginBench, server: BenchClient) -> None:
    def receive(connection: Connection, data: bytes) -> None:
        handler.calls.append(data)
        connection.pause()

    other = connected(bench, SimpleNamespace(receive=receive))
    other._socket.incoming.extend([b"one", b"two"])
    bench.settle()
    assert handler.calls == ["connect", b"one"]
    other.connection.resume()
    bench.settle()
    assert handler.calls == ["connect", b"one", b"two"]


def test_a_throttle_leaves_datagrams_in_the_kernel_for_its_time(
    handler: Handler, bench: PluginBench, server: BenchClient
) -> None:
    connection = server.connection
    connection.idle_timeout = 2.0
    connection.throttle(5.0)
    connection.pause()
    server.send(b"one")
    connection.resume()
    bench.advance(4.9)
    assert handler.calls == ["connect"]
    bench.advance(0.2)
    assert handler.calls == ["connect", b"one"]
    with pytest.raises(TypeError, match="seconds must be a number"):
        connection.throttle("1")  # type: ignore[arg-type]


@pytest.mark.parametrize("closed", [True, False])
def test_a_throttle_ends_with_its_connection(
    handler: Handler, bench: PluginBench, server: BenchClient, closed: bool
) -> None:
    if closed:
        server.connection.close()
    server.connection.throttle(5.0)
    server.connection.close()
    assert len(bench._parts.context.throttles) == 0
    bench.advance(10.0)
    assert handler.calls == ["connect", CloseReason.LOCAL]


def test_a_throttle_holds_what_waits_for_async_methods(plugin_bench: Bench) -> None:
    seen: list[bytes] = []

    async def receive(connection: Connection, data: bytes) -> None:
        await asyncio.sleep(1.0)
        seen.append(data)
        connection.throttle(5.0)

    bench = plugin_bench(AsyncPlugin)
    server = connected(bench, SimpleNamespace(receive=receive))
    server.send(b"one")
    server.send(b"two")
    bench.advance(6.9)
    assert seen == [b"one"]
    bench.advance(0.2)
    assert seen == [b"one", b"two"]


def test_async_methods_run_in_order_and_hold_the_reading(plugin_bench: Bench) -> None:
    seen: list[bytes] = []
    gate = asyncio.Event()

    async def receive(data: bytes) -> None:
        await gate.wait()
        seen.append(data)

    bench = plugin_bench(AsyncPlugin)
    server = connected(bench, SimpleNamespace(receive=receive))
    server.connection.idle_timeout = 1.0
    sent = [b"%d" % number for number in range(400)]
    server._socket.incoming.extend(sent)
    bench.settle()
    assert 0 < len(server._socket.incoming) < 400
    bench.advance(10.0)
    assert server.closed is None, "a connection whose handler is at work is not idle"
    gate.set()
    bench.settle()
    assert seen == sent
    bench.advance(1.1)
    assert server.closed is CloseReason.IDLE


def test_a_task_keeps_it_from_being_idle_and_ends_with_it(plugin_bench: Bench) -> None:
    gate = asyncio.Event()
    ended: list[str] = []

    async def work(name: str) -> None:
        try:
            await gate.wait()
            ended.append(name)
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    bench = plugin_bench(AsyncPlugin)
    connection = connected(
        bench, SimpleNamespace(connect=lambda connection: connection.create_task(work("one")))
    ).connection
    connection.idle_timeout = 1.0
    bench.advance(10.0)
    assert connection.send(b"open")
    gate.set()
    bench.settle()
    connection.close()
    bench.settle()
    assert ended == ["one", "cancelled"]


# What UDP does not have.


def test_a_framing_is_refused(bench: PluginBench, server: BenchClient) -> None:
    handler = SimpleNamespace(receive=lambda data: None, framing=lambda service: Lines())
    with pytest.raises(
        TypeError, match="the handler has a framing, but what udp://time:123 sends are messages already"
    ):
        bench.worker.connect(ADDRESS, handler)
    bench.settle()
    assert len(bench.outbound) == 1
    with pytest.raises(TypeError, match="a datagram is a message already and takes no framing"):
        server.connection.framing = Lines()
    assert server.connection.framing is None


def test_a_handler_may_choose_no_framing(bench: PluginBench) -> None:
    server = connected(bench, SimpleNamespace(receive=lambda data: None, framing=lambda service: None))
    assert server.closed is None


def test_members_of_streams_have_no_effect(handler: Handler, bench: PluginBench, server: BenchClient) -> None:
    connection = server.connection
    connection.send_eof()
    said: list[bool] = []
    connection.when_drained(said.append, True)
    bench.settle()
    assert said == [True]
    assert connection.send(b"still open")
    for use in (lambda: connection.join("room"), lambda: connection.ref):
        with pytest.raises(ValueError, match="an outbound UDP connection cannot"):
            use()
    with pytest.raises(ConnectionError, match="over UDP, which has no end"):
        server.end()


def test_tls_and_files_are_refused(handler: Handler, bench: PluginBench, server: BenchClient) -> None:
    assert not server.connection.can_start_tls
    with pytest.raises(RuntimeError, match="a datagram cannot begin TLS"):
        server.connection.start_tls()
    with pytest.raises(RuntimeError, match="a file does not go into a datagram"):
        server.connection.send_file(io.BytesIO(b"x"))
    with pytest.raises(ValueError, match="udp://time:123 does not use TLS"):
        bench.worker.connect(ADDRESS, handler, server_name="time")
