"""The time of a message that is not complete, on a fake socket and a fake clock."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from hypothesis import given, settings, strategies

from reactorhost import Connection, hookimpl
from reactorhost.api.close_reason import CloseReason
from reactorhost.framing import Delimited, Fixed, Framing, LengthPrefixed, Lines
from reactorhost.plugins.loading import load_object
from reactorhost.reactor import READ_BYTES, Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller, FakeSocket, turn
from reactorhost.worker.builder import WorkerBuilder
from reactorhost.worker.context import Limits
from reactorhost.worker.service import LoadedService

LIMITS = Limits(message_timeout=10.0)


class ClientSocket(FakeSocket):
    """A socket that a turn may have no room for."""

    unnoticed = False

    def ready(self) -> int:
        return 0 if self.unnoticed else super().ready()


class Served:
    """One connection of a service with a framing."""

    def __init__(
        self,
        new_framing: Callable[[], Framing] | None = Lines,
        limits: Limits = LIMITS,
        receive: Callable[[Connection, bytes], object] = lambda connection, data: None,
    ) -> None:
        self.clock = FakeClock(100.0)
        self.poller = FakePoller(self.clock)
        self.reactor = Reactor(self.poller, self.clock)
        self.received: list[bytes] = []
        self.ends: list[CloseReason] = []
        self.left = False

        @hookimpl
        def receive_hook(connection: Connection, data: bytes) -> None:
            self.received.append(data)
            receive(connection, data)

        @hookimpl
        def close(connection: Connection, reason: CloseReason) -> None:
            self.ends.append(reason)

        plugin = type("Plugin", (), {"receive": staticmethod(receive_hook), "close": staticmethod(close)})
        loaded = LoadedService("a", [load_object(plugin, "plugin")], limits, new_framing)
        parts = WorkerBuilder(reactor=self.reactor, hook_failed=lambda *failure: pytest.fail(str(failure))).build(
            [loaded], Limits()
        )
        (self.counters,) = (each.counters for each in parts.service_stats)
        self.socket = ClientSocket()
        self.poller.open(self.socket)
        self.transport = parts.services["a"].accept(cast("Any", self.socket), ("127.0.0.1", 4711))
        self.settle()

    def send(self, *pieces: bytes) -> None:
        self.socket.incoming += pieces
        self.settle()

    def stall(self, seconds: float, *pieces: bytes) -> None:
        """Let the loop stand still while the client sends, and then make a turn that does not come to the client."""
        self.clock.now += seconds
        self.socket.incoming += pieces
        self.socket.unnoticed = True
        self.reactor.turn(0)
        self.socket.unnoticed = False

    def wait(self, seconds: float) -> None:
        """Let time pass, timer by timer."""
        until = self.clock.now + seconds
        while (due := self.reactor.wait_seconds(self.clock.now)) <= until - self.clock.now:
            self.clock.now += due
            self.settle()
        self.clock.now = until
        self.settle()

    def settle(self) -> None:
        while turn(self.reactor, self.poller):
            if self.socket.finished and not self.left:
                # The client answers a FIN with its own.
                self.left = True
                self.socket.incoming.append(b"")

    @property
    def timers(self) -> int:
        return len(self.reactor._timers)


FRAMINGS = {
    "lines": (Lines, b"hello\n", b"hel"),
    "kept ends": (lambda: Lines(keep_ends=True), b"hello\n", b"h"),
    "long lines": (Lines, b"x" * 5000 + b"\n", b"x" * 5000),
    "delimited": (lambda: Delimited(b";;"), b"a;b;;", b"a;"),
    "fixed": (lambda: Fixed(4), b"abcd", b"abc"),
    "length": (LengthPrefixed, struct.pack(">I", 2) + b"ab", struct.pack(">I", 2)),
}


@pytest.mark.parametrize(("new_framing", "whole", "part"), FRAMINGS.values(), ids=FRAMINGS)
def test_a_message_that_is_not_complete_in_time_ends_the_connection(
    new_framing: Callable[[], Framing], whole: bytes, part: bytes
) -> None:
    served = Served(new_framing)
    served.send(whole, whole + whole)
    assert served.timers == 0
    served.wait(60.0)
    assert not served.ends, "no message has begun"
    served.send(whole + part)
    served.wait(9.9)
    assert not served.ends
    served.wait(0.2)
    assert served.ends == [CloseReason.TIMEOUT]
    assert served.counters.late_messages == 1
    assert len(served.received) == 4


def test_bytes_that_come_slowly_do_not_move_the_end() -> None:
    served = Served()
    for _ in range(9):
        served.send(b"x")
        served.wait(1.0)
    assert not served.ends
    served.send(b"x")
    served.wait(1.0)
    assert served.ends == [CloseReason.TIMEOUT]


def test_each_message_has_a_time_of_its_own() -> None:
    served = Served()
    for _ in range(10):
        served.send(b"x")
        served.wait(9.0)
        served.send(b"y\n")
    assert not served.ends
    assert len(served.received) == 10
    # The one timer that is left finds nothing to do, and is not renewed.
    served.wait(10.0)
    assert served.timers == 0


def test_the_timer_is_one_with_that_of_idleness() -> None:
    served = Served(limits=Limits(idle_timeout=30.0, message_timeout=10.0))
    served.send(b"x")
    assert served.timers == 1
    served.wait(10.0)
    assert served.ends == [CloseReason.TIMEOUT]
    idle = Served(limits=Limits(idle_timeout=5.0, message_timeout=10.0))
    idle.send(b"x")
    idle.wait(5.0)
    assert idle.ends == [CloseReason.IDLE]


def test_without_the_setting_a_message_may_take_for_ever() -> None:
    served = Served(limits=Limits())
    served.send(b"x")
    assert served.timers == 0
    served.wait(10_000.0)
    assert not served.ends


def test_bytes_without_a_framing_have_no_end_to_wait_for() -> None:
    served = Served(None)
    served.send(b"x")
    served.wait(60.0)
    assert (served.ends, served.received) == ([], [b"x"])


def test_a_message_whose_rest_is_in_the_kernel_is_read_before_the_end() -> None:
    served = Served()
    served.send(b"x")
    served.stall(60.0, b"y\n")
    assert (served.ends, served.received) == ([], [b"xy"])


def test_a_message_of_which_more_is_in_the_kernel_than_one_read_may_be_completed() -> None:
    served = Served()
    served.send(b"x")
    served.stall(60.0, b"y" * READ_BYTES, b"z" * READ_BYTES, b"\n")
    served.settle()
    assert (served.ends, len(served.received)) == ([], 1)


def test_a_client_that_was_behind_a_stall_has_a_second_and_not_more() -> None:
    served = Served()
    served.send(b"x")
    served.wait(9.5)
    served.stall(60.0, b"y")
    for _ in range(4):
        served.send(b"y")
        served.wait(0.2)
    assert not served.ends
    served.wait(0.3)
    assert served.ends == [CloseReason.TIMEOUT]


def test_time_in_which_the_plugin_does_not_read_does_not_count() -> None:
    served = Served()
    served.send(b"x")
    served.wait(5.0)
    served.transport.pause()
    served.wait(100.0)
    served.transport.resume()
    served.wait(9.9)
    assert not served.ends
    served.wait(0.2)
    assert served.ends == [CloseReason.TIMEOUT]


def test_messages_that_wait_for_the_plugin_are_not_late() -> None:
    served = Served(receive=lambda connection, data: connection.pause())
    served.send(b"1\n2\n3")
    served.wait(100.0)
    assert (served.ends, served.received) == ([], [b"1"])
    served.transport.resume()
    served.settle()
    served.transport.resume()
    served.settle()
    assert served.received == [b"1", b"2"]
    served.wait(9.9)
    assert not served.ends
    served.wait(0.2)
    assert served.ends == [CloseReason.TIMEOUT]


@pytest.mark.parametrize("framing", [Fixed(2), None], ids=["another", "none"])
def test_with_another_framing_the_time_begins_anew(framing: Framing | None) -> None:
    served = Served()
    served.send(b"x")
    served.wait(9.0)
    served.transport.framing = framing
    served.settle()
    served.wait(9.0)
    assert not served.ends
    served.wait(2.0)
    assert served.ends == ([CloseReason.TIMEOUT] if framing else [])


class Own:
    """A framing of pairs that does not say whether a message is incomplete."""

    def __init__(self) -> None:
        self.held = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        self.held += data
        while len(self.held) >= 2:
            message, self.held = self.held[:2], self.held[2:]
            yield message


def test_a_framing_that_does_not_say_so_has_begun_when_it_returned_nothing() -> None:
    served = Served(Own)
    served.send(b"abc")
    served.wait(60.0)
    assert not served.ends, "the byte that came with a message is not known"
    served.send(b"d", b"e")
    served.wait(10.0)
    assert served.ends == [CloseReason.TIMEOUT]
    assert served.received == [b"ab", b"cd"]


def test_a_framing_that_says_so_is_believed() -> None:
    class Padded(Own):
        incomplete = False

    served = Served(Padded)
    served.send(b"a")
    served.wait(60.0)
    assert not served.ends


def test_the_log_names_the_client(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    served = Served()
    served.send(b"x")
    served.wait(10.0)
    fields = vars(caplog.records[0])["reactorhost_fields"]
    assert caplog.records[0].message == "message_timed_out"
    assert (str(fields["peer"]), fields["message_timeout"]) == ("127.0.0.1:4711", 10.0)


@settings(max_examples=60)
@given(
    strategies.lists(
        strategies.tuples(
            strategies.binary(max_size=6).map(lambda data: data.replace(b"\r", b"")), strategies.floats(0, 12)
        ),
        max_size=12,
    )
)
def test_a_connection_ends_at_the_time_of_its_first_late_message(steps: list[tuple[bytes, float]]) -> None:
    served = Served(lambda: Delimited(b"\x00"))
    begun: float | None = None
    expected: float | None = None
    for data, seconds in steps:
        if data:
            served.send(data)
            if b"\x00" in data:
                begun = None
            if not data.endswith(b"\x00") and begun is None:
                begun = served.clock.now
        if begun is not None and served.clock.now + seconds >= begun + 10.0:
            expected = begun + 10.0
            break
        served.wait(seconds)
    assert not served.ends
    if expected is not None:
        served.wait(expected - served.clock.now - 0.001)
        assert not served.ends
        served.wait(0.002)
        assert served.ends == [CloseReason.TIMEOUT]
