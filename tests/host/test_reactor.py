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

import pytest

from reactorhost.reactor import READ, WRITE, Reactor, Timer


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
