"""The stream transport, on a fake socket and a fake poller: what is read, sent, queued, and how a connection ends."""

from __future__ import annotations

import asyncio
import itertools
import socket
import sys
from collections import deque
from typing import Any, cast

import pytest
from hypothesis import given, strategies

from reactorhost.api.close_reason import CloseReason
from reactorhost.api.connection import Connection
from reactorhost.api.hookspecs import hookimpl
from reactorhost.framing import Fixed
from reactorhost.plugins.identity import LoadedPlugin, PluginIdentity
from reactorhost.reactor import READ, WRITE, Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller, turn
from reactorhost.worker.builder import WorkerBuilder
from reactorhost.worker.context import Limits
from reactorhost.worker.service import LoadedService
from reactorhost.worker.stream.closing import CloseState

RESET = ConnectionResetError()


class Turns(Reactor):
    """A reactor whose events and time a test sets."""

    def __init__(self) -> None:
        self.time = FakeClock(100.0)
        self.poller = FakePoller(self.time)
        super().__init__(self.poller, self.time)

    def make_turn(self, ready: int = 0, seconds: float = 0.0) -> None:
        """Make a turn in which every descriptor is ready for `ready` as far as it is watched."""
        self.time.now += seconds
        for sock in self.poller.sockets.values():
            cast("FakeSocket", sock).events = ready
        self.turn(0)
        for sock in self.poller.sockets.values():
            cast("FakeSocket", sock).events = 0
        while turn(self, self.poller):
            pass

    def events(self) -> int:
        return next(iter(self.poller.watched.values()), 0)


class FakeSocket:
    """Returns what a test put in, accepts as much as a test allows, and records the calls."""

    def __init__(self) -> None:
        self.incoming: deque[bytes | Exception] = deque()
        self.number = -1
        self.events = 0
        self.room = 1 << 40
        self.sent = bytearray()
        self.broken = False
        self.asked: list[int] = []
        self.done: list[str] = []
        self.calls: list[str] = []

    def ready(self) -> int:
        return self.events

    def fileno(self) -> int:
        return self.number

    def recv(self, size: int) -> bytes:
        self.calls.append("recv")
        if "close" in self.done:
            raise OSError(9, "Bad file descriptor")
        self.asked.append(size)
        if not self.incoming:
            raise BlockingIOError
        item = self.incoming.popleft()
        if isinstance(item, Exception):
            raise item
        if len(item) > size:
            self.incoming.appendleft(item[size:])
        return item[:size]

    def send(self, data: bytes | memoryview) -> int:
        self.calls.append("send")
        if self.broken:
            raise BrokenPipeError
        taken = min(self.room, len(data))
        if not taken:
            raise BlockingIOError
        self.room -= taken
        self.sent += data[:taken]
        return taken

    def shutdown(self, how: int) -> None:
        assert how == socket.SHUT_WR
        self.done.append("fin")

    def setsockopt(self, *option: object) -> None:
        self.done.append("reset")

    def close(self) -> None:
        self.done.append("close")


class Served:
    """One connection of a plugin whose hooks are a test's functions."""

    def __init__(self, *, idle_timeout: float | None = None, max_send_buffer: int = 1 << 20, **hooks: Any) -> None:
        self.reactor = Turns()
        self.socket = FakeSocket()
        self.reactor.poller.open(self.socket)
        self.failures: list[tuple[str, str, str]] = []
        self.closed: list[CloseReason] = []

        @hookimpl
        def close(connection: Connection, reason: CloseReason) -> None:
            self.closed.append(reason)

        namespace = type("Plugin", (), {})()
        implemented = {"close": close} | {name: hookimpl(hook) for name, hook in hooks.items()}
        for name, hook in implemented.items():
            setattr(namespace, name, hook)
        plugin = LoadedPlugin(PluginIdentity("fake", None, None, "fake"), namespace, tuple(implemented), None)
        limits = Limits(close_timeout=10.0, idle_timeout=idle_timeout, max_send_buffer=max_send_buffer)
        parts = WorkerBuilder(
            reactor=self.reactor,
            hook_failed=lambda plugin, hook, connection, error: self.failures.append((plugin, hook, str(error))),
        ).build([LoadedService("default", [plugin], limits)], limits)
        (self.counters,) = (each.counters for each in parts.service_stats)
        self.service = parts.services["default"]
        self.service.acceptor("tcp")(self.socket, ("127.0.0.1", 5000))  # type: ignore[arg-type]  # likewise
        (self.transport,) = self.service.transports
        self.connection = self.transport.connection

    def receive(self, *items: bytes | Exception) -> None:
        """Let input arrive, an empty one being the client's end, and turn until it is read."""
        self.socket.incoming.extend(items)
        for _ in items:
            self.reactor.make_turn(READ)


def echo(connection: Connection, data: bytes) -> None:
    connection.send(data)


def test_input_is_delivered_to_the_plugin_and_counted() -> None:
    served = Served(receive=echo)
    served.receive(b"one", b"two")
    assert bytes(served.socket.sent) == b"onetwo"
    assert (served.connection.bytes_in, served.connection.bytes_out) == (6, 6)
    assert (served.counters.messages, served.counters.bytes_in, served.counters.bytes_out) == (2, 6, 6)
    assert (served.counters.accepted, served.counters.connections) == (1, 1)


def test_a_message_is_one_recv_and_its_answer_one_send() -> None:
    served = Served(receive=echo)
    served.receive(b"one", b"two")
    assert served.socket.calls == ["recv", "send"] * 2
    assert served.reactor.poller.changes == 1, "the kernel is not asked again for the same events"


@given(strategies.lists(strategies.binary(min_size=1, max_size=200)), strategies.lists(strategies.integers(0, 90)))
def test_an_echo_is_whole_and_in_order_whatever_the_kernel_accepts(pieces: list[bytes], rooms: list[int]) -> None:
    served = Served(receive=echo)
    for piece, room in itertools.zip_longest(pieces, rooms, fillvalue=None):
        served.socket.room = room or 0
        if piece:
            served.receive(piece)
        served.reactor.make_turn(WRITE)
    served.socket.room = 1 << 40
    served.receive(b"")
    served.reactor.make_turn(WRITE)
    assert bytes(served.socket.sent) == b"".join(pieces)
    assert served.closed == [CloseReason.PEER]


def test_a_client_with_much_queued_is_not_read_until_most_of_it_is_sent() -> None:
    served = Served(receive=lambda connection, data: connection.send(bytes(65_537)))
    served.socket.room = 0
    served.receive(b"x")
    assert served.reactor.events() == WRITE
    served.socket.room = 49_000
    served.reactor.make_turn(WRITE)
    assert served.reactor.events() == WRITE
    served.socket.room = 1000
    served.reactor.make_turn(WRITE)
    assert served.reactor.events() == READ | WRITE
    served.socket.room = 1 << 40
    served.reactor.make_turn(WRITE)
    assert served.reactor.events() == READ


def test_a_full_duplex_client_is_read_whatever_is_queued() -> None:
    served = Served(receive=lambda connection, data: connection.send(bytes(65_537)))
    served.connection.full_duplex = True
    served.socket.room = 0
    served.receive(b"x")
    assert served.reactor.events() == READ | WRITE


def test_a_client_that_becomes_full_duplex_is_read_again() -> None:
    served = Served(receive=lambda connection, data: connection.send(bytes(65_537)))
    served.socket.room = 0
    served.receive(b"x")
    served.connection.full_duplex = True
    assert served.reactor.events() == READ | WRITE
    served.connection.full_duplex = False
    served.receive(b"x")
    assert served.reactor.events() == WRITE
    assert not served.connection.full_duplex


def test_a_registration_changes_only_when_its_events_change() -> None:
    served = Served()
    served.socket.room = 0
    served.connection.send(bytes(100_000))
    changes = served.reactor.poller.changes
    for _ in range(3):
        served.socket.room = 1000
        served.reactor.make_turn(WRITE)
    assert served.reactor.poller.changes == changes


@pytest.mark.parametrize("data", [b"abc", bytearray(b"abc"), memoryview(b"abc"), memoryview(b"aXbXcX")[::2]])
def test_any_bytes_like_object_can_be_sent_and_changed_afterwards(data: Any) -> None:
    served = Served()
    served.socket.room = 1
    assert served.connection.send(data)
    if isinstance(data, bytearray):
        data[:] = b"zzz"
    served.socket.room = 10
    served.reactor.make_turn(WRITE)
    assert bytes(served.socket.sent) == b"abc"


@pytest.mark.parametrize("data", ["text", 5, None, [1]])
def test_an_object_that_is_not_bytes_like_is_refused(data: Any) -> None:
    served = Served()
    hint = r": encode the text, as in send\(text.encode\(\)\)" if isinstance(data, str) else ""
    with pytest.raises(TypeError, match=f"^send takes bytes-like data, not {type(data).__name__}{hint}$"):
        served.connection.send(data)


def test_a_close_flushes_then_sends_fin_then_waits_for_the_clients_end() -> None:
    served = Served()
    served.socket.room = 2
    served.connection.send(b"goodbye")
    served.connection.close()
    assert not served.connection.send(b"more")
    assert served.socket.done == []
    served.socket.room = 100
    served.reactor.make_turn(WRITE)
    assert served.socket.done == ["fin"]
    assert served.transport.close_state is CloseState.LINGERING
    served.receive(b"still talking", b"")
    assert bytes(served.socket.sent) == b"goodbye"
    assert served.socket.done == ["fin", "close"]
    assert served.closed == [CloseReason.LOCAL]
    assert served.connection.bytes_in == 0


def test_a_close_that_the_client_does_not_answer_ends_in_a_reset() -> None:
    served = Served()
    served.connection.close()
    served.reactor.make_turn(seconds=9.9)
    assert served.closed == []
    served.reactor.make_turn(seconds=0.2)
    assert served.socket.done == ["fin", "reset", "close"]
    assert served.closed == [CloseReason.LOCAL]


def test_a_client_that_has_ended_already_is_closed_without_a_wait() -> None:
    served = Served(receive=lambda connection, data: connection.send(b"answer"))
    served.socket.room = 1
    served.receive(b"x", b"")
    assert served.closed == []
    assert served.reactor.events() == WRITE
    served.socket.room = 100
    served.reactor.make_turn(WRITE)
    assert bytes(served.socket.sent) == b"answer"
    assert served.socket.done == ["close"]
    assert served.closed == [CloseReason.PEER]


def test_an_abort_is_a_reset_now() -> None:
    served = Served()
    served.socket.room = 0
    served.connection.send(b"lost")
    served.connection.abort()
    assert served.socket.done == ["reset", "close"]
    served.reactor.make_turn()
    assert served.closed == [CloseReason.LOCAL]
    assert not served.service.transports
    assert served.counters.connections == 0


def test_the_close_hook_comes_after_the_hook_that_ended_the_connection() -> None:
    order: list[str] = []

    def receive(connection: Connection, data: bytes) -> None:
        connection.abort()
        order.append(f"receive saw {len(served.closed)}")

    served = Served(receive=receive)
    served.receive(b"x")
    assert order == ["receive saw 0"]
    assert served.closed == [CloseReason.LOCAL]


def test_unread_input_counts_as_traffic_when_the_idle_timeout_expires() -> None:
    seen: list[bytes] = []
    served = Served(receive=lambda connection, data: seen.append(data), idle_timeout=5.0)
    # A turn that has no room for this client does not report it.
    served.socket.incoming.append(b"waits")
    served.reactor.make_turn(seconds=5.0)
    assert (seen, served.closed) == ([b"waits"], [])
    served.reactor.make_turn(seconds=4.9)
    assert served.transport.close_state is CloseState.OPEN
    served.reactor.make_turn(seconds=0.2)
    assert served.transport.close_state is not CloseState.OPEN


def test_an_unread_fin_ends_the_connection_as_the_peer_when_the_idle_timeout_expires() -> None:
    served = Served(idle_timeout=5.0)
    served.socket.incoming.append(b"")
    served.reactor.make_turn(seconds=5.0)
    assert served.closed == [CloseReason.PEER]


@pytest.mark.parametrize("order", [("pause", "close"), ("close", "pause")])
def test_a_client_closed_while_paused_is_still_read_and_receives_its_queue(order: tuple[str, str]) -> None:
    served = Served()
    served.socket.room = 0
    served.connection.send(b"answer")
    for each in order:
        getattr(served.connection, each)()
    assert served.reactor.events() == READ | WRITE
    served.receive(b"thrown away")
    served.socket.room = 100
    served.reactor.make_turn(WRITE)
    assert (bytes(served.socket.sent), served.socket.done) == (b"answer", ["fin"])
    served.receive(b"")
    assert served.closed == [CloseReason.LOCAL]


def test_an_event_after_the_end_does_nothing() -> None:
    served = Served(receive=echo)
    served.socket.room = 0
    served.connection.send(b"a client with a callback of its own")
    callback = served.reactor._callbacks[served.socket.number]
    served.connection.abort()
    served.reactor.make_turn()
    callback(READ)
    callback(READ | WRITE)
    served.reactor.make_turn()
    assert served.closed == [CloseReason.LOCAL]


def test_send_eof_sends_fin_after_the_queue_and_reading_continues() -> None:
    received: list[bytes] = []
    served = Served(receive=lambda connection, data: received.append(data))
    served.socket.room = 0
    served.connection.send(b"last words")
    served.connection.send_eof()
    assert not served.connection.send(b"more")
    assert served.socket.done == []
    served.socket.room = 100
    served.reactor.make_turn(WRITE)
    assert served.socket.done == ["fin"]
    served.receive(b"answer", b"")
    assert received == [b"answer"]
    assert served.closed == [CloseReason.PEER]


def test_neither_input_nor_fin_of_a_paused_client_is_read() -> None:
    served = Served(receive=echo)
    served.connection.pause()
    assert served.reactor.events() == 0
    served.receive(b"")
    assert served.closed == []
    served.connection.resume()
    served.reactor.make_turn(READ)
    assert served.closed == [CloseReason.PEER]


@pytest.mark.parametrize("broken", ["recv", "send"])
def test_a_reset_by_the_client_ends_it_once(broken: str) -> None:
    served = Served(receive=echo)
    if broken == "send":
        served.socket.broken = True
        served.receive(b"x")
        assert not served.connection.send(b"y")
        assert served.closed == []
    served.receive(RESET)
    served.reactor.make_turn()
    assert served.closed == [CloseReason.PEER]
    assert served.failures == []


def test_an_exception_in_receive_is_reported_and_closes_after_a_flush() -> None:
    def receive(connection: Connection, data: bytes) -> None:
        connection.send(b"before")
        raise ValueError("spoiled")

    served = Served(receive=receive)
    served.receive(b"x", b"")
    assert served.failures == [("fake", "receive", "spoiled")]
    assert bytes(served.socket.sent) == b"before"
    assert served.closed == [CloseReason.ERROR]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
@pytest.mark.parametrize("hook", ["connect", "receive", "close", "timer"])
def test_no_base_exception_of_a_plugin_leaves_the_transport(kind: type[BaseException], hook: str) -> None:
    def raise_it(*arguments: object) -> None:
        raise kind

    hooks: dict[str, Any] = {} if hook == "timer" else {hook: lambda connection: raise_it()}
    served = Served(**hooks)
    if hook == "timer":
        served.connection.call_later(0.0, raise_it)
        served.reactor.make_turn()
    served.receive(b"x", b"")
    assert [(name, error) for _, name, error in served.failures] == [(hook, f"the plugin raised {kind.__name__}")]


def test_a_plugin_that_calls_exit_ends_its_connection_and_not_the_worker() -> None:
    def receive(connection: Connection, data: bytes) -> None:
        sys.exit(3)

    def late() -> None:
        sys.exit(4)

    served = Served(receive=receive)
    served.connection.call_later(1.0, late)
    served.reactor.make_turn(seconds=1.0)
    assert served.failures == [("fake", "timer", "the plugin called sys.exit(4)")]
    served = Served(receive=receive)
    served.receive(b"x", b"")
    assert served.failures == [("fake", "receive", "the plugin called sys.exit(3)")]
    assert served.closed == [CloseReason.ERROR]


def test_an_exception_in_connect_closes_that_connection() -> None:
    def connect(connection: Connection) -> None:
        raise ValueError("no")

    served = Served(connect=connect)
    served.receive(b"")
    assert served.failures == [("fake", "connect", "no")]
    assert served.closed == [CloseReason.ERROR]


def test_a_client_that_does_not_read_is_disconnected_at_max_send_buffer() -> None:
    served = Served(max_send_buffer=1000)
    served.socket.room = 0
    assert served.connection.send(bytes(900))
    assert served.connection.send(bytes(5000)), "one large answer is no overflow"
    assert not served.connection.send(b"x")
    served.reactor.make_turn()
    assert served.socket.done == ["reset", "close"]
    assert served.closed == [CloseReason.OVERFLOW]


def test_idle_timeout_ends_a_silent_connection_and_traffic_either_way_restarts_it() -> None:
    served = Served(idle_timeout=10.0, receive=echo)
    served.reactor.make_turn(seconds=9.0)
    served.receive(b"x")
    served.reactor.make_turn(seconds=9.0)
    served.connection.send(b"y")
    served.reactor.make_turn(seconds=9.0)
    assert served.transport.close_state is CloseState.OPEN
    served.reactor.make_turn(seconds=1.1)
    served.receive(b"")
    assert served.closed == [CloseReason.IDLE]


def test_the_idle_timeout_of_one_connection_can_be_changed() -> None:
    served = Served(idle_timeout=10.0)
    served.connection.idle_timeout = None
    served.reactor.make_turn(seconds=100.0)
    assert served.closed == []
    served.connection.idle_timeout = 5.0
    assert served.connection.idle_timeout == 5.0
    served.reactor.make_turn(seconds=5.1)
    assert served.transport.close_state is CloseState.LINGERING


def test_timers_of_a_connection_end_with_it() -> None:
    calls: list[str] = []
    served = Served()
    served.connection.call_later(1.0, calls.append, "in time")
    cancelled = served.connection.call_later(1.0, calls.append, "cancelled")
    served.connection.call_later(5.0, calls.append, "too late")
    cancelled.cancel()
    served.reactor.make_turn(seconds=1.0)
    served.receive(b"")
    served.connection.call_later(1.0, calls.append, "after the end")
    served.reactor.make_turn(seconds=9.0)
    assert calls == ["in time"]


def test_an_exception_in_a_timer_closes_its_connection() -> None:
    def spoil() -> None:
        raise ValueError("late")

    served = Served()
    served.connection.call_later(1.0, spoil)
    served.reactor.make_turn(seconds=1.0)
    served.receive(b"")
    assert [failure[1:] for failure in served.failures] == [("timer", "late")]
    assert served.closed == [CloseReason.ERROR]


def test_the_read_size_grows_while_reads_are_full_and_shrinks_later() -> None:
    sizes: list[int] = []
    served = Served(receive=lambda connection, data: sizes.append(len(data)))
    served.receive(bytes(1_000_000))
    while served.socket.incoming:
        served.reactor.make_turn(READ)
    assert sizes[:4] == [16_384, 65_536, 262_144, 524_288]
    sizes.clear()
    served.receive(b"x", b"x", b"x", bytes(20_000), b"")
    assert sizes == [1, 1, 1, 16_384, 3_616]


def test_the_read_size_of_a_framed_client_stays_at_most_64_kib() -> None:
    served = Served()
    served.connection.framing = Fixed(1000)
    served.receive(bytes(1_000_000))
    while served.socket.incoming:
        served.reactor.make_turn(READ)
    assert max(served.socket.asked) == 65_536


def test_the_plugins_own_function_is_what_the_transport_calls() -> None:
    def receive(connection: Connection, data: bytes) -> None:
        connection.send(data)

    assert Served(receive=receive).service.context.receive is receive


def test_the_data_namespace_of_a_connection_is_made_on_first_use() -> None:
    served = Served()
    served.connection.state.user = "ann"
    assert served.connection.state.user == "ann"


def test_attributes_of_a_connection_stay_after_its_end() -> None:
    served = Served()
    served.connection.abort()
    served.reactor.make_turn()
    assert str(served.connection.peer) == "127.0.0.1:5000"
    assert served.connection.id == 1
    assert served.connection.queued == 0
    assert served.connection.age >= 0
