"""Happy eyeballs: which address is tried when, which socket is kept, and that every other one is closed."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactorhost.worker.outbound import happy_eyeballs
from reactorhost.worker.outbound.happy_eyeballs import HappyEyeballs
from reactorhost.worker.outbound.resolver import SocketAddress

INET = socket.AF_INET


class Timer:
    """A call that a test makes."""

    def __init__(self, seconds: float, callback: Callable[[], object]) -> None:
        self.seconds = seconds
        self.callback = callback
        self.waits = True

    def cancel(self) -> None:
        self.waits = False

    def ring(self) -> None:
        self.waits = False
        self.callback()


class Reactor:
    """What happy eyeballs need of a reactor; a test decides what happens."""

    def __init__(self) -> None:
        self.callbacks: dict[int, Callable[[int], object]] = {}
        self.timers: list[Timer] = []

    def register(self, descriptor: int, events: int, callback: Callable[[int], object]) -> None:
        assert descriptor not in self.callbacks
        self.callbacks[descriptor] = callback

    def unregister(self, descriptor: int) -> None:
        del self.callbacks[descriptor]

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        self.timers.append(timer := Timer(seconds, callback))
        return timer

    def events(self) -> list[Callable[[], object]]:
        """Return everything that may happen next."""
        ready = [partial(callback, 0) for callback in self.callbacks.values()]
        return [*ready, *(timer.ring for timer in self.waiting())]

    def waiting(self) -> list[Timer]:
        return [timer for timer in self.timers if timer.waits]


class Socket:
    """A socket whose connect returns `now`, and whose SO_ERROR is `later`."""

    def __init__(self, number: int, now: int, later: int) -> None:
        self.number = number
        self.now = now
        self.later = later
        self.closed = False
        self.name: object = "local"

    def connect_ex(self, address: object) -> int:
        return self.now

    def getsockopt(self, level: int, option: int) -> int:
        return self.later

    def getsockname(self) -> object:
        return self.name

    def fileno(self) -> int:
        return self.number

    def close(self) -> None:
        assert not self.closed
        self.closed = True


class Attempts:
    """Attempts to connect to addresses 0, 1, 2 …, with what their sockets return."""

    def __init__(self, *outcomes: tuple[int, int], family: int = INET) -> None:
        self.reactor = Reactor()
        self.sockets: list[Socket] = []
        self.connected: list[tuple[Any, object]] = []
        self.failed: list[str] = []
        self._outcomes = outcomes
        addresses = [SocketAddress(family, number) for number in range(len(outcomes))]
        reactor: Any = self.reactor
        self.attempts = HappyEyeballs(
            reactor,
            addresses,
            None,
            lambda sock, address: self.connected.append((sock, address.sockaddr)),
            self.failed.append,
        )

    def make_socket(self, family: int, kind: int) -> Socket:
        number = len(self.sockets)
        # A unix address may be tried again.
        sock = Socket(number, *self._outcomes[min(number, len(self._outcomes) - 1)])
        self.sockets.append(sock)
        return sock

    def ready(self, number: int) -> None:
        self.reactor.callbacks[number](0)

    def open_sockets(self) -> list[int]:
        return [sock.number for sock in self.sockets if not sock.closed]


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Attempts]:
    monkeypatch.setattr(happy_eyeballs, "set_stream_options", lambda sock, peer_timeout: None)

    def make(*outcomes: tuple[int, int], family: int = INET) -> Attempts:
        made = Attempts(*outcomes, family=family)
        monkeypatch.setattr(socket, "socket", made.make_socket)
        made.attempts.start()
        return made

    return make


CONNECTED = (0, 0)
SLOW = (errno.EINPROGRESS, 0)
REFUSED_LATER = (errno.EINPROGRESS, errno.ECONNREFUSED)
UNREACHABLE = (errno.ENETUNREACH, 0)


def test_the_next_address_is_tried_after_a_quarter_of_a_second(attempts: Callable[..., Attempts]) -> None:
    made = attempts(SLOW, SLOW)
    assert made.open_sockets() == [0]
    (timer,) = made.reactor.waiting()
    assert timer.seconds == 0.25
    timer.ring()
    assert made.open_sockets() == [0, 1]
    made.ready(1)
    assert made.connected == [(made.sockets[1], 1)]
    assert made.open_sockets() == [1]
    assert made.reactor.callbacks == {}
    assert made.reactor.waiting() == []


def test_the_next_address_is_tried_at_once_when_one_fails(attempts: Callable[..., Attempts]) -> None:
    made = attempts(UNREACHABLE, REFUSED_LATER, SLOW)
    assert made.open_sockets() == [1]
    made.ready(1)
    assert made.open_sockets() == [2]
    made.ready(2)
    assert made.connected == [(made.sockets[2], 2)]


def test_each_reason_is_named_once_when_every_address_fails(attempts: Callable[..., Attempts]) -> None:
    made = attempts(UNREACHABLE, REFUSED_LATER, UNREACHABLE)
    made.ready(1)
    assert made.failed == ["network is unreachable; connection refused"]
    assert made.open_sockets() == []


def test_of_two_sockets_that_are_ready_in_one_turn_the_first_is_kept(attempts: Callable[..., Attempts]) -> None:
    made = attempts(SLOW, SLOW)
    made.reactor.waiting()[0].ring()
    # The reactor has both callbacks in hand before it calls the first.
    for callback in list(made.reactor.callbacks.values()):
        callback(0)
    assert made.connected == [(made.sockets[0], 0)]
    assert made.open_sockets() == [0]


def test_stop_closes_every_socket_and_calls_nothing(attempts: Callable[..., Attempts]) -> None:
    made = attempts(SLOW, SLOW, SLOW)
    made.reactor.waiting()[0].ring()
    callbacks = list(made.reactor.callbacks.values())
    made.attempts.stop()
    for callback in callbacks:
        callback(0)
    assert (made.open_sockets(), made.reactor.callbacks, made.reactor.waiting()) == ([], {}, [])
    assert (made.connected, made.failed) == ([], [])


def test_a_socket_that_is_connected_to_itself_is_refused(
    attempts: Callable[..., Attempts], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Socket, "getsockname", lambda sock: sock.number)
    made = attempts(CONNECTED, SLOW)
    made.ready(1)
    assert made.failed == ["connection refused"]
    assert made.open_sockets() == []


def test_a_unix_listener_with_a_full_queue_is_tried_again(attempts: Callable[..., Attempts]) -> None:
    made = attempts((errno.EAGAIN, 0), family=socket.AF_UNIX)
    for number in range(3):
        (timer,) = made.reactor.waiting()
        assert len(made.sockets) == number + 1
        timer.ring()
    assert (made.open_sockets(), made.failed) == ([], [])


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "10.0.0.1"])
@pytest.mark.parametrize("again", [0, errno.EALREADY, errno.ECONNREFUSED])
def test_on_loopback_the_outcome_is_known_at_once(monkeypatch: pytest.MonkeyPatch, host: str, again: int) -> None:
    monkeypatch.setattr(happy_eyeballs, "set_stream_options", lambda sock, peer_timeout: None)
    made = Attempts(SLOW)
    outcomes = iter([errno.EINPROGRESS, again])
    monkeypatch.setattr(Socket, "connect_ex", lambda sock, address: next(outcomes))
    monkeypatch.setattr(socket, "socket", made.make_socket)
    made.attempts._untried[0] = SocketAddress(INET, (host, 80))
    made.attempts.start()
    waits = len(made.reactor.callbacks)
    if host == "10.0.0.1" or again == errno.EALREADY:
        assert (waits, made.connected, made.failed) == (1, [], [])
    elif again:
        assert (waits, made.connected, made.failed) == (0, [], ["connection refused"])
    else:
        assert (waits, made.connected, made.failed) == (0, [(made.sockets[0], (host, 80))], [])


@settings(max_examples=200)
@given(
    st.lists(st.sampled_from((CONNECTED, SLOW, REFUSED_LATER, UNREACHABLE)), min_size=1, max_size=5),
    st.lists(st.integers(0, 9), max_size=30),
)
def test_there_is_one_outcome_and_no_other_socket_stays_open(outcomes: list[tuple[int, int]], order: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(happy_eyeballs, "set_stream_options", lambda sock, peer_timeout: None)
        made = Attempts(*outcomes)
        patch.setattr(socket, "socket", made.make_socket)
        made.attempts.start()
        # Whatever can happen, in some order, until nothing can.
        choices = iter([*order, *([0] * 50)])
        while events := made.reactor.events():
            events[next(choices) % len(events)]()
    assert len(made.connected) + len(made.failed) == 1
    assert made.open_sockets() == [sock.number for sock, _ in made.connected]
    assert bool(made.failed) == all(outcome in (REFUSED_LATER, UNREACHABLE) for outcome in outcomes)
