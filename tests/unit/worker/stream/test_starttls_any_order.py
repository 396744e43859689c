"""One connection that begins TLS, through any sequence of what a client, a plugin and time can do to it."""

from __future__ import annotations

import ssl
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings, strategies

from reactorhost import CloseReason, Connection, Lines, hookimpl
from reactorhost.reactor import READ, WRITE
from reactorhost.testing import PluginBench
from reactorhost.tls import unsent
from reactorhost.worker.stream import ending
from reactorhost.worker.stream.protocol import HANG_UP
from reactorhost.worker.stream.socket import HangUp
from tls_peer import SERVER, TlsPeer, with_real_tls

STEPS = (
    *("request", "request", "plain line", "half a line", "hello", "shake hands", "shake hands", "line", "line"),
    *("fin", "reset", "stop reading", "read again", "send", "send much", "pause", "resume", "send_eof", "close"),
    *("abort", "wait", "wait long", "drain"),
)
SECRET = b"secret "


class Plain:
    """Begins TLS on request, and notes what it receives."""

    def __init__(self) -> None:
        self.begun = False
        self.secure: list[bytes] = []
        self.closed: list[CloseReason] = []

    @hookimpl
    def framing(self) -> object:
        return Lines()

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        if self.is_request(connection, data):
            connection.start_tls(SERVER)

    @hookimpl
    def close(self, reason: CloseReason) -> None:
        self.closed.append(reason)

    def is_request(self, connection: Connection, data: bytes) -> bool:
        """Note a line; returns whether to begin TLS."""
        assert not self.closed, "nothing is received after the end"
        assert self.begun == (connection.tls is not None), "nothing is received during the handshake"
        if self.begun:
            self.secure.append(data)
            return False
        # Not after `send_eof`, which the call refuses.
        self.begun = data == b"request" and connection.send(b"ready ")
        return self.begun


class Async(Plain):
    """The same, awaiting the handshake."""

    @hookimpl
    async def receive(self, connection: Connection, data: bytes) -> None:  # type: ignore[override]
        if self.is_request(connection, data):
            await connection.start_tls(SERVER)


class Run:
    """A connection, and what its client has sent."""

    def __init__(self, bench: PluginBench, plugin: Plain) -> None:
        self.bench = bench
        self.plugin = plugin
        self.client = bench.connect()
        self.secure: list[bytes] = []
        self.peer: TlsPeer | None = None

    def duplicate(self, descriptor: int) -> int:
        """Return another descriptor of the fake socket."""
        sockets = self.bench._time.poller.sockets
        number = max(sockets) + 1
        sockets[number] = sockets[descriptor]
        return number

    def close_duplicate(self, descriptor: int) -> None:
        del self.bench._time.poller.sockets[descriptor]

    def do(self, step: str) -> None:
        with suppress(ssl.SSLError):
            self.step(step)
        transport = self.client._transport
        if self.client._socket._reset and transport.interest & HANG_UP:
            # As epoll does while nothing is read.
            transport.ready(READ | WRITE)
        self.bench.settle()
        assert len(self.plugin.closed) <= 1
        assert self.plugin.secure == self.secure[: len(self.plugin.secure)], "in order, and only what came by TLS"
        assert SECRET not in self.client.received

    def step(self, step: str) -> None:
        client = self.client
        match step:
            case "request" | "plain line" | "half a line" | "hello" | "shake hands" | "line" | "fin" | "reset":
                if client.closed is None and not client._socket.ended:
                    self.say(step)
            case "stop reading":
                client.pause()
            case "read again":
                client.resume()
            case "wait" | "wait long":
                self.bench.advance(3.0 if step == "wait" else 11.0)
            case "drain":
                self.bench.drain()
            case "send" | "send much":
                size = 1 if step == "send" else 4000
                client.connection.send((SECRET if self.plugin.begun else b"open ") * size)
            case _:
                getattr(client.connection, step)()

    def say(self, step: str) -> None:
        match step:
            case "request" | "plain line" | "half a line":
                self.client.send({"request": b"request\n", "plain line": b"plain\n", "half a line": b"ha"}[step])
            case "hello":
                self.peer = TlsPeer(self.client)
                self.client.send(self.peer.hello())
            case "shake hands":
                # Without an answer, as long as the host cannot send or does not want to.
                with suppress(AssertionError, ConnectionError):
                    self.peer = self.peer or TlsPeer(self.client)
                    self.peer.shake_hands()
            case "line":
                if self.peer is not None and self.peer.version is not None and self.client.connection.tls is not None:
                    line = b"%d" % len(self.secure)
                    self.secure.append(line)
                    self.peer.send(line + b"\n")
            case "fin":
                self.client.end()
            case _:
                self.client.reset()

    def finish(self) -> None:
        for step in ("resume", "read again", "fin", *["wait long"] * 4):
            self.do(step)


@pytest.mark.parametrize("kind", [Plain, Async])
@given(strategies.lists(strategies.sampled_from(STEPS), max_size=25))
@settings(deadline=None)
def test_any_sequence_ends_once_and_mixes_nothing(kind: Any, steps: list[str]) -> None:
    plugin = kind()
    with pytest.MonkeyPatch.context() as patch, PluginBench(plugin, close_timeout=10) as bench:
        run = Run(with_real_tls(bench), plugin)
        patch.setattr(ending, "hang_up", lambda *_: HangUp.BROKEN)
        patch.setattr(unsent, "os", SimpleNamespace(dup=run.duplicate, close=run.close_duplicate))
        for step in steps:
            run.do(step)
        run.finish()
        assert len(plugin.closed) == 1
