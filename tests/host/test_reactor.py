"""The reactor with real descriptors, signals and time, on every poller."""

from __future__ import annotations

import os
import select
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import Any
from unittest.mock import patch

import pytest

from reactorhost.errors import ReactorhostError
from reactorhost.reactor import ERROR, HANG_UP, READ, WRITE, Arrivals, Poller, Reactor, TimerHandle, WakeUp
from reactorhost.reactor.poller import EpollPoller, SelectorsPoller
from reactorhost.testing import DEADLINE_SECONDS
from reactorhost.worker.builder import asyncio_bridge


class SortedSelectSelector(selectors.SelectSelector):
    """Reports what is ready by descriptor number; the sets of `select` have an order that changes with the numbers."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return sorted(super().select(timeout), key=lambda ready: ready[0].fd)


POLLERS: dict[str, Callable[[], Poller]] = {
    "epoll": EpollPoller,
    "selectors": SelectorsPoller,
    "poll": lambda: SelectorsPoller(selectors.PollSelector()),
    "select": lambda: SelectorsPoller(SortedSelectSelector()),
}


@pytest.fixture(params=POLLERS)
def reactor(request: pytest.FixtureRequest) -> Iterator[Reactor]:
    made = Reactor(POLLERS[request.param]())
    yield made
    made.close()


@pytest.fixture
def on_epoll() -> Iterator[Reactor]:
    made = Reactor(EpollPoller())
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


def test_a_turn_asks_epoll_once_however_much_is_ready(on_epoll: Reactor) -> None:
    reactor = on_epoll
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
    calls = calls_of_kernel(lambda: reactor.turn(0))
    waits, reads = calls[:-3], calls[-3:]
    if isinstance(reactor._poller, EpollPoller):
        assert waits == ["poll"]
    assert set(waits) <= {"select", "poll"}
    assert reads == ["recv", "recv", "recv"]
    (arrived,) = taken
    # In the order of the kernel, which differs among pollers.
    assert sorted(arrived, key=lambda pair: pair[1] or b"") == [(stream, b"%d" % n) for n, stream in enumerate(streams)]
    reactor.turn(0)
    assert len(taken) == 1


class Nothing:
    """A socket that was reported as readable and is not."""

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
    """Return the names of the system calls of a function, as the C functions that make them."""
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
    # One base for all four: with `call_later` a pause between two of the lines could swap them.
    now = reactor.clock()
    reactor.call_at(now + 0.002, calls.append, "second")
    reactor.call_at(now + 0.001, calls.append, "first")
    cancelled = reactor.call_at(now + 0.001, calls.append, "never")
    reactor.call_at(now + 0.003, reactor.stop)
    cancelled.cancel()
    reactor.run()
    assert calls == ["first", "second"]


def test_a_timer_cancelled_by_one_of_the_same_turn_is_not_called(reactor: Reactor) -> None:
    calls: list[str] = []
    timers: list[TimerHandle] = []

    def cancel_all() -> None:
        for timer in timers:
            timer.cancel()

    reactor.call_at(0.0, cancel_all)
    timers.append(reactor.call_at(0.0, calls.append, "cancelled"))
    reactor.turn(0)
    assert calls == []


def test_call_soon_comes_after_the_descriptors_and_never_starves_them(
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


def test_a_loop_with_calls_to_make_soon_does_not_wait(reactor: Reactor) -> None:
    began = time.monotonic()
    reactor.call_later(DEADLINE_SECONDS, reactor.stop)
    reactor.call_soon(reactor.call_soon, reactor.stop)
    reactor.run()
    assert reactor.turns == 2
    assert time.monotonic() - began < DEADLINE_SECONDS


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
        reactor.turn(DEADLINE_SECONDS)
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


def test_a_hang_up_is_reported_as_readable_and_writable(on_epoll: Reactor) -> None:
    reader, writer = os.pipe()
    seen: list[int] = []
    on_epoll.register(reader, READ, seen.append)
    os.close(writer)
    on_epoll.turn(0)
    os.close(reader)
    assert seen == [READ | WRITE]


def test_a_hang_up_is_reported_as_readable_by_selectors(reactor: Reactor) -> None:
    reader, writer = os.pipe()
    seen: list[int] = []
    reactor.register(reader, READ, seen.append)
    os.close(writer)
    reactor.turn(0)
    os.close(reader)
    assert seen
    assert seen[0] & READ


def reset(near: socket.socket, far: socket.socket) -> None:
    """Close the far end so that the near end's connection breaks."""
    near.send(b"never read")
    far.close()


@pytest.mark.parametrize("leave", [reset, lambda near, far: far.close()], ids=["reset", "hang-up"])
def test_a_descriptor_without_events_is_called_for_an_error_or_a_hang_up_only(
    reactor: Reactor, pair: tuple[socket.socket, socket.socket], leave: Callable[[socket.socket, socket.socket], None]
) -> None:
    near, far = pair
    seen: list[int] = []
    reactor.register(near.fileno(), READ, seen.append)
    reactor.modify(near.fileno(), 0, seen.append)
    far.send(b"x")
    reactor.turn(0)
    assert seen == []
    leave(near, far)
    reactor.turn(DEADLINE_SECONDS)
    assert seen == [READ | WRITE]


def test_a_hang_up_is_known_on_request(reactor: Reactor, pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    far.send(b"unread")
    assert reactor.hang_up(near.fileno()) == 0
    reset(near, far)
    assert reactor.hang_up(near.fileno()) & (ERROR | HANG_UP)


def test_a_hang_up_without_events_ends_a_wait(reactor: Reactor, pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    reactor.register(near.fileno(), 0, lambda events: reactor.stop())
    reactor.call_later(0.01, far.close)
    late = reactor.call_later(DEADLINE_SECONDS, reactor.stop)
    reactor.run()
    assert reactor.now < late.when


def test_a_descriptor_may_change_between_no_events_and_some(
    reactor: Reactor, pair: tuple[socket.socket, socket.socket]
) -> None:
    near, far = pair
    seen: list[int] = []
    reactor.register(near.fileno(), 0, seen.append)
    reactor.modify(near.fileno(), 0, seen.append)
    far.send(b"x")
    reactor.modify(near.fileno(), READ | WRITE, seen.append)
    reactor.turn(0)
    reactor.modify(near.fileno(), 0, seen.append)
    reactor.unregister(near.fileno())
    far.close()
    reactor.turn(0)
    assert seen == [READ | WRITE]


def test_more_ready_descriptors_than_a_turn_calls_are_called_in_the_next_ones(reactor: Reactor) -> None:
    pairs = [socket.socketpair() for _ in range(150)]
    seen: set[int] = set()

    def note(number: int, events: int) -> None:
        seen.add(number)

    for number, (near, far) in enumerate(pairs):
        reactor.register(near.fileno(), READ, partial(note, number))
        far.send(b"x")
    counts = []
    for _ in range(3):
        reactor.turn(0)
        counts.append(len(seen))
    for end in (end for pair in pairs for end in pair):
        end.close()
    assert counts == [64, 128, 150]


@pytest.mark.parametrize("has_eventfd", [True, False])
def test_threads_wake_the_loop_once_for_many_calls(
    reactor: Reactor, monkeypatch: pytest.MonkeyPatch, has_eventfd: bool
) -> None:
    if not has_eventfd:
        monkeypatch.delattr(os, "eventfd")
    called: list[int] = []
    wake_up = WakeUp(reactor, lambda: called.append(reactor.turns))
    threads = [threading.Thread(target=wake_up.wake) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reactor.turn(DEADLINE_SECONDS)
    reactor.turn(0)
    assert called == [1]
    wake_up.wake()
    reactor.turn(DEADLINE_SECONDS)
    assert called == [1, 3]
    wake_up.close_inherited()
    wake_up.close_inherited()


def test_a_poller_on_poll_or_select_says_that_it_has_no_descriptor() -> None:
    for selector in (selectors.PollSelector(), selectors.SelectSelector()):
        poller = SelectorsPoller(selector)
        name = type(selector).__name__
        with pytest.raises(ReactorhostError, match=f"async hooks need a poller with .*, and {name} has none"):
            asyncio_bridge(Reactor(poller), "asyncio", print)
        poller.close()


def test_a_descriptor_that_was_closed_can_be_unregistered(reactor: Reactor) -> None:
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
