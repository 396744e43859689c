"""Outbound connections on the bench: the calls of a handler, failures, cancellation, backpressure."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import socket
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, strategies

from reactorhost import CloseReason, ConnectAttempt, ConnectFailedError, Connection, Lines, Worker, hookimpl
from reactorhost.testing import PluginBench
from reactorhost.worker.outbound.resolver import SocketAddress, interleaved, numeric_address

ADDRESS = "tcp://db:5432"


class Plugin:
    """A plugin whose worker a test uses."""

    worker: Worker

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        self.worker = worker


class AsyncPlugin(Plugin):
    """Runs a coroutine function for every message of a client, and keeps the outcomes."""

    def __init__(self, work: Callable[[Worker], Any]) -> None:
        self.work = work
        self.outcomes: list[object] = []

    @hookimpl
    async def receive(self, connection: Connection, data: bytes) -> None:
        # So that the rest runs between two turns of the reactor, also with eager tasks (Python 3.12).
        await asyncio.sleep(0)
        try:
            self.outcomes.append(await self.work(self.worker))
        except BaseException as error:
            self.outcomes.append(error)
            raise


class Recording:
    """A handler that records its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def connect(self, connection: Connection) -> None:
        self.calls.append(("connect", connection.service))

    def receive(self, data: bytes) -> None:
        self.calls.append(("receive", data))

    def close(self, reason: CloseReason) -> None:
        self.calls.append(("close", reason))

    def drain(self, connection: Connection) -> None:
        self.calls.append(("drain",))

    def failed(self, error: ConnectFailedError) -> None:
        self.calls.append(("failed", str(error)))


class Mute:
    """A handler with `receive` only."""

    def receive(self, data: bytes) -> None: ...


@pytest.fixture
def plugin() -> Plugin:
    return Plugin()


@pytest.fixture
def bench(plugin: Plugin) -> Iterator[PluginBench]:
    with PluginBench(plugin) as bench:
        yield bench


def test_nothing_is_called_before_connect_has_returned(bench: PluginBench, plugin: Plugin) -> None:
    handler = Recording()
    attempt = plugin.worker.connect(ADDRESS, handler)
    assert isinstance(attempt, ConnectAttempt)
    assert (attempt.connection, attempt.address, handler.calls) == (None, ADDRESS, [])
    bench.settle()
    assert attempt.connection is not None
    assert handler.calls == [("connect", ADDRESS)]


def test_bytes_go_both_ways_and_the_handler_is_closed(bench: PluginBench, plugin: Plugin) -> None:
    handler = Recording()
    attempt = plugin.worker.connect(ADDRESS, handler)
    bench.settle()
    (far_end,) = bench.outbound
    assert attempt.connection is far_end.connection
    assert str(far_end.connection.peer) == "db:5432"
    far_end.connection.send(b"question")
    far_end.send(b"answer")
    assert far_end.received == b"question"
    far_end.end()
    assert far_end.closed is CloseReason.PEER
    assert handler.calls == [("connect", ADDRESS), ("receive", b"answer"), ("close", CloseReason.PEER)]


def test_outbound_connections_are_not_listed_or_counted_as_clients(bench: PluginBench, plugin: Plugin) -> None:
    plugin.worker.connect(ADDRESS, Recording())
    bench.settle()
    bench.outbound[0].send(b"answer")
    counters = bench._service.context.counters
    assert (counters.bytes_in, counters.messages, counters.connections) == (0, 0, 0)
    assert list(plugin.worker.connections) == []


def test_a_handlers_framing_makes_messages(bench: PluginBench, plugin: Plugin) -> None:
    class Framed(Recording):
        def framing(self, service: str) -> Lines:
            assert service == ADDRESS
            return Lines()

    handler = Framed()
    plugin.worker.connect(ADDRESS, handler)
    bench.settle()
    bench.outbound[0].send(b"one\ntw")
    bench.outbound[0].send(b"o\n")
    bench.outbound[0].connection.send_message(b"hi")
    assert handler.calls[1:] == [("receive", b"one"), ("receive", b"two")]
    assert bench.outbound[0].received == b"hi\n"


def test_a_factory_that_makes_no_framing_is_reported_to_the_caller(bench: PluginBench, plugin: Plugin) -> None:
    made: list[object] = [Lines(), 7]

    class Broken(Mute):
        def framing(self) -> object:
            return lambda: made.pop(0)

    with pytest.raises(TypeError, match="needs a method feed"):
        plugin.worker.connect(ADDRESS, Broken())
    bench.settle()
    assert bench.outbound == []


def test_a_failure_calls_the_handler(bench: PluginBench, plugin: Plugin, caplog: pytest.LogCaptureFixture) -> None:
    bench.refuse(ADDRESS)
    handler = Recording()
    attempt = plugin.worker.connect(ADDRESS, handler)
    bench.settle()
    assert handler.calls == [("failed", "cannot connect to tcp://db:5432: connection refused")]
    assert attempt.connection is None
    assert not caplog.records


def test_a_failure_without_a_receiver_is_logged(
    bench: PluginBench, plugin: Plugin, caplog: pytest.LogCaptureFixture
) -> None:
    bench.refuse(ADDRESS, "name or service not known")
    plugin.worker.connect(ADDRESS, Mute())
    bench.settle()
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.WARNING, "connect_failed")
    fields = {"plugin": "Plugin", "address": ADDRESS, "reason": "name or service not known"}
    assert vars(record)["reactorhost_fields"] == fields


def test_a_handler_that_reconnects_at_once_lets_every_turn_end(bench: PluginBench, plugin: Plugin) -> None:
    class Reattempt:
        tries = 0

        def failed(self, error: ConnectFailedError) -> None:
            self.tries += 1
            if self.tries < 5000:
                plugin.worker.connect(ADDRESS, self)

    bench.refuse(ADDRESS)
    handler = Reattempt()
    plugin.worker.connect(ADDRESS, handler)
    bench.settle()
    assert handler.tries == 5000


def test_a_failure_is_reported_in_a_later_turn(bench: PluginBench, plugin: Plugin) -> None:
    bench.refuse(ADDRESS)
    handler = Recording()
    plugin.worker.connect(ADDRESS, handler)
    bench._time.reactor.turn(0)
    assert handler.calls == []
    bench._time.reactor.turn(0)
    assert handler.calls == [("failed", "cannot connect to tcp://db:5432: connection refused")]


def test_an_exception_of_failed_is_reported_as_that_of_a_hook(bench: PluginBench, plugin: Plugin) -> None:
    class Broken:
        def failed(self) -> None:
            raise ZeroDivisionError

    bench.refuse(ADDRESS)
    plugin.worker.connect(ADDRESS, Broken())
    with pytest.raises(ZeroDivisionError) as raised:
        bench.settle()
    assert raised.value.__notes__ == ["raised in failed of plugin Plugin"]


@pytest.mark.parametrize("method", ["connect", "receive"])
def test_a_method_that_raises_ends_its_connection_only(bench: PluginBench, plugin: Plugin, method: str) -> None:
    class Broken:
        closed: CloseReason | None = None

        def close(self, reason: CloseReason) -> None:
            self.closed = reason

    def broken(connection: Connection) -> None:
        raise ZeroDivisionError

    handler = Broken()
    setattr(handler, method, broken)
    client = bench.connect()
    plugin.worker.connect(ADDRESS, handler)
    plugin.worker.connect("unix:///other", Mute())

    def go_on() -> None:
        bench.settle()
        bench.outbound[0].send(b"answer")

    with pytest.raises(ZeroDivisionError) as raised:
        go_on()
    assert raised.value.__notes__[0].startswith(f"raised in {method} of plugin Plugin for <Connection ")
    assert handler.closed is CloseReason.ERROR
    assert client.closed is None
    assert bench.outbound[1].closed is None


@pytest.mark.parametrize("address", [ADDRESS, "udp://db:53"])
def test_a_handler_is_released_with_its_connection(bench: PluginBench, plugin: Plugin, address: str) -> None:
    """Without a run of the collector, which takes a part of the time of a relay."""

    class Keeping(Recording):
        def __init__(self) -> None:
            super().__init__()
            self.attempt = plugin.worker.connect(address, self)

        def connect(self, connection: Connection) -> None:
            self.connection = connection

    gc.collect()
    gc.disable()
    try:
        handler = Keeping()
        bench.settle()
        connection = handler.connection
        connection.close()
        bench.settle()
        bench.outbound.clear()
        assert handler.calls == [("close", CloseReason.LOCAL)]
        released = weakref.ref(handler)
        del handler
        assert released() is None
    finally:
        gc.enable()
    assert (connection.service, connection.draining, connection.send(b"late")) == (address, False, False)
    bench.stop()
    assert connection.draining


def test_an_exception_after_the_end_is_reported_under_the_plugin() -> None:
    async def work(worker: Worker) -> None:
        worker.connect(ADDRESS, Handler())

    class Handler:
        def connect(self, connection: Connection) -> None:
            connection.call_later(0.0, self.wait)

        async def wait(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                raise ZeroDivisionError

    with PluginBench(AsyncPlugin(work)) as bench:
        bench.connect().send(b"go")
        (far_end,) = bench.outbound
        with pytest.raises(ZeroDivisionError) as raised:
            far_end.end()
    assert raised.value.__notes__[0].startswith("raised in timer of plugin AsyncPlugin")


def test_cancelling_a_pending_attempt_calls_nothing(bench: PluginBench, plugin: Plugin) -> None:
    for refused in (False, True):
        if refused:
            bench.refuse(ADDRESS)
        handler = Recording()
        plugin.worker.connect(ADDRESS, handler).cancel()
        bench.settle()
        assert handler.calls == []
        assert bench.outbound == []


def test_cancelling_an_established_connection_does_nothing(bench: PluginBench, plugin: Plugin) -> None:
    handler = Recording()
    attempt = plugin.worker.connect(ADDRESS, handler)
    bench.settle()
    attempt.cancel()
    assert bench.outbound[0].closed is None


def test_drain_of_a_handler_may_send_before_the_worker_closes(plugin: Plugin) -> None:
    class Draining(Recording):
        def drain(self, connection: Connection) -> None:
            super().drain(connection)
            connection.send(b"bye\n")

    handler = Draining()
    with PluginBench(plugin) as bench:
        plugin.worker.connect(ADDRESS, handler)
        bench.settle()
    assert handler.calls == [("connect", ADDRESS), ("drain",), ("close", CloseReason.SHUTDOWN)]
    assert bench.outbound[0].received == b"bye\n"


@pytest.mark.parametrize(
    ("address", "options", "words"),
    [
        ("udp://h:0", {}, "needs a host and a port"),
        ("tcp://h", {}, "'tcp://h' has no port; write tcp://HOST:PORT"),
        ("tcp://*:1", {}, "needs a host and a port"),
        ("tcp://h:0", {}, "needs a host and a port"),
        ("ftp://h:1", {}, "unknown scheme 'ftp'"),
        ("unix:///p", {"server_name": "h"}, "does not use TLS: tls and server_name are for tls://"),
        ("tcp://h:1", {"timeout": 0}, "a timeout must be positive, not 0 seconds"),
        ("tcp://h:1", {"timeout": float("nan")}, "a timeout must be positive"),
    ],
)
def test_an_invalid_address_raises(
    plugin: Plugin, bench: PluginBench, address: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words.replace("*", r"\*")):
        plugin.worker.connect(address, Mute(), **options)


def test_async_methods_need_a_worker_with_async_hooks(plugin: Plugin, bench: PluginBench) -> None:
    class Async:
        async def receive(self, data: bytes) -> None: ...

    with pytest.raises(TypeError, match="no plugin of this worker has an async hook"):
        plugin.worker.connect(ADDRESS, Async())


# Awaited.


def test_await_returns_the_connection_after_the_handlers_connect() -> None:
    handler = Recording()

    async def work(worker: Worker) -> object:
        connection = await worker.connect(ADDRESS, handler)
        return (connection.service, tuple(handler.calls))

    plugin = AsyncPlugin(work)
    with PluginBench(plugin) as bench:
        bench.connect().send(b"go")
        assert plugin.outcomes == [(ADDRESS, (("connect", ADDRESS),))]


def test_an_awaited_failure_is_raised_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def work(worker: Worker) -> object:
        try:
            await worker.connect(ADDRESS, Mute())
        except ConnectFailedError as error:
            return (error.address, error.reason)
        return None

    plugin = AsyncPlugin(work)
    with PluginBench(plugin) as bench:
        bench.refuse(ADDRESS, "no answer within 10 s")
        bench.connect().send(b"go")
    assert plugin.outcomes == [(ADDRESS, "no answer within 10 s")]
    assert not [record for record in caplog.records if record.name == "reactorhost"]


def test_several_attempts_can_be_awaited_at_once() -> None:
    async def work(worker: Worker) -> object:
        found = await asyncio.gather(*(worker.connect(f"tcp://h:{port}", Mute()) for port in (1, 2, 3)))
        return [connection.peer.port for connection in found]

    plugin = AsyncPlugin(work)
    with PluginBench(plugin) as bench:
        bench.connect().send(b"go")
    assert plugin.outcomes == [[1, 2, 3]]


def test_cancel_cancels_the_awaiting_hook() -> None:
    async def work(worker: Worker) -> object:
        attempt = worker.connect(ADDRESS, Mute())
        asyncio.get_running_loop().call_soon(attempt.cancel)
        try:
            await attempt
        except asyncio.CancelledError:
            return "cancelled"
        return None

    plugin = AsyncPlugin(work)
    with PluginBench(plugin) as bench:
        bench.connect().send(b"go")
        assert bench.outbound == []
    assert plugin.outcomes == ["cancelled"]


def test_a_connection_is_closed_when_its_awaiting_hook_is_cancelled_before_it_resumes() -> None:
    async def work(worker: Worker) -> object:
        there = asyncio.Event()
        attempt = worker.connect(ADDRESS, types.SimpleNamespace(connect=there.set))
        task = asyncio.ensure_future(wait_for(attempt))
        await there.wait()
        # Its future has the connection, and the task is cancelled before its next step.
        assert attempt.connection is not None
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    async def wait_for(attempt: ConnectAttempt) -> Connection:
        return await attempt

    plugin = AsyncPlugin(work)
    with PluginBench(plugin) as bench:
        bench.connect().send(b"go")
        assert plugin.outcomes == [True]
        assert bench.outbound[0].closed is CloseReason.LOCAL


def test_a_worker_may_start_with_a_connection() -> None:
    class Starting:
        @hookimpl
        async def worker_start(self, worker: Worker) -> None:
            self.connection = await worker.connect(ADDRESS, Mute())

    plugin = Starting()
    with PluginBench(plugin) as bench:
        assert plugin.connection is bench.outbound[0].connection


def test_async_methods_run_in_order() -> None:
    seen: list[bytes] = []

    class Async:
        async def receive(self, connection: Connection, data: bytes) -> None:
            await asyncio.sleep(0)
            seen.append(data)
            connection.send(data)

        async def failed(self, error: ConnectFailedError) -> None:
            await asyncio.sleep(0)
            seen.append(error.reason.encode())

    async def work(worker: Worker) -> object:
        return await worker.connect(ADDRESS, Async())

    plugin = AsyncPlugin(work)
    with PluginBench(plugin) as bench:
        bench.connect().send(b"go")
        (far_end,) = bench.outbound
        far_end.send(b"one")
        far_end.send(b"two")
        assert far_end.received == b"onetwo"
        bench.refuse(ADDRESS)
        plugin.worker.connect(ADDRESS, Async())
        bench.settle()
    assert seen == [b"one", b"two", b"connection refused"]


# Backpressure.


def test_when_drained_calls_back_once_the_send_buffer_is_low(bench: PluginBench, plugin: Plugin) -> None:
    attempt = plugin.worker.connect(ADDRESS, Mute())
    bench.settle()
    (far_end,) = bench.outbound
    assert attempt.connection is not None
    said: list[str] = []
    attempt.connection.when_drained(said.append, "at once")
    assert said == []
    bench.advance(0)
    far_end.pause()
    attempt.connection.send(bytes(100_000))
    attempt.connection.when_drained(said.append, "later")
    bench.advance(1)
    assert said == ["at once"]
    far_end.resume()
    bench.advance(0)
    assert said == ["at once", "later"]


def test_when_drained_does_not_call_back_after_the_connection_ended(bench: PluginBench, plugin: Plugin) -> None:
    plugin.worker.connect(ADDRESS, Mute())
    bench.settle()
    (far_end,) = bench.outbound
    far_end.pause()
    far_end.connection.send(bytes(100_000))
    said: list[str] = []
    far_end.connection.when_drained(said.append, "later")
    far_end.reset()
    bench.advance(1)
    assert said == []


# Name resolution.


ADDRESSES = strategies.lists(
    strategies.builds(SocketAddress, strategies.sampled_from((socket.AF_INET, socket.AF_INET6)), strategies.integers()),
    min_size=1,
)


@given(ADDRESSES)
def test_addresses_of_two_families_alternate_each_in_its_order(addresses: list[SocketAddress]) -> None:
    ordered = interleaved(addresses)
    families = [address.family for address in ordered]
    for family in set(families):
        of_family = [address for address in addresses if address.family == family]
        assert [address for address in ordered if address.family == family] == of_family
    fewer = min(families.count(family) for family in (socket.AF_INET, socket.AF_INET6))
    assert families[0] == addresses[0].family
    assert all(first != second for first, second in itertools.pairwise(families[: 2 * fewer]))


def test_a_numeric_address_needs_no_lookup() -> None:
    assert numeric_address("127.0.0.1", 80) == SocketAddress(socket.AF_INET, ("127.0.0.1", 80))
    assert numeric_address("::1", 80) == SocketAddress(socket.AF_INET6, ("::1", 80, 0, 0))
    assert numeric_address("localhost", 80) is None
    assert numeric_address("a" * 300, 80) is None
