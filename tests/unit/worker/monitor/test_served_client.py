"""The client that code works for is found on the stack, whatever the host has called the plugin for; on a bench."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from reactorhost import Connection, hookimpl
from reactorhost.testing import BenchClient, PluginBench
from reactorhost.worker.monitor.served_client import client_of

Bench = Callable[..., PluginBench]
Found = list[Connection | None]


class Looks:
    """Look in each hook; none of them has the connection as a parameter unless it uses it."""

    def __init__(self) -> None:
        self.found: Found = []

    def look(self) -> None:
        self.found.append(client_of(sys._getframe()))

    @hookimpl
    def connect(self) -> None:
        self.look()

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        if data.strip() == b"later":
            connection.call_later(1, self.look)
        else:
            self.look()

    @hookimpl
    def eof(self) -> None:
        self.look()

    @hookimpl
    def drain(self) -> None:
        self.look()

    @hookimpl
    def close(self) -> None:
        self.look()


class LooksAfterAwaits:
    """Look in each kind of async function after it has awaited something."""

    def __init__(self) -> None:
        self.found: Found = []

    async def look(self) -> None:
        await asyncio.sleep(1)
        self.found.append(client_of(sys._getframe()))

    @hookimpl
    async def receive(self, connection: Connection, data: bytes) -> None:
        match data:
            case b"later":
                connection.call_later(1, self.look)
            case b"task":
                connection.create_task(self.look())
            case _:
                await self.look()


class LooksAsProtocol:
    """Look in the methods of a protocol of asyncio."""

    def __init__(self) -> None:
        self.found: Found = []

    @hookimpl
    def protocol(self) -> Callable[[], asyncio.Protocol]:
        def look() -> None:
            self.found.append(client_of(sys._getframe()))

        class Protocol(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                look()

            def data_received(self, data: bytes) -> None:
                look()

            def eof_received(self) -> bool:
                look()
                return False

            def connection_lost(self, exc: Exception | None) -> None:
                look()

        return Protocol


class LooksAsHandler:
    """Look in a stream handler after it has awaited something."""

    def __init__(self) -> None:
        self.found: Found = []

    @hookimpl
    async def stream_handler(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        self.found.append(client_of(sys._getframe()))


def finds_the_second(bench: PluginBench, plugin: Any, act: Callable[[BenchClient], object]) -> bool:
    """Return whether the second of two clients is found, and no other one, while something happens to it."""
    _, second = bench.connect(), bench.connect()
    plugin.found.clear()
    act(second)
    bench.advance(3)
    return set(plugin.found) == {second.connection}


def send(data: bytes) -> Callable[[BenchClient], object]:
    return lambda client: client.send(data)


@pytest.mark.parametrize("framing", [None, "lines"])
@pytest.mark.parametrize(
    "act",
    [send(b"x\n"), send(b"later\n"), BenchClient.end, BenchClient.reset, lambda client: client.connection.close()],
    ids=["receive", "timer", "end", "reset", "close"],
)
def test_a_plain_hook_works_for_its_client(plugin_bench: Bench, framing: str | None, act: Any) -> None:
    plugin = Looks()
    bench = plugin_bench(plugin, **({} if framing is None else {"framing": framing}))
    assert finds_the_second(bench, plugin, act)


def test_connect_works_for_the_new_client(plugin_bench: Bench) -> None:
    plugin = Looks()
    bench = plugin_bench(plugin)
    clients = [bench.connect() for _ in range(2)]
    assert plugin.found == [client.connection for client in clients]


@pytest.mark.parametrize("data", [b"x", b"later", b"task"])
def test_an_async_function_that_has_awaited_works_for_its_client(plugin_bench: Bench, data: bytes) -> None:
    plugin = LooksAfterAwaits()
    assert finds_the_second(plugin_bench(plugin), plugin, send(data))


@pytest.mark.parametrize(
    ("kind", "act"),
    [(LooksAsProtocol, send(b"x")), (LooksAsProtocol, BenchClient.end), (LooksAsHandler, send(b"x"))],
    ids=["data", "end", "handler"],
)
def test_a_protocol_of_asyncio_works_for_its_client(plugin_bench: Bench, kind: type[Any], act: Any) -> None:
    plugin = kind()
    assert finds_the_second(plugin_bench(plugin), plugin, act)


def test_a_datagram_works_for_its_sender(plugin_bench: Bench) -> None:
    plugin = Looks()
    plugin_bench(plugin).datagram(b"x", ("10.0.0.7", 4711))
    assert [str(each and each.peer) for each in plugin.found] == ["10.0.0.7:4711"]


def test_the_client_whose_hook_uses_another_one_is_found(plugin_bench: Bench) -> None:
    found: Found = []

    class Uses:
        def __init__(self) -> None:
            self.first: Connection | None = None

        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            if self.first is None:
                self.first = connection
            connection = self.first
            found.append(client_of(sys._getframe()))

    bench = plugin_bench(Uses())
    clients = [bench.connect(), bench.connect()]
    for client in clients:
        client.send(b"x")
    assert found == [client.connection for client in clients]


@pytest.mark.parametrize("address", ["tcp://db:5432", "udp://db:5432"])
def test_a_method_of_a_handler_works_for_the_far_end(plugin_bench: Bench, address: str) -> None:
    plugin = Looks()

    class Connects:
        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            bench.worker.connect(address, plugin)

    bench = plugin_bench(Connects())
    bench.connect().send(b"x")
    bench.outbound[0].send(b"answer")
    assert [str(each and each.peer) for each in plugin.found] == ["db:5432"] * 2


def test_what_is_called_for_no_client_has_none(plugin_bench: Bench) -> None:
    plugin = Looks()

    class OfWorker:
        @hookimpl
        def worker_start(self, worker: Any) -> None:
            plugin.look()
            worker.call_later(1, plugin.look)
            worker.call_soon_threadsafe(plugin.look)

    plugin_bench(OfWorker()).advance(2)
    assert plugin.found == [None] * 3
