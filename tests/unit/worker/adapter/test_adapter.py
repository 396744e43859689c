"""Protocols of asyncio as plugins, on a bench: when their methods are called, with what, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from reactorhost.api.close_reason import CloseReason
from reactorhost.api.connection import Connection
from reactorhost.api.hookspecs import hookimpl
from reactorhost.reactor import READ, WRITE
from reactorhost.testing import PluginBench
from reactorhost.worker.stream import ending
from reactorhost.worker.stream.socket import HangUp

NewBench = Callable[..., PluginBench]


class Recorded(asyncio.Protocol):
    """Records its calls, and answers with what `on_NAME` does if a test has set it."""

    def __init__(self, calls: list[Any], **reactions: Callable[..., Any]) -> None:
        self.calls = calls
        self.reactions = reactions
        self.transport: Any = None
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._called("connection_made")

    def data_received(self, data: bytes) -> None:
        self._called("data_received", data)

    def eof_received(self) -> Any:
        return self._called("eof_received")

    def connection_lost(self, exc: Exception | None) -> None:
        self._called("connection_lost", exc)

    def pause_writing(self) -> None:
        self._called("pause_writing")

    def resume_writing(self) -> None:
        self._called("resume_writing")

    def drain_requested(self) -> None:
        self._called("drain_requested")

    def _called(self, name: str, *args: Any) -> Any:
        self.calls.append((name, *args))
        reaction = self.reactions.get(name)
        return None if reaction is None else reaction(self, *args)

    @property
    def names(self) -> list[str]:
        return [call[0] for call in self.calls]


class Plugin:
    """A plugin whose clients are served by one kind of protocol."""

    def __init__(self, new_protocol: Callable[[], Any]) -> None:
        self.new_protocol = new_protocol

    @hookimpl
    def protocol(self, service: str) -> Any:
        return self.new_protocol


class Served:
    """A bench with one client of a `Recorded` protocol."""

    def __init__(self, new_bench: NewBench, *others: object, **reactions: Callable[..., Any]) -> None:
        self.calls: list[Any] = []
        self.made: list[Recorded] = []

        def make() -> Recorded:
            self.made.append(Recorded(self.calls, **reactions))
            return self.made[-1]

        self.bench = new_bench(*others, Plugin(make))
        self.client = self.bench.connect()

    @property
    def protocol(self) -> Recorded:
        return self.made[0]

    @property
    def transport(self) -> Any:
        return self.protocol.transport

    @property
    def names(self) -> list[str]:
        return [call[0] for call in self.calls]

    def within(self, function: Callable[[], object]) -> None:
        """Call a function in the loop of the bench."""
        self.bench.worker.call_later(0, function)
        self.bench.advance(0)


def echo(protocol: Recorded, data: bytes) -> None:
    protocol.transport.write(data)


def test_a_protocol_is_made_for_each_client_and_answers(plugin_bench: NewBench) -> None:
    served = Served(plugin_bench, data_received=echo)
    other = served.bench.connect()
    served.client.send(b"one")
    other.send(b"two")
    assert (served.client.received, other.received) == (b"one", b"two")
    assert len(served.made) == 2
    assert served.client.connection.protocol is served.made[0]
    assert served.transport.get_protocol() is served.made[0]
    assert served.transport.get_extra_info("connection") is served.client.connection


def test_the_clients_end_is_reported_and_closes(plugin_bench: NewBench) -> None:
    served = Served(plugin_bench, eof_received=lambda protocol: protocol.transport.write(b"bye"))
    served.client.end()
    assert served.calls == [("connection_made",), ("eof_received",), ("connection_lost", None)]
    assert (served.client.received, served.client.closed) == (b"bye", CloseReason.PEER)
    assert served.client.connection.protocol is None


def test_a_protocol_may_answer_after_the_clients_end(plugin_bench: NewBench) -> None:
    served = Served(plugin_bench, eof_received=lambda protocol: True)
    served.client.end()
    served.bench.advance(3600)
    assert served.names == ["connection_made", "eof_received"]
    served.within(lambda: served.transport.write(b"late"))
    served.within(served.transport.close)
    assert served.client.received == b"late"
    assert served.client.closed is CloseReason.LOCAL
    assert served.calls == [("connection_made",), ("eof_received",), ("connection_lost", None)]


def test_a_task_of_the_connection_may_wait_for_the_clients_end(plugin_bench: NewBench) -> None:
    async def serve(protocol: Recorded, ended: asyncio.Event) -> None:
        await ended.wait()
        await asyncio.sleep(3600)
        protocol.transport.write(b"late")
        protocol.transport.close()

    def begin(protocol: Recorded) -> None:
        connection = protocol.transport.get_extra_info("connection")
        connection.create_task(serve(protocol, protocol.ended))

    def stay(protocol: Recorded) -> bool:
        protocol.ended.set()
        return True

    served = Served(plugin_bench, connection_made=begin, eof_received=stay)
    served.client.end()
    served.bench.advance(3601)
    assert served.client.received == b"late"
    assert served.calls == [("connection_made",), ("eof_received",), ("connection_lost", None)]


def test_a_reset_is_not_an_end_of_input(plugin_bench: NewBench) -> None:
    served = Served(plugin_bench)
    served.client.reset()
    assert served.names == ["connection_made", "connection_lost"]
    assert isinstance(served.calls[-1][1], ConnectionResetError)


def test_connection_lost_does_not_wait_for_the_clients_end_but_the_close_hook_does(plugin_bench: NewBench) -> None:
    served = Served(plugin_bench)
    client = served.bench.connect(ends_too=False)
    client.send(b"x")
    served.made[1].transport.close()
    served.bench.settle()
    assert served.calls[-1] == ("connection_lost", None)
    assert client.eof
    assert repr(client).endswith("open>")
    client.end()
    assert client.closed is CloseReason.LOCAL
    assert served.names.count("connection_lost") == 1


@pytest.mark.parametrize("ending", ["close", "abort"])
def test_closing_in_connection_made_ends_well(plugin_bench: NewBench, ending: str) -> None:
    def end(protocol: Recorded) -> None:
        getattr(protocol.transport, ending)()
        protocol.transport.write(b"ignored")

    served = Served(plugin_bench, connection_made=end)
    assert served.calls == [("connection_made",), ("connection_lost", None)]
    assert (served.client.received, served.client.closed) == (b"", CloseReason.LOCAL)


def test_close_sends_what_is_queued_and_abort_discards_it(plugin_bench: NewBench) -> None:
    served = Served(plugin_bench)
    other = served.bench.connect()
    served.client.pause()
    other.pause()
    served.within(lambda: [protocol.transport.write(b"queued") for protocol in served.made])
    served.within(served.made[0].transport.close)
    served.within(served.made[1].transport.abort)
    assert served.calls[-1] == ("connection_lost", None)
    assert served.names.count("connection_lost") == 1, "what is queued is sent first"
    served.client.resume()
    other.resume()
    assert (served.client.received, other.received) == (b"queued", b"")
    assert served.names.count("connection_lost") == 2


def test_writing_is_paused_above_the_high_limit_and_resumed_at_the_low_one(plugin_bench: NewBench) -> None:
    served = Served(plugin_bench)
    assert served.transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
    served.transport.set_write_buffer_limits(high=100)
    assert served.transport.get_write_buffer_limits() == (25, 100)
    served.client.pause()
    served.within(lambda: served.transport.write(bytes(100)))
    assert served.names == ["connection_made"]
    served.within(lambda: served.transport.write(b"x"))
    served.within(lambda: served.transport.write(b"x"))
    assert served.names == ["connection_made", "pause_writing"]
    assert served.transport.get_write_buffer_size() == 102
    served.client.resume()
    assert served.names == ["connection_made", "pause_writing", "resume_writing"]


def test_a_client_that_does_not_read_is_still_read(plugin_bench: NewBench) -> None:
    # As a protocol expects that reads while the client writes before it reads.
    served = Served(plugin_bench, data_received=lambda protocol, data: protocol.transport.write(bytes(100_000)))
    served.client.pause()
    served.client.send(b"one")
    served.client.send(b"two")
    assert ("data_received", b"two") in served.calls


def test_reading_pauses_and_resumes(plugin_bench: NewBench) -> None:
    served = Served(plugin_bench)
    served.within(served.transport.pause_reading)
    assert not served.transport.is_reading()
    served.client.send(b"later")
    served.client.end()
    assert served.names == ["connection_made"]
    served.within(served.transport.resume_reading)
    assert served.names == ["connection_made", "data_received", "eof_received", "connection_lost"]


def test_a_throttle_and_a_pause_of_the_protocol_are_independent(plugin_bench: NewBench) -> None:
    served = Served(plugin_bench)
    served.client.connection.throttle(5)
    assert served.transport.is_reading(), "the protocol has not paused"
    served.client.send(b"later")
    served.client.end()
    served.within(served.transport.pause_reading)
    served.within(served.transport.resume_reading)
    served.bench.advance(4.9)
    assert served.names == ["connection_made"]
    served.within(served.transport.pause_reading)
    served.bench.advance(5)
    assert served.names == ["connection_made"]
    served.within(served.transport.resume_reading)
    assert served.names == ["connection_made", "data_received", "eof_received", "connection_lost"]


@pytest.mark.parametrize("how", [HangUp.ORDERLY, HangUp.BROKEN])
@pytest.mark.parametrize("stop", ["pause", "throttle"])
def test_an_orderly_end_of_a_client_that_is_not_read_is_no_error(
    plugin_bench: NewBench, monkeypatch: pytest.MonkeyPatch, stop: str, how: HangUp
) -> None:
    served = Served(plugin_bench)
    connection = served.client.connection
    if stop == "pause":
        connection.pause()
    else:
        connection.throttle(5)
    monkeypatch.setattr(ending, "hang_up", lambda *_: how)
    served.client._socket.incoming.append(b"")
    served.client._transport.ready(READ | WRITE)
    served.bench.settle()
    ((name, error),) = served.calls[1:]
    assert (name, type(error)) == ("connection_lost", type(None) if how is HangUp.ORDERLY else ConnectionResetError)


def test_half_a_close_leaves_the_input_open(plugin_bench: NewBench) -> None:
    served = Served(plugin_bench)
    served.within(served.transport.write_eof)
    assert served.transport.can_write_eof()
    assert served.client.eof
    with pytest.raises(RuntimeError, match="write_eof"):
        served.transport.write(b"x")
    served.client.send(b"still")
    served.client.end()
    assert served.names == ["connection_made", "data_received", "eof_received", "connection_lost"]


@pytest.mark.parametrize("method", ["connection_made", "data_received", "eof_received"])
def test_an_exception_is_blamed_on_the_plugin_and_closes(plugin_bench: NewBench, method: str) -> None:
    def fail(*_: object) -> None:
        raise ValueError("broken")

    calls: list[Any] = []
    bench = plugin_bench(Plugin(lambda: Recorded(calls, **{method: fail})))

    def talk() -> None:
        client = bench.connect()
        client.send(b"x")
        client.end()

    with pytest.raises(ValueError, match="broken") as raised:
        talk()
    assert raised.value.__notes__[0].startswith(f"raised in {method} of plugin Plugin")
    bench.settle()
    assert calls[-1] == ("connection_lost", raised.value)
    assert [call[0] for call in calls].count("connection_lost") == 1


def test_an_exception_of_connection_lost_is_reported_once(plugin_bench: NewBench) -> None:
    def fail(*_: object) -> None:
        raise ValueError("broken")

    served = Served(plugin_bench, connection_lost=fail)
    with pytest.raises(ValueError, match="broken"):
        served.client.end()
    assert served.client.closed is CloseReason.PEER
    assert served.names.count("connection_lost") == 1


def test_a_factory_that_fails_refuses_the_client(plugin_bench: NewBench) -> None:
    def fail() -> None:
        raise ValueError("no protocol")

    bench = plugin_bench(Plugin(fail))
    with pytest.raises(ValueError, match="no protocol") as raised:
        bench.connect()
    assert raised.value.__notes__[0].startswith("raised in protocol of plugin Plugin")


class Async(asyncio.Protocol):
    """Has a method that would never run."""

    async def eof_received(self) -> None:  # type: ignore[override]
        """Do nothing."""


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (None, "the factory has returned NoneType, which has no connection_made and so is not a protocol"),
        (Async(), "Async.eof_received is async, but a protocol's methods are not awaited"),
    ],
)
def test_a_factory_that_returns_no_protocol_refuses_each_client(plugin_bench: NewBench, made: Any, words: str) -> None:
    bench = plugin_bench(Plugin(lambda: made))
    for _ in range(2):
        with pytest.raises(TypeError, match=words) as raised:
            bench.connect()
        assert raised.value.__notes__[0].startswith("raised in protocol of plugin Plugin")


class Guard:
    """Refuses clients, and records the hooks of others."""

    def __init__(self, refuses: bool) -> None:
        self.refuses = refuses
        self.calls: list[str] = []

    @hookimpl
    def connect(self, connection: Connection) -> None:
        self.calls.append("connect")
        if self.refuses:
            connection.close()

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        self.calls.append("receive")

    @hookimpl
    def close(self, connection: Connection, reason: CloseReason) -> None:
        self.calls.append(f"close {reason}")


class AsyncGuard(Guard):
    """The same with an async hook, so that all hooks of the service are queued."""

    @hookimpl
    async def connect(self, connection: Connection) -> None:  # type: ignore[override]  # the guard's is plain
        await asyncio.sleep(0)
        self.calls.append("connect")
        if self.refuses:
            connection.close()


@pytest.mark.parametrize("guard_type", [Guard, AsyncGuard])
def test_other_plugins_see_the_connection(plugin_bench: NewBench, guard_type: type[Guard]) -> None:
    guard = guard_type(refuses=False)
    served = Served(plugin_bench, guard, data_received=echo, eof_received=lambda protocol: True)
    served.client.send(b"hello")
    served.client.end()
    assert served.client.received == b"hello"
    served.within(served.transport.close)
    assert guard.calls == ["connect", "receive", "close local"]
    assert served.names == ["connection_made", "data_received", "eof_received", "connection_lost"]


@pytest.mark.parametrize("guard_type", [Guard, AsyncGuard])
def test_a_refused_client_gets_no_protocol(plugin_bench: NewBench, guard_type: type[Guard]) -> None:
    guard = guard_type(refuses=True)
    served = Served(plugin_bench, guard)
    assert guard.calls == ["connect", "close local"]
    assert served.made == []


def test_the_plugins_own_hooks_surround_its_protocol(plugin_bench: NewBench) -> None:
    calls: list[Any] = []

    class WithHooks(Plugin):
        @hookimpl
        def connect(self, connection: Connection) -> None:
            calls.append(("connect", connection.protocol))

        @hookimpl
        def close(self, connection: Connection) -> None:
            calls.append(("close", connection.protocol))

        @hookimpl
        def drain(self, connection: Connection) -> None:
            calls.append(("drain", connection.protocol))

    protocol = Recorded(calls)
    bench = plugin_bench(WithHooks(lambda: protocol))
    client = bench.connect()
    bench.drain()
    client.end()
    assert calls == [
        ("connect", None),
        ("connection_made",),
        ("drain", protocol),
        ("drain_requested",),
        ("eof_received",),
        ("connection_lost", None),
        ("close", protocol),
    ]


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (CloseReason.IDLE, TimeoutError),
        (CloseReason.SHUTDOWN, type(None)),
        (CloseReason.OVERFLOW, ConnectionAbortedError),
        (CloseReason.ERROR, ConnectionAbortedError),
    ],
)
def test_connection_lost_gets_why_the_host_has_closed(
    plugin_bench: NewBench, reason: CloseReason, kind: type[object]
) -> None:
    served = Served(plugin_bench)
    served.within(lambda: served.transport.stream.close_for(reason))
    assert served.client.closed is reason
    assert type(served.calls[-1][1]) is kind


class Buffered(asyncio.BufferedProtocol):
    """Receives into a buffer of four bytes."""

    def __init__(self, at_first: Callable[[Any], object] = lambda transport: None) -> None:
        self.buffer = bytearray(4)
        self.received = b""
        self.at_first = at_first

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.received += self.buffer[:nbytes]
        if len(self.received) == 4:
            self.at_first(self.transport)


def test_a_buffered_protocol_gets_everything(plugin_bench: NewBench) -> None:
    bench = plugin_bench(Plugin(Buffered))
    client = bench.connect()
    client.send(b"hello world")
    assert client.connection.protocol.received == b"hello world"  # type: ignore[attr-defined]  # a `Buffered`


@pytest.mark.parametrize(
    "stop",
    [
        lambda transport: (transport.pause_reading(), transport.stream.call_later(5, transport.resume_reading)),
        lambda transport: transport.stream.connection.throttle(5),
    ],
    ids=["pauses", "is throttled"],
)
def test_a_buffered_protocol_that_stops_gets_the_rest_later(
    plugin_bench: NewBench, stop: Callable[[Any], object]
) -> None:
    protocol = Buffered(stop)
    bench = plugin_bench(Plugin(lambda: protocol))
    client = bench.connect()
    client.send(b"hello world")
    bench.advance(4.9)
    assert protocol.received == b"hell"
    bench.advance(0.2)
    assert protocol.received == b"hello world"


def test_a_protocol_can_be_replaced_while_it_receives(plugin_bench: NewBench) -> None:
    calls: list[Any] = []
    second = Recorded(calls)
    first = Buffered()

    def replace(nbytes: int) -> None:
        first.transport.set_protocol(second)

    first.buffer_updated = replace  # type: ignore[method-assign]  # for this test
    client = plugin_bench(Plugin(lambda: first)).connect()
    client.send(b"hello world")
    client.end()
    assert calls == [("data_received", b"o world"), ("eof_received",), ("connection_lost", None)]


# Streams.


class Streams:
    """Answers each line in capital letters, and then says goodbye."""

    @hookimpl
    async def stream_handler(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.write(b"bye")


def test_a_stream_handler_serves_a_client_to_its_end(plugin_bench: NewBench) -> None:
    client = plugin_bench(Streams).connect()
    client.send(b"one\ntw")
    assert client.received == b"ONE\n"
    client.send(b"o\n")
    client.end()
    assert (client.received, client.closed) == (b"ONE\nTWO\nbye", CloseReason.LOCAL)


@pytest.mark.parametrize("is_reset", [False, True])
def test_an_exception_of_a_stream_handler_is_reported(plugin_bench: NewBench, is_reset: bool) -> None:
    class Failing:
        @hookimpl
        async def stream_handler(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readexactly(1)
            raise ValueError("broken")

    client = plugin_bench(Failing).connect()
    if is_reset:
        # The ConnectionResetError of a client that has gone is no failure.
        client.reset()
        assert client.closed is CloseReason.PEER
    else:
        with pytest.raises(ValueError, match="broken") as raised:
            client.send(b"x")
        assert raised.value.__notes__[0].startswith("raised in stream_handler of plugin Failing")
        assert client.closed is CloseReason.ERROR


def test_a_stream_handler_is_cancelled_when_the_host_ends_the_connection(plugin_bench: NewBench) -> None:
    ended: list[str] = []

    class Waiting:
        @hookimpl
        async def stream_handler(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise

    bench = plugin_bench(Waiting, idle_timeout=10.0)
    client = bench.connect()
    bench.advance(11)
    assert client.closed is CloseReason.IDLE
    assert ended == ["cancelled"]
