"""A protocol's connection, whatever the protocol and its client do in whatever order: what asyncio guarantees holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import given, settings, strategies

from reactorhost.api.close_reason import CloseReason
from reactorhost.api.hookspecs import hookimpl
from reactorhost.testing import PluginBench

CLIENT = ("send", "end", "reset", "stop reading", "read on")
OTHER = ("throttle",)
PROTOCOL = ("write little", "write much", "close", "abort", "write_eof", "pause_reading", "resume_reading")
BIG = bytes(100_000)


class Watched(asyncio.Protocol):
    """Notes what it receives, and checks the order in which its methods are called."""

    def __init__(self, stays_open: bool) -> None:
        self.stays_open = stays_open
        self.state = "new"
        self.received = b""
        self.lost: list[Exception | None] = []
        self.ends = 0
        self.paused = False
        self.is_throttled = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert self.state == "new"
        self.state = "open"
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        assert self.state == "open", self.state
        assert data
        assert self.transport.is_reading(), "nothing is delivered while it is paused or closing"
        assert not self.is_throttled
        self.received += data

    def eof_received(self) -> bool:
        assert self.state == "open", self.state
        self.state = "ended"
        self.ends += 1
        return self.stays_open

    def connection_lost(self, exc: Exception | None) -> None:
        assert self.state in ("open", "ended")
        self.state = "lost"
        self.lost.append(exc)

    def pause_writing(self) -> None:
        assert not self.paused
        assert self.transport.get_write_buffer_size() > 64 * 1024
        self.paused = True

    def resume_writing(self) -> None:
        assert self.paused
        assert self.state != "lost"
        assert self.transport.get_write_buffer_size() <= 16 * 1024
        self.paused = False


class AsyncGuard:
    """Has the hooks of the service queued."""

    @hookimpl
    async def connect(self) -> None:
        await asyncio.sleep(0)


class Scenario:
    """One client of a protocol, and what was sent either way."""

    def __init__(self, bench: PluginBench, protocol: Watched) -> None:
        self.bench = bench
        self.protocol = protocol
        self.client = bench.connect()
        self.sent = b""
        self.written = self.due = b""
        self.has_ended = False
        self.was_reset = False
        self.was_aborted = False

    @property
    def transport(self) -> Any:
        return self.protocol.transport

    def make(self, step: str) -> None:
        """Make one step of the client or of the protocol."""
        match step:
            case "stop reading":
                self.client.pause()
            case "read on":
                self.client.resume()
            case "send" | "end" | "reset":
                if self.client.closed is None and not self.has_ended:
                    self.client_acts(step)
            case "throttle":
                self.client.connection.throttle(5)
                self.protocol.is_throttled = True
            case _:
                self.within(self.protocol_acts, step)

    def within(self, function: Callable[..., object], *args: object) -> None:
        self.bench.worker.call_later(0, function, *args)
        self.bench.advance(0.0)

    def client_acts(self, step: str) -> None:
        if step == "send":
            data = b"%d;" % len(self.sent)
            self.sent += data
            self.client.send(data)
            return
        self.has_ended = True
        self.was_reset = step == "reset"
        if self.was_reset:
            self.client.reset()
        else:
            self.client.end()

    def protocol_acts(self, step: str) -> None:
        if not step.startswith("write "):
            self.was_aborted = self.was_aborted or step == "abort"
            getattr(self.transport, step)()
            return
        data = BIG if step == "write much" else b"%d," % len(self.written)
        is_due = not self.transport.is_closing()
        # After `write_eof`.
        with suppress(RuntimeError):
            self.transport.write(data)
            self.written += data
            # What is written after `close` is sent as long as something is queued.
            self.due = self.written if is_due else self.due

    def finish(self) -> None:
        """Let the client read everything, and the protocol close."""
        was_open = not self.transport.is_closing()
        self.client.resume()
        if was_open:
            self.within(self.transport.resume_reading)
            self.protocol.is_throttled = False
            self.bench.advance(5.0)
            assert self.protocol.received == self.sent, "an open protocol gets everything that it does not refuse"
        self.within(self.transport.close)
        self.bench.advance(60.0)


@settings(max_examples=150)
@given(
    strategies.lists(strategies.sampled_from(CLIENT + OTHER + PROTOCOL), max_size=12),
    strategies.booleans(),
    strategies.booleans(),
)
def test_a_protocol_sees_one_beginning_and_one_end(steps: list[str], stays_open: bool, queued: bool) -> None:
    protocol = Watched(stays_open)
    plugin = type("Plugin", (), {"protocol": hookimpl(lambda self, service: lambda: protocol)})
    guards = [AsyncGuard] if queued else []
    with PluginBench(*guards, plugin) as bench:
        scenario = Scenario(bench, protocol)
        for step in steps:
            scenario.make(step)
        scenario.finish()
    assert len(protocol.lost) == 1
    assert protocol.ends <= 1
    assert scenario.sent.startswith(protocol.received)
    assert scenario.written.startswith(scenario.client.received)
    if not (scenario.was_reset or scenario.was_aborted):
        assert protocol.lost == [None]
        assert scenario.client.received.startswith(scenario.due), "a close loses nothing"
        assert scenario.client.closed in (CloseReason.LOCAL, CloseReason.PEER)
