"""Context variables: what a hook sets is visible to the same connection, and to no other one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from reactorhost import CloseReason, Connection, Lines, Worker, hookimpl
from reactorhost.testing import PluginBench

Bench = Callable[..., PluginBench]

name: ContextVar[str] = ContextVar("name", default="-")


class Plain:
    """Notes what each hook sees, as `HOOK NAME`; a client's first message sets its name."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def note(self, where: str) -> None:
        self.seen.append(f"{where} {name.get()}")

    def named(self, data: bytes) -> None:
        self.note("receive")
        name.set(data.decode())

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        name.set("worker")

    @hookimpl
    def connect(self, connection: Connection) -> None:
        self.note("connect")
        name.set("connected")

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        self.named(data)
        connection.call_later(2 if data == b"a" else 1, self.note, "timer")

    @hookimpl
    def drain(self, connection: Connection) -> None:
        self.note("drain")

    @hookimpl
    def close(self, connection: Connection, reason: CloseReason) -> None:
        self.note("close")


class Async(Plain):
    """The same with async hooks, which set and read the variable in their tasks, before and after they wait."""

    @hookimpl
    async def worker_start(self, worker: Worker) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        name.set("worker")

    @hookimpl
    async def connect(self, connection: Connection) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        super().connect(connection)

    @hookimpl
    async def receive(self, connection: Connection, data: bytes) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        self.named(data)
        # Outside of a turn of the reactor: it schedules the next one now.
        connection.call_later(2 if data == b"a" else 1, self.timer)

    async def timer(self) -> None:
        await asyncio.sleep(0)
        self.note("timer")

    @hookimpl
    async def close(self, connection: Connection, reason: CloseReason) -> None:  # type: ignore[override]
        await asyncio.sleep(0)
        super().close(connection, reason)


class AsyncFramed(Async):
    @hookimpl
    def framing(self, service: str) -> object:
        return Lines()


class PlainFramed(Plain):
    @hookimpl
    def framing(self, service: str) -> object:
        return Lines()


EVERY = [Plain, PlainFramed, Async, AsyncFramed]


@pytest.mark.parametrize("plugin_class", EVERY)
def test_every_hook_and_timer_sees_what_its_own_connection_has_set(
    plugin_bench: Bench, plugin_class: type[Plain]
) -> None:
    plugin = plugin_class()
    bench = plugin_bench(plugin)
    end = b"\n" if hasattr(plugin, "framing") else b""
    clients = [bench.connect(), bench.connect()]
    assert plugin.seen == ["connect worker", "connect worker"]
    plugin.seen.clear()
    clients[0].send(b"a" + end)
    clients[1].send(b"b" + end)
    assert plugin.seen == ["receive connected", "receive connected"]
    plugin.seen.clear()
    bench.connect()
    bench.advance(1)
    bench.connect()
    bench.advance(1)
    assert plugin.seen == ["connect worker", "timer b", "connect worker", "timer a"]
    plugin.seen.clear()
    bench.drain()
    assert sorted(plugin.seen) == ["drain a", "drain b", "drain connected", "drain connected"]
    plugin.seen.clear()
    clients[0].end()
    clients[1].reset()
    assert plugin.seen == ["close a", "close b"]


def test_messages_of_a_framing_that_wait_for_an_async_hook_run_in_the_same_context(plugin_bench: Bench) -> None:
    plugin = AsyncFramed()
    client = plugin_bench(plugin).connect()
    client.send(b"a\nb\nc\n")
    assert plugin.seen == ["connect worker", "receive connected", "receive a", "receive b"]


@pytest.mark.parametrize("plugin_class", [Plain, Async])
def test_each_datagram_has_its_own_context(plugin_bench: Bench, plugin_class: type[Plain]) -> None:
    plugin = plugin_class()
    bench = plugin_bench(plugin)
    bench.datagram(b"a")
    bench.datagram(b"b")
    bench.advance(2)
    assert plugin.seen == ["receive worker", "receive worker", "timer b", "timer a"]


class Asking:
    """Starts something with the worker's methods for each client, which it names first."""

    def __init__(self, handler: object = None) -> None:
        self.seen: list[str] = []
        self.handler = handler

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        self.worker = worker

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        name.set(data.decode())
        self.ask(data)

    def ask(self, data: bytes) -> None:
        self.worker.connect("tcp://192.0.2.1:9", self.handler)

    def note(self, *_: object) -> None:
        self.seen.append(name.get())
        name.set("changed")


class Later(Asking):
    def ask(self, data: bytes) -> None:
        self.worker.call_later(1, self.note)


class LaterAsync(Asking):
    @hookimpl
    async def drain(self, connection: Connection) -> None:
        """Make the worker one with async hooks."""

    def ask(self, data: bytes) -> None:
        self.worker.call_later(1, self.note_later)

    async def note_later(self) -> None:
        await asyncio.sleep(0)
        self.note()


class Threaded(Asking):
    def ask(self, data: bytes) -> None:
        self.worker.run_in_thread(name.get, on_result=self.got)

    def got(self, result: str) -> None:
        assert result == name.get()
        self.note()


class ThreadedFailing(Asking):
    def ask(self, data: bytes) -> None:
        self.worker.run_in_thread(int, "x", on_error=self.note)


@pytest.mark.parametrize("plugin_class", [Later, LaterAsync, Threaded, ThreadedFailing])
def test_what_the_worker_runs_for_a_hook_sees_a_copy_of_what_the_hook_sees(
    plugin_bench: Bench, plugin_class: type[Asking]
) -> None:
    plugin = plugin_class()
    bench = plugin_bench(plugin)
    clients = [bench.connect(), bench.connect()]
    clients[0].send(b"a")
    clients[1].send(b"b")
    bench.advance(1)
    assert plugin.seen == ["a", "b"]


class Handler:
    """Notes what the methods of an outbound connection see."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def note(self, where: str) -> None:
        self.seen.append(f"{where} {name.get()}")

    def connect(self, connection: Connection) -> None:
        self.note("connect")
        name.set("upstream")

    def receive(self, connection: Connection, data: bytes) -> None:
        self.note("receive")

    def close(self, connection: Connection, reason: CloseReason) -> None:
        self.note("close")

    def failed(self, error: Exception) -> None:
        self.note("failed")


def test_an_outbound_connection_begins_with_a_copy_of_what_the_hook_sees(plugin_bench: Bench) -> None:
    handler = Handler()
    bench = plugin_bench(Asking(handler))
    client = bench.connect()
    client.send(b"a")
    bench.outbound[0].send(b"x")
    bench.outbound[0].end()
    assert handler.seen == ["connect a", "receive upstream", "close upstream"]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_failed_attempt_sees_what_the_hook_saw(plugin_bench: Bench, is_async: bool) -> None:
    class Failing(Handler):
        async def failed(self, error: Exception) -> None:  # type: ignore[override]
            await asyncio.sleep(0)
            self.note("failed")

    handler = Failing() if is_async else Handler()
    plugin = LaterAsync(handler)
    plugin.ask = Asking.ask.__get__(plugin)  # type: ignore[method-assign]
    bench = plugin_bench(plugin)
    bench.refuse("tcp://192.0.2.1:9")
    bench.connect().send(b"a")
    assert handler.seen == ["failed a"]


def test_what_a_timer_of_the_worker_sets_does_not_reach_clients(plugin_bench: Bench) -> None:
    class Ticking(Plain):
        @hookimpl
        def worker_start(self, worker: Worker) -> None:
            name.set("worker")
            worker.call_every(1, self.tick)

        def tick(self) -> None:
            name.set(name.get() + "+")

    plugin = Ticking()
    bench = plugin_bench(plugin)
    bench.advance(3)
    bench.connect()
    assert plugin.seen == ["connect worker"]


def test_a_framing_is_made_in_the_context_of_its_connection(plugin_bench: Bench) -> None:
    class Making(Plain):
        made = 0

        @hookimpl
        def framing(self, service: str) -> Any:
            return self.new

        def new(self) -> Lines:
            self.made += 1
            name.set(f"framing {self.made}")
            return Lines()

    plugin = Making()
    bench = plugin_bench(plugin)
    before = name.get()
    bench.connect()
    assert plugin.seen == [f"connect framing {plugin.made}"]
    assert name.get() == before
