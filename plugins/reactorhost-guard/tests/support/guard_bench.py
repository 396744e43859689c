"""Addresses and handlers for tests of the guard on the bench, and what it has counted."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable

from reactorhost import CloseReason, Connection, Lines, hookimpl
from reactorhost.testing import BenchClient, PluginBench
from reactorhost_guard import Guard

HOST = "203.0.113.7"
PEER = (HOST, 4000)
NEIGHBOUR = ("203.0.113.8", 4000)
OTHER = ("198.51.100.1", 4000)


class Echo:
    """Answers each line."""

    @hookimpl
    def framing(self) -> Lines:
        return Lines()

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        # A datagram has no framing.
        send = connection.send if connection.framing is None else connection.send_message
        send(data)


class AsyncEcho:
    @hookimpl
    async def connect(self, connection: Connection) -> None:
        await asyncio.sleep(0)

    @hookimpl
    async def receive(self, connection: Connection, data: bytes) -> None:
        await asyncio.sleep(0)
        connection.send(data)


class ProtocolEcho(asyncio.Protocol):
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Protocols:
    @hookimpl
    def protocol(self) -> type[ProtocolEcho]:
        return ProtocolEcho


class Streams:
    @hookimpl
    async def stream_handler(self, reader: StreamReader, writer: StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)


def guarded_echo(plugin_bench: Callable[..., PluginBench]) -> Callable[..., PluginBench]:
    """Return a function that starts an echo of lines with a guard and its options."""
    return lambda **options: plugin_bench(Guard, Echo, options={"Guard": options})


def counted(bench: PluginBench, *names: str) -> dict[str, float]:
    """Return the counters of the guard that are not 0, without those of its state."""
    found = bench.stats("Guard")
    return {name: value for name, value in found.items() if value and name not in ("banned", "addresses")}


def refused(client: BenchClient) -> bool:
    return client.refused or client.closed is CloseReason.LOCAL
