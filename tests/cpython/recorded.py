"""Run a test on the adapter and on asyncio's own transport, and compare the calls that a protocol gets.

The other end of the connection is a socket of the test; see `peers`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from adapter_loop import AdapterWorker
from event_loops import UVLOOP
from peers import DEADLINE_SECONDS, Peer, TlsPeer, contexts
from reactorhost import Connection, hookimpl
from reactorhost.worker.aio.event_loop import new_loop

BIG = 12_000_000
"""Bytes that do not fit the buffers of the kernel."""


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


class PassesOn:
    """A plugin with an async hook: the input of its service goes through the hook queue."""

    @hookimpl
    async def receive(self, connection: Connection, data: bytes) -> None:
        await asyncio.sleep(0)


Scenario = Callable[[Callable[..., Recorder], Peer], Awaitable[Any]]
NewWorker = Callable[[Any], AdapterWorker]


@dataclass(frozen=True)
class Way:
    """A way in which the adapter serves: the kind of loop, how the worker is made, and what its client is."""

    loop: str = "asyncio"
    new_worker: NewWorker = AdapterWorker
    new_peer: Callable[[socket.socket], Peer] = Peer


WAYS = {
    "asyncio": Way(),
    "uvloop": Way("uvloop"),
    "queued": Way(new_worker=lambda loop: AdapterWorker(loop, PassesOn())),
    "tls": Way(new_worker=lambda loop: AdapterWorker(loop, context=contexts()[0]), new_peer=TlsPeer),
}


def same_as_asyncio(run: Scenario) -> Callable[..., None]:
    """Make a test of a coroutine function that is called with `serve` and the peer.

    `serve(data=f, ...)` serves the connection with a recorder, and returns it. What the coroutine returns is compared
    as well.
    """

    @pytest.mark.parametrize("way", [UVLOOP if name == "uvloop" else name for name in WAYS])
    def test(way: str) -> None:
        assert calls(run, WAYS[way]) == calls_by_asyncio(run)

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


def calls(run: Scenario, way: Way | None) -> Any:
    """Return the calls that a scenario leads to, what it returns, and what the loop or the host reports.

    Without a way it runs on asyncio's own transport.
    """
    recorders: list[Recorder] = []
    failures: list[str] = []

    async def main(make: Any, accepted: socket.socket, new_peer: Callable[[], Peer]) -> Any:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: failures.append(type(context["exception"]).__name__))

        def serve(*, wrap: Callable[[Recorder], Any] = lambda recorder: recorder, **reactions: Any) -> Recorder:
            recorder = Recorder(**reactions)
            recorders.append(recorder)
            make(loop, accepted, wrap(recorder))
            return recorder

        return await run(serve, new_peer())

    loop_kind = "asyncio" if way is None else way.loop
    with asyncio.Runner(loop_factory=lambda: new_loop(loop_kind)) as runner, connected() as (client, accepted):
        if way is None:
            returned = runner.run(main(by_asyncio, accepted, lambda: Peer(client)))
        else:
            with contextlib.closing(way.new_worker(runner.get_loop())) as worker:
                returned = runner.run(main(worker.make_transport, accepted, lambda: way.new_peer(client)))
    return [joined(recorder.calls) for recorder in recorders], returned, failures


@functools.cache
def calls_by_asyncio(run: Scenario) -> Any:
    return calls(run, None)


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
