"""The reactor's loop on a fake poller and a fake clock: what one turn does, and in which order."""

from __future__ import annotations

import pytest

from reactorhost.reactor import READ, WRITE, Arrivals, Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller, FakeSocket


class Loop:
    """A reactor and what it runs on."""

    def __init__(self) -> None:
        self.clock = FakeClock(100.0)
        self.poller = FakePoller(self.clock)
        self.reactor = Reactor(self.poller, self.clock)
        self.calls: list[object] = []

    def socket(self) -> FakeSocket:
        sock = FakeSocket()
        self.poller.open(sock)
        return sock


class Stream:
    def __init__(self, sock: FakeSocket, arrivals: Arrivals) -> None:
        self.socket = sock
        self.arrivals = arrivals


def test_a_turn_makes_its_steps_in_order() -> None:
    loop = Loop()
    reactor, arrivals = loop.reactor, Arrivals()
    stream, other = Stream(loop.socket(), arrivals), loop.socket()
    stream.socket.incoming.append(b"data")
    reactor.call_soon(loop.calls.append, "soon")
    reactor.call_at(100.0, loop.calls.append, "timer")
    reactor.on_arrivals(arrivals, lambda arrived: loop.calls.append(arrived.copy()))
    reactor.register_stream(stream.socket.fileno(), stream)
    reactor.register(other.fileno(), WRITE, loop.calls.append)
    reactor.turn(0)
    assert loop.calls == [WRITE, [(stream, b"data")], "timer", "soon"]


def test_run_waits_for_one_timer_after_the_other() -> None:
    loop = Loop()
    for seconds in (7200.0, 0.5, 30.0):
        loop.reactor.call_later(seconds, lambda: loop.calls.append(loop.reactor.now))
    loop.reactor.call_later(7200.0, loop.reactor.stop)
    loop.reactor.run()
    assert loop.calls == [100.5, 130.0, 7300.0]
    assert loop.reactor.turns == 3


def test_a_loop_that_would_wait_for_ever_on_fakes_is_an_error() -> None:
    with pytest.raises(AssertionError, match="wait for ever"):
        Loop().reactor.run()


class InterruptedPoller(FakePoller):
    """A poller whose waits a signal interrupts when their time is over, as after a suspension of the process."""

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        if timeout > 0:
            self._clock.now += timeout
            return []
        return super().poll(timeout, most)


def test_a_timer_is_called_after_what_an_interrupted_wait_did_not_report() -> None:
    loop = Loop()
    poller = InterruptedPoller(loop.clock)
    reactor, sock = Reactor(poller, loop.clock), FakeSocket()
    poller.open(sock)
    reactor.register(sock.fileno(), WRITE, loop.calls.append)
    reactor.call_later(1.0, loop.calls.append, "timer")
    reactor.turn(1.0)
    assert loop.calls == [WRITE, "timer"]


def test_the_longest_turn_is_measured_by_the_clock() -> None:
    loop = Loop()

    def work() -> None:
        loop.clock.now += 0.25

    loop.reactor.call_later(1.0, work)
    loop.reactor.call_later(2.0, loop.reactor.stop)
    loop.reactor.run()
    assert loop.reactor.longest_turn == 0.25


def test_the_time_outside_of_waits_is_added_up() -> None:
    loop = Loop()

    def work() -> None:
        loop.clock.now += 0.25

    for at in (1.0, 2.0, 3.0):
        loop.reactor.call_later(at, work)
    loop.reactor.call_later(9.0, loop.reactor.stop)
    loop.reactor.run()
    assert loop.reactor.busy_seconds == 0.75


def test_a_callback_that_raises_ends_the_loop() -> None:
    def fail(events: int) -> None:
        raise ValueError("a bug")

    loop = Loop()
    sock = loop.socket()
    loop.reactor.register(sock.fileno(), WRITE, fail)
    with pytest.raises(ValueError, match="a bug"):
        loop.reactor.run()


def test_another_loop_that_makes_the_turns_is_notified_of_calls() -> None:
    loop = Loop()
    loop.reactor.begin(lambda: loop.calls.append(loop.reactor.wait_seconds(100.0)))
    loop.reactor.call_later(2.0, print)
    loop.reactor.call_soon(print)
    assert loop.calls == [2.0, 0]


def test_a_broken_connection_is_reported_without_events() -> None:
    loop = Loop()
    sock = loop.socket()
    loop.reactor.register(sock.fileno(), 0, loop.calls.append)
    sock.incoming.append(b"data")
    loop.reactor.turn(0)
    assert loop.calls == []
    sock.incoming.append(ConnectionResetError())
    loop.reactor.turn(0)
    assert loop.calls == [READ | WRITE]


def test_a_poller_refuses_what_the_kernel_would() -> None:
    loop = Loop()
    number = loop.socket().fileno()
    with pytest.raises(OSError, match="No such file"):
        loop.poller.modify(number, READ)
    loop.poller.register(number, READ)
    with pytest.raises(OSError, match="File exists"):
        loop.poller.register(number, READ)
    loop.poller.unregister(number)
    with pytest.raises(OSError, match="No such file"):
        loop.poller.unregister(number)
