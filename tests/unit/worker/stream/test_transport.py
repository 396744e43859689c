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

from reactorhost.api.connection import CloseReason, Connection
from reactorhost.api.hookspecs import hookimpl
from reactorhost.framing import Fixed
from reactorhost.plugins.identity import LoadedPlugin, PluginIdentity
from reactorhost.reactor import READ, WRITE, Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller, turn
from reactorhost.worker.builder import LoadedService, WorkerBuilder
from reactorhost.worker.context import Limits
from reactorhost.worker.stream.closing import CloseState

RESET = ConnectionResetError()


class Turns(Reactor):
    """A test says what the sockets are ready for, and how late it is."""

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
    """Gives what a test put in, takes as much as a test allows, and remembers what was done to it."""

    def __init__(self) -> None:
        self.incoming: deque[bytes | Exception] = deque()
        self.events = 0
        self.room = 1 << 40
        self.sent = bytearray()
        self.broken = False
        self.asked: list[int] = []
        self.done: list[str] = []
        self.calls: list[str] = []

    def ready(self) -> int:
        return self.events

    def opened(self, number: int) -> None:
        self.number = number

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


class Stage:
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
        plugin = LoadedPlugin(PluginIdentity("paper", None, None, "paper"), namespace, tuple(implemented), None)
        limits = Limits(close_timeout=10.0, idle_timeout=idle_timeout, max_send_buffer=max_send_buffer)
        parts = WorkerBuilder(
            reactor=self.reactor,
            hook_failed=lambda plugin, hook, connection, error: self.failures.append((plugin, hook, str(error))),
        ).build([LoadedService("default", [plugin], limits)], limits)
        self.counters = parts.context.counters
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


def test_what_comes_is_given_to_the_plugin_and_counted() -> None:
    stage = Stage(receive=echo)
    stage.receive(b"one", b"two")
    assert bytes(stage.socket.sent) == b"onetwo"
    assert (stage.connection.bytes_in, stage.connection.bytes_out) == (6, 6)
    assert (stage.counters.messages, stage.counters.bytes_in, stage.counters.bytes_out) == (2, 6, 6)
    assert (stage.counters.accepted, stage.counters.connections) == (1, 1)


def test_a_message_is_one_recv_and_its_answer_one_send() -> None:
    stage = Stage(receive=echo)
    stage.receive(b"one", b"two")
    assert stage.socket.calls == ["recv", "send"] * 2
    assert stage.reactor.poller.changes == 1, "the kernel is not asked again for the same events"


@given(strategies.lists(strategies.binary(min_size=1, max_size=200)), strategies.lists(strategies.integers(0, 90)))
def test_an_echo_is_whole_and_in_order_however_the_kernel_takes_it(pieces: list[bytes], rooms: list[int]) -> None:
    stage = Stage(receive=echo)
    for piece, room in itertools.zip_longest(pieces, rooms, fillvalue=None):
        stage.socket.room = room or 0
        if piece:
            stage.receive(piece)
        stage.reactor.make_turn(WRITE)
    stage.socket.room = 1 << 40
    stage.receive(b"")
    stage.reactor.make_turn(WRITE)
    assert bytes(stage.socket.sent) == b"".join(pieces)
    assert stage.closed == [CloseReason.PEER]


def test_a_client_with_much_queued_is_not_read_until_most_of_it_is_sent() -> None:
    stage = Stage(receive=lambda connection, data: connection.send(bytes(65_537)))
    stage.socket.room = 0
    stage.receive(b"x")
    assert stage.reactor.events() == WRITE
    stage.socket.room = 49_000
    stage.reactor.make_turn(WRITE)
    assert stage.reactor.events() == WRITE
    stage.socket.room = 1000
    stage.reactor.make_turn(WRITE)
    assert stage.reactor.events() == READ | WRITE
    stage.socket.room = 1 << 40
    stage.reactor.make_turn(WRITE)
    assert stage.reactor.events() == READ


def test_what_is_waited_for_is_told_to_the_kernel_only_when_it_changes() -> None:
    stage = Stage()
    stage.socket.room = 0
    stage.connection.send(bytes(100_000))
    changes = stage.reactor.poller.changes
    for _ in range(3):
        stage.socket.room = 1000
        stage.reactor.make_turn(WRITE)
    assert stage.reactor.poller.changes == changes


@pytest.mark.parametrize("data", [b"abc", bytearray(b"abc"), memoryview(b"abc"), memoryview(b"aXbXcX")[::2]])
def test_anything_bytes_like_can_be_sent_and_changed_afterwards(data: Any) -> None:
    stage = Stage()
    stage.socket.room = 1
    assert stage.connection.send(data)
    if isinstance(data, bytearray):
        data[:] = b"zzz"
    stage.socket.room = 10
    stage.reactor.make_turn(WRITE)
    assert bytes(stage.socket.sent) == b"abc"


@pytest.mark.parametrize("data", ["text", 5, None, [1]])
def test_what_is_not_bytes_like_is_refused(data: Any) -> None:
    stage = Stage()
    with pytest.raises(TypeError, match=f"^send takes bytes-like data, not {type(data).__name__}$"):
        stage.connection.send(data)


def test_a_close_flushes_then_sends_fin_then_waits_for_the_clients_end() -> None:
    stage = Stage()
    stage.socket.room = 2
    stage.connection.send(b"goodbye")
    stage.connection.close()
    assert not stage.connection.send(b"more")
    assert stage.socket.done == []
    stage.socket.room = 100
    stage.reactor.make_turn(WRITE)
    assert stage.socket.done == ["fin"]
    assert stage.transport.close_state is CloseState.LINGERING
    stage.receive(b"still talking", b"")
    assert bytes(stage.socket.sent) == b"goodbye"
    assert stage.socket.done == ["fin", "close"]
    assert stage.closed == [CloseReason.LOCAL]
    assert stage.connection.bytes_in == 0


def test_a_close_that_the_client_does_not_answer_ends_in_a_reset() -> None:
    stage = Stage()
    stage.connection.close()
    stage.reactor.make_turn(seconds=9.9)
    assert stage.closed == []
    stage.reactor.make_turn(seconds=0.2)
    assert stage.socket.done == ["fin", "reset", "close"]
    assert stage.closed == [CloseReason.LOCAL]


def test_a_client_that_has_ended_already_is_closed_without_a_wait() -> None:
    stage = Stage(receive=lambda connection, data: connection.send(b"answer"))
    stage.socket.room = 1
    stage.receive(b"x", b"")
    assert stage.closed == []
    assert stage.reactor.events() == WRITE
    stage.socket.room = 100
    stage.reactor.make_turn(WRITE)
    assert bytes(stage.socket.sent) == b"answer"
    assert stage.socket.done == ["close"]
    assert stage.closed == [CloseReason.PEER]


def test_an_abort_is_a_reset_now() -> None:
    stage = Stage()
    stage.socket.room = 0
    stage.connection.send(b"lost")
    stage.connection.abort()
    assert stage.socket.done == ["reset", "close"]
    stage.reactor.make_turn()
    assert stage.closed == [CloseReason.LOCAL]
    assert not stage.service.transports
    assert stage.counters.connections == 0


def test_the_close_hook_comes_after_the_hook_that_ended_the_connection() -> None:
    order: list[str] = []

    def receive(connection: Connection, data: bytes) -> None:
        connection.abort()
        order.append(f"receive saw {len(stage.closed)}")

    stage = Stage(receive=receive)
    stage.receive(b"x")
    assert order == ["receive saw 0"]
    assert stage.closed == [CloseReason.LOCAL]


def test_what_waits_unread_when_the_idle_time_is_over_is_not_nothing() -> None:
    seen: list[bytes] = []
    stage = Stage(receive=lambda connection, data: seen.append(data), idle_timeout=5.0)
    # A turn that has no room for this client does not tell of it.
    stage.socket.incoming.append(b"waits")
    stage.reactor.make_turn(seconds=5.0)
    assert (seen, stage.closed) == ([b"waits"], [])
    stage.reactor.make_turn(seconds=4.9)
    assert stage.transport.close_state is CloseState.OPEN
    stage.reactor.make_turn(seconds=0.2)
    assert stage.transport.close_state is not CloseState.OPEN


def test_an_end_that_waits_unread_when_the_idle_time_is_over_is_the_clients() -> None:
    stage = Stage(idle_timeout=5.0)
    stage.socket.incoming.append(b"")
    stage.reactor.make_turn(seconds=5.0)
    assert stage.closed == [CloseReason.PEER]


@pytest.mark.parametrize("order", [("pause", "close"), ("close", "pause")])
def test_who_is_closed_while_paused_is_read_on_so_that_he_reads_what_is_queued(order: tuple[str, str]) -> None:
    stage = Stage()
    stage.socket.room = 0
    stage.connection.send(b"answer")
    for each in order:
        getattr(stage.connection, each)()
    assert stage.reactor.events() == READ | WRITE
    stage.receive(b"thrown away")
    stage.socket.room = 100
    stage.reactor.make_turn(WRITE)
    assert (bytes(stage.socket.sent), stage.socket.done) == (b"answer", ["fin"])
    stage.receive(b"")
    assert stage.closed == [CloseReason.LOCAL]


def test_a_readiness_that_comes_after_the_end_does_nothing() -> None:
    stage = Stage(receive=echo)
    stage.socket.room = 0
    stage.connection.send(b"a client with a callback of its own")
    callback = stage.reactor._callbacks[stage.socket.number]
    stage.connection.abort()
    stage.reactor.make_turn()
    callback(READ)
    callback(READ | WRITE)
    stage.reactor.make_turn()
    assert stage.closed == [CloseReason.LOCAL]


def test_half_closing_sends_fin_after_what_is_queued_and_goes_on_reading() -> None:
    received: list[bytes] = []
    stage = Stage(receive=lambda connection, data: received.append(data))
    stage.socket.room = 0
    stage.connection.send(b"last words")
    stage.connection.send_eof()
    assert not stage.connection.send(b"more")
    assert stage.socket.done == []
    stage.socket.room = 100
    stage.reactor.make_turn(WRITE)
    assert stage.socket.done == ["fin"]
    stage.receive(b"answer", b"")
    assert received == [b"answer"]
    assert stage.closed == [CloseReason.PEER]


def test_a_paused_client_is_not_read_not_even_its_end() -> None:
    stage = Stage(receive=echo)
    stage.connection.pause()
    assert stage.reactor.events() == 0
    stage.receive(b"")
    assert stage.closed == []
    stage.connection.resume()
    stage.reactor.make_turn(READ)
    assert stage.closed == [CloseReason.PEER]


@pytest.mark.parametrize("broken", ["recv", "send"])
def test_a_reset_by_the_client_ends_it_once(broken: str) -> None:
    stage = Stage(receive=echo)
    if broken == "send":
        stage.socket.broken = True
        stage.receive(b"x")
        assert not stage.connection.send(b"y")
        assert stage.closed == []
    stage.receive(RESET)
    stage.reactor.make_turn()
    assert stage.closed == [CloseReason.PEER]
    assert stage.failures == []


def test_an_exception_in_receive_is_told_and_closes_with_what_was_sent_before() -> None:
    def receive(connection: Connection, data: bytes) -> None:
        connection.send(b"before")
        raise ValueError("spoiled")

    stage = Stage(receive=receive)
    stage.receive(b"x", b"")
    assert stage.failures == [("paper", "receive", "spoiled")]
    assert bytes(stage.socket.sent) == b"before"
    assert stage.closed == [CloseReason.ERROR]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
@pytest.mark.parametrize("hook", ["connect", "receive", "close", "timer"])
def test_no_kind_of_interrupt_gets_past_the_host(kind: type[BaseException], hook: str) -> None:
    def raise_it(*arguments: object) -> None:
        raise kind

    hooks: dict[str, Any] = {} if hook == "timer" else {hook: lambda connection: raise_it()}
    stage = Stage(**hooks)
    if hook == "timer":
        stage.connection.call_later(0.0, raise_it)
        stage.reactor.make_turn()
    stage.receive(b"x", b"")
    assert [(name, error) for _, name, error in stage.failures] == [(hook, f"the plugin raised {kind.__name__}")]


def test_a_plugin_that_calls_exit_ends_its_connection_and_not_the_worker() -> None:
    def receive(connection: Connection, data: bytes) -> None:
        sys.exit(3)

    def late() -> None:
        sys.exit(4)

    stage = Stage(receive=receive)
    stage.connection.call_later(1.0, late)
    stage.reactor.make_turn(seconds=1.0)
    assert stage.failures == [("paper", "timer", "the plugin called sys.exit(4)")]
    stage = Stage(receive=receive)
    stage.receive(b"x", b"")
    assert stage.failures == [("paper", "receive", "the plugin called sys.exit(3)")]
    assert stage.closed == [CloseReason.ERROR]


def test_an_exception_in_connect_closes_that_connection() -> None:
    def connect(connection: Connection) -> None:
        raise ValueError("no")

    stage = Stage(connect=connect)
    stage.receive(b"")
    assert stage.failures == [("paper", "connect", "no")]
    assert stage.closed == [CloseReason.ERROR]


def test_a_flood_to_a_client_that_does_not_read_ends_in_overflow() -> None:
    stage = Stage(max_send_buffer=1000)
    stage.socket.room = 0
    assert stage.connection.send(bytes(900))
    assert stage.connection.send(bytes(5000)), "one large answer is no flood"
    assert not stage.connection.send(b"x")
    stage.reactor.make_turn()
    assert stage.socket.done == ["reset", "close"]
    assert stage.closed == [CloseReason.OVERFLOW]


def test_silence_ends_a_connection_and_traffic_either_way_keeps_it() -> None:
    stage = Stage(idle_timeout=10.0, receive=echo)
    stage.reactor.make_turn(seconds=9.0)
    stage.receive(b"x")
    stage.reactor.make_turn(seconds=9.0)
    stage.connection.send(b"y")
    stage.reactor.make_turn(seconds=9.0)
    assert stage.transport.close_state is CloseState.OPEN
    stage.reactor.make_turn(seconds=1.1)
    stage.receive(b"")
    assert stage.closed == [CloseReason.IDLE]


def test_the_idle_timeout_of_one_connection_can_be_changed() -> None:
    stage = Stage(idle_timeout=10.0)
    stage.connection.idle_timeout = None
    stage.reactor.make_turn(seconds=100.0)
    assert stage.closed == []
    stage.connection.idle_timeout = 5.0
    assert stage.connection.idle_timeout == 5.0
    stage.reactor.make_turn(seconds=5.1)
    assert stage.transport.close_state is CloseState.LINGERING


def test_timers_of_a_connection_end_with_it() -> None:
    calls: list[str] = []
    stage = Stage()
    stage.connection.call_later(1.0, calls.append, "in time")
    cancelled = stage.connection.call_later(1.0, calls.append, "cancelled")
    stage.connection.call_later(5.0, calls.append, "too late")
    cancelled.cancel()
    stage.reactor.make_turn(seconds=1.0)
    stage.receive(b"")
    stage.connection.call_later(1.0, calls.append, "after the end")
    stage.reactor.make_turn(seconds=9.0)
    assert calls == ["in time"]


def test_an_exception_in_a_timer_closes_its_connection() -> None:
    def spoil() -> None:
        raise ValueError("late")

    stage = Stage()
    stage.connection.call_later(1.0, spoil)
    stage.reactor.make_turn(seconds=1.0)
    stage.receive(b"")
    assert [failure[1:] for failure in stage.failures] == [("timer", "late")]
    assert stage.closed == [CloseReason.ERROR]


def test_a_client_that_fills_its_reads_gets_larger_ones_and_smaller_ones_later() -> None:
    sizes: list[int] = []
    stage = Stage(receive=lambda connection, data: sizes.append(len(data)))
    stage.receive(bytes(1_000_000))
    while stage.socket.incoming:
        stage.reactor.make_turn(READ)
    assert sizes[:4] == [16_384, 65_536, 262_144, 524_288]
    sizes.clear()
    stage.receive(b"x", b"x", b"x", bytes(20_000), b"")
    assert sizes == [1, 1, 1, 16_384, 3_616]


def test_a_client_with_a_framing_gets_no_larger_reads_than_64_kib() -> None:
    stage = Stage()
    stage.connection.framing = Fixed(1000)
    stage.receive(bytes(1_000_000))
    while stage.socket.incoming:
        stage.reactor.make_turn(READ)
    assert max(stage.socket.asked) == 65_536


def test_the_plugins_own_function_is_what_the_transport_calls() -> None:
    def receive(connection: Connection, data: bytes) -> None:
        connection.send(data)

    assert Stage(receive=receive).service.context.receive is receive


def test_a_bag_for_plugins_is_made_on_first_use() -> None:
    stage = Stage()
    stage.connection.state.user = "ann"
    assert stage.connection.state.user == "ann"


def test_facts_of_a_connection_stay_after_its_end() -> None:
    stage = Stage()
    stage.connection.abort()
    stage.reactor.make_turn()
    assert str(stage.connection.peer) == "127.0.0.1:5000"
    assert stage.connection.id == 1
    assert stage.connection.queued == 0
    assert stage.connection.age >= 0
