"""Run a test on the adapter and on asyncio's own transport, and compare the calls that a protocol gets.

The other end of the connection is a plain TCP socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from adapter_loop import AdapterWorker
from reactorhost import Connection, hookimpl
from reactorhost.worker.aio.event_loop import new_loop

DEADLINE_SECONDS = 30.0
BIG = 12_000_000
"""Bytes that do not fit the buffers of the kernel."""

Make = Callable[[asyncio.AbstractEventLoop, Any, asyncio.BaseProtocol], asyncio.Transport]


def by_asyncio(loop: Any, sock: socket.socket, protocol: asyncio.BaseProtocol) -> None:
    loop._make_socket_transport(sock, protocol)


class Recorder(asyncio.Protocol):
    """Records the calls that are made of it, and does in them what a scenario says."""

    transport: asyncio.Transport

    def __init__(self, **reactions: Callable[..., Any]) -> None:
        self.calls: list[Any] = []
        self._reactions = reactions
        self._changed = asyncio.Event()

    def _record(self, call: str, *arguments: Any) -> Any:
        self.calls.append((call, *arguments))
        self._changed.set()
        if call in self._reactions:
            return self._reactions[call](self, *arguments)
        return None

    def note(self, *facts: Any) -> None:
        self.calls.append(facts)

    async def until(self, call: str, size: int = 0) -> None:
        """Wait until a call was made; with `size`, until so many bytes were received."""
        while not any(each[0] == call for each in self.calls) or len(self.received) < size:
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), DEADLINE_SECONDS)

    @property
    def received(self) -> bytes:
        return b"".join(each[1] for each in self.calls if each[0] == "data")

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._record("made")

    def data_received(self, data: bytes) -> None:
        self._record("data", bytes(data))

    def eof_received(self) -> Any:
        return self._record("eof")

    def connection_lost(self, error: Exception | None) -> None:
        self._record("lost", error)

    def pause_writing(self) -> None:
        self._record("pause")

    def resume_writing(self) -> None:
        self._record("resume")


class Buffered(asyncio.BufferedProtocol):
    """Passes what it receives to a recorder, in pieces of `size` bytes."""

    def __init__(self, recorder: Recorder, size: int) -> None:
        self._recorder = recorder
        self._buffer = bytearray(size)

    def connection_made(self, transport: Any) -> None:
        self._recorder.connection_made(transport)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        assert nbytes <= len(self._buffer)
        self._recorder.data_received(bytes(self._buffer[:nbytes]))

    def eof_received(self) -> Any:
        return self._recorder.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        self._recorder.connection_lost(error)

    def pause_writing(self) -> None:
        self._recorder.pause_writing()

    def resume_writing(self) -> None:
        self._recorder.resume_writing()


class Peer:
    """The other end."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        sock.setblocking(False)
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        await asyncio.wait_for(self._loop.sock_sendall(self.socket, data), DEADLINE_SECONDS)

    async def read(self, size: int) -> bytes:
        """Read so many bytes, or fewer if the connection ends."""
        data = bytearray()
        while len(data) < size:
            more = await asyncio.wait_for(self._loop.sock_recv(self.socket, size - len(data)), DEADLINE_SECONDS)
            if not more:
                break
            data += more
        return bytes(data)

    async def read_all(self) -> tuple[int, str]:
        """Read to the end; returns the number of bytes and how it ended."""
        size = 0
        while True:
            try:
                more = await asyncio.wait_for(self._loop.sock_recv(self.socket, 65536), DEADLINE_SECONDS)
            except ConnectionResetError:
                return size, "reset"
            if not more:
                return size, "eof"
            size += len(more)

    def end(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class PassesOn:
    """A plugin with an async hook: the input of its service goes through the hook queue."""

    @hookimpl
    async def receive(self, connection: Connection, data: bytes) -> None:
        await asyncio.sleep(0)


Scenario = Callable[[Callable[..., Recorder], Peer], Awaitable[Any]]
Adapted = Callable[[Any], AdapterWorker]

needs_uvloop = pytest.mark.skipif(importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed")


def same_as_asyncio(run: Scenario) -> Callable[..., None]:
    """Make a test of a coroutine function that is called with `serve` and the peer.

    `serve(data=f, ...)` serves the connection with a recorder, and returns it. What the coroutine returns is compared
    as well.
    """

    @pytest.mark.parametrize(
        ("loop", "plugins"),
        [
            pytest.param("asyncio", (), id="asyncio"),
            pytest.param("uvloop", (), id="uvloop", marks=needs_uvloop),
            pytest.param("asyncio", (PassesOn,), id="queued"),
        ],
    )
    def test(loop: str, plugins: tuple[Callable[[], object], ...]) -> None:
        found = calls(run, loop, lambda running: AdapterWorker(running, *(plugin() for plugin in plugins)))
        assert found == calls(run, "asyncio", None)

    test.__name__ = run.__name__
    return test


@contextlib.contextmanager
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        served, _ = listener.accept()
    served.setblocking(False)
    with client, served:
        yield client, served


def calls(run: Scenario, kind: str, adapted: Adapted | None) -> Any:
    """Return the calls that a scenario leads to, what it returns, and what the loop or the host reports."""
    recorders: list[Recorder] = []
    failures: list[str] = []

    async def main(make: Any, client: socket.socket, accepted: socket.socket) -> Any:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: failures.append(type(context["exception"]).__name__))

        def serve(*, wrap: Callable[[Recorder], Any] = lambda recorder: recorder, **reactions: Any) -> Recorder:
            recorder = Recorder(**reactions)
            recorders.append(recorder)
            make(loop, accepted, wrap(recorder))
            return recorder

        return await run(serve, Peer(client))

    with asyncio.Runner(loop_factory=lambda: new_loop(kind)) as runner, connected() as (client, accepted):
        if adapted is None:
            returned = runner.run(main(by_asyncio, client, accepted))
        else:
            with contextlib.closing(adapted(runner.get_loop())) as worker:
                returned = runner.run(main(worker.make_transport, client, accepted))
    return [joined(recorder.calls) for recorder in recorders], returned, failures


def joined(recorded: list[Any]) -> list[Any]:
    """Return calls with the lengths of data in a row added up, and errors by their type."""
    found: list[Any] = []
    for call in recorded:
        if call[0] == "data":
            if found and found[-1][0] == "data":
                found[-1] = ("data", found[-1][1] + len(call[1]))
            else:
                found.append(("data", len(call[1])))
        elif call[0] == "lost":
            found.append(("lost", type(call[1]).__name__))
        else:
            found.append(call)
    return found
