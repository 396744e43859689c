"""The transport of a protocol, method by method."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from reactorhost.api.close_reason import CloseReason
from reactorhost.api.hookspecs import hookimpl
from reactorhost.testing import BenchClient, PluginBench
from reactorhost.worker.adapter.transport import AsyncioTransport

NewBench = Callable[..., PluginBench]


class Noted(asyncio.Protocol):
    """Notes the names of its calls, and raises an exception in one of them."""

    def __init__(self, fails_in: str = "") -> None:
        self.calls: list[str] = []
        self.fails_in = fails_in
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.note(f"data_received {data.decode()}")

    def eof_received(self) -> None:
        self.note("eof_received")

    def connection_lost(self, exc: Exception | None) -> None:
        self.note(f"connection_lost {type(exc).__name__}")

    def pause_writing(self) -> None:
        self.note("pause_writing")

    def resume_writing(self) -> None:
        self.note("resume_writing")

    def note(self, call: str) -> None:
        self.calls.append(call)
        if call == self.fails_in:
            raise ValueError("broken")


class Served:
    """A bench with one client of one protocol."""

    def __init__(self, new_bench: NewBench, protocol: Any = None, **settings: Any) -> None:
        self.protocol: Any = protocol or Noted()
        plugin = type("Plugin", (), {"protocol": hookimpl(lambda _, service: lambda: self.protocol)})
        self.bench = new_bench(plugin, **settings)
        self.client: BenchClient = self.bench.connect()

    @property
    def transport(self) -> Any:
        return self.protocol.transport

    def within(self, *functions: Callable[[], object]) -> None:
        """Call functions in the loop of the bench."""
        for function in functions:
            self.bench.worker.call_later(0, function)
        self.bench.advance(0)


@pytest.fixture
def served(plugin_bench: NewBench) -> Served:
    return Served(plugin_bench)


@pytest.mark.parametrize("data", [b"data", bytearray(b"data"), memoryview(b"data"), memoryview(b"d.a.t.a.")[::2]])
def test_any_bytes_can_be_written(served: Served, data: Any) -> None:
    served.within(lambda: served.transport.write(data))
    assert served.client.received == b"data"


def test_what_is_written_may_change_afterwards(served: Served) -> None:
    served.client.pause()
    data = bytearray(b"data")
    served.within(lambda: served.transport.write(data), data.clear)
    served.client.resume()
    assert served.client.received == b"data"


@pytest.mark.parametrize("data", ["text", None, 5, [b"data"]])
def test_anything_else_cannot(served: Served, data: Any) -> None:
    with pytest.raises(TypeError, match="data must be a bytes-like object"):
        served.transport.write(data)


def test_several_pieces_are_one_send(served: Served) -> None:
    served.within(lambda: served.transport.writelines([b"one", bytearray(b"two"), memoryview(b"three")]))
    assert served.client.received == b"onetwothree"


def test_nothing_is_not_sent(served: Served) -> None:
    served.within(lambda: served.transport.write(b""), lambda: served.transport.writelines([]))
    assert (served.client.received, served.client.connection.bytes_out) == (b"", 0)


def test_a_write_after_the_end_is_ignored(served: Served) -> None:
    served.client.end()
    served.transport.write(b"late")
    served.transport.write_eof()
    served.transport.close()
    served.transport.abort()
    assert served.client.received == b""
    assert served.transport.is_closing()
    assert served.protocol.calls == ["eof_received", "connection_lost NoneType"]


@pytest.mark.parametrize(
    ("high", "low", "limits"),
    [
        (None, None, (16 * 1024, 64 * 1024)),
        (100, None, (25, 100)),
        (None, 100, (100, 400)),
        (100, 100, (100, 100)),
        (0, None, (0, 0)),
    ],
)
def test_limits_are_those_of_asyncio(
    served: Served, high: int | None, low: int | None, limits: tuple[int, int]
) -> None:
    served.transport.set_write_buffer_limits(high, low)
    assert served.transport.get_write_buffer_limits() == limits


@pytest.mark.parametrize(("high", "low"), [(100, 101), (100, -1), (-1, None)])
def test_impossible_limits_are_refused(served: Served, high: int, low: int | None) -> None:
    with pytest.raises(ValueError, match="must be >="):
        served.transport.set_write_buffer_limits(high, low)


def test_a_limit_of_nothing_resumes_when_all_is_sent(served: Served) -> None:
    served.transport.set_write_buffer_limits(0)
    served.client.pause()
    served.within(lambda: served.transport.write(b"x"))
    assert served.protocol.calls == ["pause_writing"]
    served.client.resume()
    assert served.protocol.calls == ["pause_writing", "resume_writing"]


def test_a_lower_limit_applies_to_what_is_queued(served: Served) -> None:
    served.client.pause()
    served.within(lambda: served.transport.write(bytes(1000)))
    assert served.protocol.calls == []
    served.within(lambda: served.transport.set_write_buffer_limits(999))
    assert served.protocol.calls == ["pause_writing"]


def test_resume_writing_may_write_too_much_again(plugin_bench: NewBench) -> None:
    class Refills(Noted):
        left = 3

        def resume_writing(self) -> None:
            super().resume_writing()
            if self.left:
                self.left -= 1
                self.transport.write(bytes(70_000))

    served = Served(plugin_bench, Refills())
    for _ in range(4):
        served.client.pause()
        served.within(lambda: served.transport.write(bytes(70_000)))
        served.client.resume()
    assert len(served.client.received) == 7 * 70_000
    calls = served.protocol.calls
    assert calls == ["pause_writing", "resume_writing"] * (len(calls) // 2), "each pause is followed by one resumption"
    assert served.transport.get_write_buffer_size() == 0


@pytest.mark.parametrize("method", ["pause_writing", "resume_writing"])
def test_an_exception_of_the_flow_control_is_reported_and_closes(plugin_bench: NewBench, method: str) -> None:
    served = Served(plugin_bench, Noted(fails_in=method))
    served.client.pause()

    def overfill_and_read() -> None:
        served.within(lambda: served.transport.write(bytes(70_000)))
        served.client.resume()

    with pytest.raises(ValueError, match="broken") as raised:
        overfill_and_read()
    assert raised.value.__notes__[0].startswith(f"raised in {method} of plugin Plugin")
    served.client.resume()
    assert served.protocol.calls[-1] == "connection_lost ValueError"
    assert len(served.client.received) == 70_000, "what was sent before is still transmitted"


def test_too_much_for_a_client_that_does_not_read_disconnects_it(plugin_bench: NewBench) -> None:
    served = Served(plugin_bench, max_send_buffer=1000)
    served.client.pause()
    served.within(*[lambda: served.transport.write(bytes(600))] * 3)
    assert served.client.closed is CloseReason.OVERFLOW
    assert served.protocol.calls == ["connection_lost ConnectionAbortedError"]


def test_too_much_after_a_close_resets_the_client(plugin_bench: NewBench) -> None:
    served = Served(plugin_bench, max_send_buffer=1000)
    served.client.pause()
    late = [lambda: served.transport.write(bytes(600))] * 2
    served.within(lambda: served.transport.write(b"x"), served.transport.close, *late)
    assert served.protocol.calls == []
    served.within(*late)
    assert served.protocol.calls == ["connection_lost ConnectionAbortedError"]
    assert served.client.closed is CloseReason.LOCAL


def test_abort_ends_a_close_that_waits_for_the_client(served: Served) -> None:
    served.client.pause()
    served.within(lambda: served.transport.write(b"queued"), served.transport.close)
    assert served.protocol.calls == []
    served.within(served.transport.abort)
    assert served.protocol.calls == ["connection_lost NoneType"]
    served.client.resume()
    assert served.client.received == b""


def test_abort_notifies_a_hook_that_waits_until_less_is_queued(served: Served) -> None:
    waits: list[asyncio.Task[bool]] = []
    served.client.pause()

    def begin() -> None:
        served.transport.write(bytes(70_000))
        waits.append(asyncio.get_running_loop().create_task(served.client.connection.drained()))

    served.within(begin)
    served.within(served.transport.abort)
    assert waits[0].result() is False


def test_nothing_is_received_after_a_close(served: Served) -> None:
    served.within(served.transport.close)
    other = Noted()
    served.transport.set_protocol(other)
    assert not served.transport.is_reading()
    assert served.protocol.calls == ["connection_lost NoneType"]
    assert other.calls == []


def test_a_close_within_a_batch_stops_it(plugin_bench: NewBench) -> None:
    class Closes(asyncio.BufferedProtocol):
        received = 0

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport: Any = transport

        def get_buffer(self, sizehint: int) -> bytearray:
            return bytearray(2)

        def buffer_updated(self, nbytes: int) -> None:
            self.received += nbytes
            self.transport.close()

    served = Served(plugin_bench, Closes())
    served.client.send(b"hello")
    assert served.protocol.received == 2


def test_an_empty_buffer_is_an_error_of_the_protocol(plugin_bench: NewBench) -> None:
    class Empty(asyncio.BufferedProtocol):
        def get_buffer(self, sizehint: int) -> bytearray:
            return bytearray()

    served = Served(plugin_bench, Empty())
    with pytest.raises(RuntimeError, match="empty buffer") as raised:
        served.client.send(b"x")
    assert raised.value.__notes__[0].startswith("raised in buffer_updated of plugin Plugin")


def test_pausing_twice_and_resuming_once_is_reading(served: Served) -> None:
    served.within(served.transport.pause_reading, served.transport.pause_reading, served.transport.resume_reading)
    assert served.transport.is_reading()
    served.within(served.transport.resume_reading)
    served.client.send(b"x")
    assert served.protocol.calls == ["data_received x"]


def test_a_method_that_the_protocol_replaces_is_called(served: Served) -> None:
    received: list[bytes] = []
    served.protocol.data_received = received.append
    served.client.send(b"x")
    assert (received, served.protocol.calls) == ([b"x"], [])


def test_facts_of_a_plain_connection(served: Served) -> None:
    info = served.transport.get_extra_info
    peer = ("127.0.0.1", served.client.connection.peer.port)
    assert (info("peername"), info("sockname")) == (peer, ("127.0.0.1", 9000))
    assert info("socket").getpeername() == peer
    assert info("socket").getsockname() == ("127.0.0.1", 9000)
    for name in ("ssl_object", "sslcontext", "peercert", "cipher", "compression", "unknown"):
        assert info(name) is None
        assert info(name, "default") == "default"


def test_the_transport_is_what_asyncio_and_libraries_look_for(served: Served) -> None:
    assert isinstance(served.transport, asyncio.Transport)
    assert isinstance(served.transport, AsyncioTransport)
    assert repr(served.client.connection) in repr(served.transport)
    assert served.transport._start_tls_compatible


def test_a_stream_writer_can_wait_until_it_is_closed(plugin_bench: NewBench) -> None:
    ended: list[str] = []

    class Waits:
        @hookimpl
        async def stream_handler(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readexactly(1))
            writer.close()
            await writer.wait_closed()
            ended.append("closed")

    client = plugin_bench(Waits).connect()
    client.send(b"x")
    assert (client.received, client.closed, ended) == (b"x", CloseReason.LOCAL, ["closed"])


def test_tls_that_begins_while_writing_is_paused_resumes_it(plugin_bench: NewBench) -> None:
    class Mail(Noted):
        def data_received(self, data: bytes) -> None:
            self.transport.write(bytes(100_000))
            # The kernel has room again, and what is queued is sent within this call.
            mail.client._socket.reading = True
            self.transport.get_extra_info("connection").start_tls()

    mail = Served(plugin_bench, Mail())
    mail.client.pause()
    mail.client.send(b"STARTTLS")
    assert mail.protocol.calls == ["pause_writing", "resume_writing"]
    assert mail.client.connection.tls is not None


@pytest.mark.parametrize("paused", [False, True])
def test_a_protocol_can_read_before_its_deadline_ends_a_client(
    served: Served, monkeypatch: pytest.MonkeyPatch, paused: bool
) -> None:
    if paused:
        served.within(served.transport.pause_reading)
    sock = served.client._socket
    with monkeypatch.context() as unnoticed:
        # The turn has no room for this client.
        unnoticed.setattr(sock, "ready", lambda: 0)
        sock.incoming.append(b"in time")
        served.within(served.transport.read_now)
        assert served.protocol.calls == ([] if paused else ["data_received in time"])
