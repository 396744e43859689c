"""The reactor with real descriptors, signals and time."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any
from unittest.mock import patch

import pytest

from reactorhost.reactor import READ, WRITE, Arrivals, Reactor, Timer


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    made = Reactor()
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def test_a_ready_descriptor_is_called_back_with_what_it_is_ready_for(
    reactor: Reactor, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    seen: list[int] = []
    reactor.register(ours.fileno(), READ | WRITE, seen.append)
    reactor.turn(0)
    theirs.send(b"x")
    reactor.turn(0)
    reactor.modify(ours.fileno(), READ, seen.append)
    reactor.turn(0)
    reactor.unregister(ours.fileno())
    reactor.turn(0)
    assert seen == [WRITE, READ | WRITE, READ]


def test_a_turn_asks_the_kernel_once_however_much_is_ready(reactor: Reactor) -> None:
    pairs = [socket.socketpair() for _ in range(20)]
    seen: list[int] = []
    for ours, theirs in pairs:
        reactor.register(ours.fileno(), READ, seen.append)
        theirs.send(b"x")
    asked = calls_of_kernel(lambda: reactor.turn(0))
    for each in (end for pair in pairs for end in pair):
        each.close()
    assert len(seen) == 20
    assert asked == ["poll"]


class Stream:
    """A socket that the reactor reads."""

    def __init__(self, arrivals: Arrivals) -> None:
        self.socket, self.far = socket.socketpair()
        self.socket.setblocking(False)
        self.arrivals = arrivals


@pytest.fixture
def streams(reactor: Reactor) -> Iterator[list[Stream]]:
    arrivals: Arrivals = []
    made = [Stream(arrivals) for _ in range(3)]
    for stream in made:
        reactor.register_stream(stream.socket.fileno(), stream)
    yield made
    for stream in made:
        stream.socket.close()
        stream.far.close()


def test_all_streams_are_read_before_what_came_is_handed_over(reactor: Reactor, streams: list[Stream]) -> None:
    taken: list[Arrivals] = []
    reactor.on_arrivals(streams[0].arrivals, lambda arrived: taken.append(arrived.copy()))
    for number, stream in enumerate(streams):
        stream.far.send(b"%d" % number)
    assert calls_of_kernel(lambda: reactor.turn(0)) == ["poll", "recv", "recv", "recv"]
    assert taken == [[(streams[0], b"0"), (streams[1], b"1"), (streams[2], b"2")]]
    reactor.turn(0)
    assert len(taken) == 1


class Nothing:
    """What is told to be readable and is not."""

    def recv(self, size: int) -> bytes:
        raise BlockingIOError


def test_an_end_is_no_bytes_and_a_broken_connection_is_none(reactor: Reactor, streams: list[Stream]) -> None:
    taken: list[Arrivals] = []
    reactor.on_arrivals(streams[0].arrivals, lambda arrived: taken.append(arrived.copy()))
    ended, broken, spurious = streams
    ended.far.close()
    # What was sent and not read breaks the connection when its reader goes.
    broken.socket.send(b"x")
    broken.far.close()
    spurious.far.send(b"x")
    with patch.object(spurious, "socket", Nothing()):
        reactor.turn(0)
    assert taken == [[(ended, b""), (broken, None)]]


def test_a_stream_may_become_a_callback_and_a_stream_again(reactor: Reactor, streams: list[Stream]) -> None:
    seen: list[object] = []
    stream = streams[0]
    reactor.on_arrivals(stream.arrivals, seen.extend)
    stream.far.send(b"x")
    reactor.modify(stream.socket.fileno(), READ | WRITE, seen.append)
    reactor.turn(0)
    reactor.modify_to_stream(stream.socket.fileno(), stream)
    reactor.turn(0)
    assert seen == [READ | WRITE, (stream, b"x")]


def test_a_stream_that_left_and_came_back_in_one_turn_is_read_in_the_next(
    reactor: Reactor, streams: list[Stream]
) -> None:
    seen: list[object] = []
    first, second, _ = streams
    reactor.on_arrivals(first.arrivals, seen.extend)

    def replace_second(events: int) -> None:
        first.socket.recv(1)
        reactor.unregister(second.socket.fileno())
        reactor.register_stream(second.socket.fileno(), second)

    reactor.modify(first.socket.fileno(), READ, replace_second)
    first.far.send(b"x")
    second.far.send(b"y")
    reactor.turn(0)
    assert seen == []
    reactor.turn(0)
    assert seen == [(second, b"y")]


def calls_of_kernel(function: Callable[[], object]) -> list[str]:
    """Return the names of what a function calls of objects and modules whose functions are system calls."""
    names: list[str] = []

    def note(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call" and (
            isinstance(called.__self__, select.epoll | socket.socket)
            or called.__module__ in ("posix", "select", "fcntl")
        ):
            names.append(called.__name__)

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return names


def test_timers_are_called_in_order_and_stop_ends_the_loop(reactor: Reactor) -> None:
    calls: list[str] = []
    reactor.call_later(0.002, calls.append, "second")
    reactor.call_later(0.001, calls.append, "first")
    cancelled = reactor.call_later(0.001, calls.append, "never")
    reactor.call_later(0.003, reactor.stop)
    cancelled.cancel()
    reactor.run()
    assert calls == ["first", "second"]


def test_a_timer_cancelled_by_one_of_the_same_turn_is_not_called(reactor: Reactor) -> None:
    calls: list[str] = []
    timers: list[Timer] = []

    def cancel_all() -> None:
        for timer in timers:
            timer.cancel()

    reactor.call_at(0.0, cancel_all)
    timers.append(reactor.call_at(0.0, calls.append, "cancelled"))
    reactor.turn(0)
    assert calls == []


def test_what_is_asked_for_soon_comes_after_the_descriptors_and_never_starves_them(
    reactor: Reactor, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, _ = pair
    calls: list[str] = []

    def again() -> None:
        calls.append("soon")
        reactor.call_soon(again)

    reactor.register(ours.fileno(), WRITE, lambda events: calls.append("descriptor"))
    reactor.call_soon(again)
    reactor.turn(0)
    reactor.turn(0)
    assert calls == ["descriptor", "soon", "descriptor", "soon"]


def test_a_loop_with_something_to_do_soon_does_not_wait(reactor: Reactor) -> None:
    reactor.call_soon(reactor.call_soon, reactor.stop)
    reactor.run()
    assert reactor.turns == 2


def test_signals_are_called_back_from_the_loop_each_as_often_as_it_came(reactor: Reactor) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGUSR2)}
    calls: list[str] = []
    try:
        reactor.watch_signals(
            {signal.SIGUSR1: lambda: calls.append("usr1"), signal.SIGUSR2: lambda: calls.append("usr2")}
        )
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR1):
            os.kill(os.getpid(), number)
        assert calls == [], "a signal handler does nothing itself"
        reactor.turn(5)
        assert calls == ["usr1", "usr2", "usr1"]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_now_is_read_once_a_turn(reactor: Reactor) -> None:
    before = reactor.now
    assert reactor.now == before
    reactor.turn(0)
    assert reactor.now > before


def test_what_was_ready_under_a_number_is_not_for_the_next_socket_of_that_number(reactor: Reactor) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    seen: list[str] = []
    reused: list[socket.socket] = []

    def replace_the_other(own: socket.socket, other: socket.socket, events: int) -> None:
        reactor.unregister(own.fileno())
        reactor.unregister(other.fileno())
        number = other.fileno()
        other.close()
        ours, theirs = socket.socketpair()
        reused.extend((ours, theirs))
        assert number in (ours.fileno(), theirs.fileno())
        newcomer = ours if ours.fileno() == number else theirs
        reactor.register(number, READ, lambda events: seen.append("newcomer"))
        (theirs if newcomer is ours else ours).send(b"x")
        seen.append("first")

    for (own, far), (other, _) in ((pairs[0], pairs[1]), (pairs[1], pairs[0])):
        far.send(b"x")
        reactor.register(own.fileno(), READ, partial(replace_the_other, own, other))
    reactor.turn(0)
    assert seen == ["first"]
    reactor.turn(0)
    assert seen == ["first", "newcomer"]
    for sock in (*reused, *(sock for pair in pairs for sock in pair)):
        sock.close()


def test_a_callback_that_left_and_came_back_in_one_turn_is_called_again(
    reactor: Reactor, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    seen: list[str] = []

    def come_back(events: int) -> None:
        reactor.unregister(ours.fileno())
        reactor.register(ours.fileno(), READ, lambda events: seen.append("registered"))
        reactor.modify(ours.fileno(), READ, lambda events: seen.append("modified"))

    theirs.send(b"x")
    reactor.register(ours.fileno(), READ, come_back)
    reactor.turn(0)
    reactor.turn(0)
    assert seen == ["modified"]


def test_a_hang_up_is_told_as_readable_and_writable(reactor: Reactor) -> None:
    reader, writer = os.pipe()
    seen: list[int] = []
    reactor.register(reader, READ, seen.append)
    os.close(writer)
    reactor.turn(0)
    os.close(reader)
    assert seen == [READ | WRITE]


def test_a_descriptor_that_somebody_closed_can_be_unregistered(reactor: Reactor) -> None:
    reader, writer = os.pipe()
    reactor.register(reader, READ, lambda events: None)
    os.close(reader)
    os.close(writer)
    reactor.unregister(reader)


def test_a_cancelled_timer_costs_a_turn_at_most(reactor: Reactor) -> None:
    reactor.call_later(0.001, lambda: None).cancel()
    reactor.call_later(0.05, reactor.stop)
    reactor.run()
    assert reactor.turns <= 4
