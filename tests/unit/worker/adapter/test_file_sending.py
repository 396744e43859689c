"""`loop.sendfile` with transports of the adapter, on a bench."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from reactorhost import CloseReason, hookimpl
from reactorhost.testing import BenchClient, PluginBench

NewBench = Callable[..., PluginBench]
Send = Callable[[asyncio.AbstractEventLoop, Any], Coroutine[Any, Any, object]]
SIZE = 200_000
CONTENT = os.urandom(SIZE)


class Protocol(asyncio.Protocol):
    """Calls a function with the loop and the transport of a client, and notes what it returns or raises."""

    def __init__(self, send: Send) -> None:
        self.send = send
        self.events: list[Any] = []
        self.task: asyncio.Task[None] | None = None

    @hookimpl
    def protocol(self) -> Callable[[], Protocol]:
        return lambda: self

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.task = asyncio.get_running_loop().create_task(self.run())

    async def run(self) -> None:
        try:
            self.events.append(await self.send(asyncio.get_running_loop(), self.transport))
        except (ConnectionError, RuntimeError) as error:
            self.events.append(f"{type(error).__name__}: {error}")

    def pause_writing(self) -> None:
        self.events.append("paused")

    def resume_writing(self) -> None:
        self.events.append("resumed")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def served(plugin_bench: NewBench) -> Callable[..., tuple[Protocol, BenchClient]]:
    def serve(send: Send, *, reads: bool = True) -> tuple[Protocol, BenchClient]:
        protocol = Protocol(send)
        client = plugin_bench(protocol).connect()
        if not reads:
            client.pause()
        client.send(b"x")
        return protocol, client

    return serve


Served = Callable[..., tuple[Protocol, BenchClient]]


@pytest.mark.parametrize(
    ("arguments", "start", "end"),
    [((), 0, SIZE), ((5,), 5, SIZE), ((5, 10), 5, 15), ((SIZE - 3, 10), SIZE - 3, SIZE), ((SIZE + 9, 1), SIZE, SIZE)],
)
def test_a_file_is_sent_in_its_place_and_its_position_is_moved(
    served: Served, path: Path, arguments: tuple[int, ...], start: int, end: int
) -> None:
    async def send(loop: asyncio.AbstractEventLoop, transport: Any) -> tuple[int, int]:
        with path.open("rb") as file:
            transport.write(b"before,")
            sent = await loop.sendfile(transport, file, *arguments)
            transport.write(b",after")
            return sent, file.tell()

    protocol, client = served(send)
    assert client.received == b"before," + CONTENT[start:end] + b",after"
    assert protocol.events[-1] == (end - start, end)


def test_what_is_not_a_file_is_sent_as_asyncio_does(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(executor: object, function: Callable[..., object], *args: object) -> object:
        return function(*args)

    async def send(loop: asyncio.AbstractEventLoop, transport: Any) -> int:
        monkeypatch.setattr(loop, "run_in_executor", at_once)
        return await loop.sendfile(transport, io.BytesIO(b"content"), 1, 3)

    protocol, client = served(send)
    assert (client.received, protocol.events) == (b"ont", [3])


def test_the_protocol_is_paused_while_much_of_a_file_waits(served: Served, path: Path) -> None:
    async def send(loop: asyncio.AbstractEventLoop, transport: Any) -> int:
        with path.open("rb") as file:
            return await loop.sendfile(transport, file)

    protocol, client = served(send, reads=False)
    assert protocol.events == ["paused"]
    client.resume()
    assert (sorted(map(str, protocol.events)), client.received) == (["200000", "paused", "resumed"], CONTENT)


def test_a_client_that_leaves_is_a_connection_error(served: Served, path: Path) -> None:
    async def send(loop: asyncio.AbstractEventLoop, transport: Any) -> int:
        with path.open("rb") as file:
            return await loop.sendfile(transport, file)

    protocol, client = served(send, reads=False)
    client.reset()
    assert client.closed is CloseReason.PEER
    assert protocol.events[-1] == "ConnectionEndedError: the connection has ended before all of the file was sent"


def test_a_transport_that_is_closing_and_a_missing_fallback_are_refused(served: Served, path: Path) -> None:
    async def without_file(loop: asyncio.AbstractEventLoop, transport: Any) -> int:
        return await loop.sendfile(transport, io.BytesIO(b"x"), fallback=False)

    protocol, _ = served(without_file)
    assert protocol.events[0].startswith("RuntimeError: fallback is disabled, and <_io.BytesIO")

    async def closing(loop: asyncio.AbstractEventLoop, transport: Any) -> int:
        transport.close()
        with path.open("rb") as file:
            return await loop.sendfile(transport, file)

    protocol, client = served(closing)
    assert (protocol.events, client.received) == (["RuntimeError: Transport is closing"], b"")


def test_other_transports_are_those_of_the_loop(served: Served, path: Path) -> None:
    class Other(asyncio.Transport):
        def is_closing(self) -> bool:
            return False

        def __repr__(self) -> str:
            return "other"

    async def send(loop: asyncio.AbstractEventLoop, transport: Any) -> object:
        with path.open("rb") as file:
            return await loop.sendfile(Other(), file)

    protocol, _ = served(send)
    assert protocol.events == ["RuntimeError: sendfile is not supported for transport other"]
