"""One turn: sleep until something is ready, read the streams and call back the rest, hand over, then the timers.

All streams that are ready are read before anybody is called with what came: the code that reads, here and in the
kernel, stays in the processor's cache, and so does the code that answers.

Signals arrive as bytes on a wake-up descriptor and are called back like any descriptor; a handler does nothing.
A callback that raises ends the loop: whoever registers plugin code guards it.
"""

from __future__ import annotations

import select
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any, Protocol

from reactorhost.reactor.timers import Timer, Timers

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
READ_BYTES = 16 * 1024
"""How much is read of a stream in a turn."""

_BOTH = READ | WRITE
# The others are ready in the next turn too: a turn of slow hooks must come to its timers.
_MOST_READY = 64

# epoll and select turn a longer wait into an overflow; nothing waits longer than this anyway.
_LONGEST_WAIT = 3600.0

Callback = Callable[[int], object]
"""Called with the ready events, `READ`, `WRITE` or both; for an error or a hang-up with both."""

Arrivals = list[tuple[Any, bytes | None]]
"""Pairs of a stream and what came over it: bytes, none at its end; None when its connection broke."""


class Readable(Protocol):
    """A socket, as far as it is read."""

    def recv(self, size: int, /) -> bytes:
        """Return what there is, and never wait for it."""


class Stream(Protocol):
    """What the reactor reads by itself."""

    @property
    def socket(self) -> Readable:
        """What it is read by."""

    @property
    def arrivals(self) -> Arrivals:
        """Where what comes is put, one of those that somebody takes in: see `Reactor.on_arrivals`."""


class Reactor:
    """Descriptors, timers and signals of one process, and the loop that calls them back.

    Attributes:
        now: monotonic time in seconds, read once a turn.
        turns: turns made so far.
        longest_turn: seconds that the callbacks of one turn took, the most since somebody set it to 0.
        running: whether it is to go on.
    """

    clock = staticmethod(time.monotonic)
    """What `now` is read from, for who needs to know how long something took within a turn."""

    def __init__(self) -> None:
        self.now = time.monotonic()
        self.turns = 0
        self.longest_turn = 0.0
        self._epoll = select.epoll()
        # By descriptor: its stream, or else its callback. The kernel gives the lowest free number, so there are few
        # holes.
        self._streams: list[Stream | None] = []
        self._callbacks: list[Callback] = []
        # A number that was unregistered may come back in the same turn, for another socket: what was ready under it
        # is not for that one, which joins when the kernel is asked again.
        self._left: set[int] = set()
        self._joining: dict[int, tuple[Stream | None, Callback]] = {}
        self._takers: list[tuple[Arrivals, Callable[[Arrivals], object]]] = []
        self._timers = Timers()
        self._soon: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.running = False
        self._signals: _SignalWatch | None = None
        self._rearrange: Callable[[], object] = _nothing_to_do

    def register(self, descriptor: int, events: int, callback: Callback) -> None:
        """Call `callback(ready)` whenever `descriptor` is ready for one of `events`."""
        self._epoll.register(descriptor, events)
        self._enter(descriptor, None, callback)

    def register_stream(self, descriptor: int, stream: Stream) -> None:
        """Read `stream` whenever it is readable."""
        self._epoll.register(descriptor, READ)
        self._enter(descriptor, stream, _nobody)

    def modify(self, descriptor: int, events: int, callback: Callback) -> None:
        """Change what a registered descriptor waits for and whom it calls."""
        self._epoll.modify(descriptor, events)
        self._enter(descriptor, None, callback)

    def modify_to_stream(self, descriptor: int, stream: Stream) -> None:
        """Read `stream` from now on, which had a callback until now."""
        self._epoll.modify(descriptor, READ)
        self._enter(descriptor, stream, _nobody)

    def unregister(self, descriptor: int) -> None:
        """Forget a descriptor. Call it before closing: see docs/design.md on inherited epoll entries."""
        try:  # noqa: SIM105  a context manager costs every connection half a microsecond
            self._epoll.unregister(descriptor)
        except OSError:
            # A plugin may have closed what is not its own.
            pass
        self._streams[descriptor] = None
        self._callbacks[descriptor] = _nobody
        self._left.add(descriptor)
        self._joining.pop(descriptor, None)

    def on_arrivals(self, arrivals: Arrivals, take: Callable[[Arrivals], object]) -> None:
        """Call `take` with what a turn put into `arrivals`, once all streams are read; then that is emptied."""
        self._takers.append((arrivals, take))

    def _enter(self, descriptor: int, stream: Stream | None, callback: Callback) -> None:
        missing = descriptor + 1 - len(self._callbacks)
        if missing > 0:
            self._streams.extend([None] * missing)
            self._callbacks.extend([_nobody] * missing)
        if descriptor in self._left:
            self._joining[descriptor] = (stream, callback)
        else:
            self._streams[descriptor] = stream
            self._callbacks[descriptor] = callback

    def _let_join(self) -> None:
        self._left.clear()
        for descriptor, (stream, callback) in self._joining.items():
            self._streams[descriptor] = stream
            self._callbacks[descriptor] = callback
        self._joining.clear()

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        """Call back at the end of this turn, or of the next one when the end of this turn asks."""
        self._soon.append((callback, args))
        self._rearrange()

    def call_later(self, seconds: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Call back once, `seconds` from now."""
        return self.call_at(time.monotonic() + seconds, callback, *args)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Call back once, at `when` of the monotonic clock."""
        timer = self._timers.add(when, callback, args)
        self._rearrange()
        return timer

    def watch_signals(self, callbacks: Mapping[signal.Signals, Callable[[], object]]) -> None:
        """Call back, from the loop, when one of these signals arrived. From the main thread only, once."""
        self._signals = _SignalWatch(callbacks)
        self.register(self._signals.descriptor, READ, self._signals.ready)

    def claim_signals(self) -> None:
        """Have signals written to our own descriptor again, after another loop took that for itself."""
        if self._signals is not None:
            self._signals.claim()

    def run(self) -> None:
        """Turn until `stop()`."""
        self.begin(_nothing_to_do)
        while self.running:
            now = time.monotonic()
            if now - self.now > self.longest_turn:  # noqa: PLR1730  cheaper than max(), and made every turn
                self.longest_turn = now - self.now
            self.turn(self.wait_seconds(now))

    def begin(self, rearrange: Callable[[], object]) -> None:
        """Let somebody else than `run()` make the turns, who hears by `rearrange()` of every call that is added."""
        self._rearrange = rearrange
        self.running = True
        self.now = time.monotonic()

    def stop(self) -> None:
        """Let `run()` return at the end of this turn."""
        self.running = False
        self.call_soon(_nothing_to_do)

    def turn(self, timeout: float) -> None:
        """Wait at most `timeout` seconds, then read and call back everything that is ready or due."""
        streams, callbacks = self._streams, self._callbacks
        ready = self._epoll.poll(timeout, _MOST_READY)
        self.now = now = time.monotonic()
        self.turns += 1
        if self._left:
            self._let_join()
        for descriptor, events in ready:
            stream = streams[descriptor]
            if stream is None:
                callbacks[descriptor](events if events <= _BOTH else _BOTH)  # noqa: FURB136  cheaper than min()
                continue
            try:
                stream.arrivals.append((stream, stream.socket.recv(READ_BYTES)))
            except BlockingIOError:
                pass
            except OSError:
                stream.arrivals.append((stream, None))
        for arrivals, take in self._takers:
            if arrivals:
                take(arrivals)
                arrivals.clear()
        if self._timers.soonest <= now:
            self._call_due(now)
        if self._soon:
            self._call_those_soon()

    def _call_due(self, now: float) -> None:
        for timer in self._timers.pop_due(now):
            if timer.callback is not None:
                callback, timer.callback = timer.callback, None
                callback(*timer.args)

    def _call_those_soon(self) -> None:
        # Only what is there now: a callback that asks for itself again must not keep descriptors waiting.
        for _ in range(len(self._soon)):
            callback, args = self._soon.popleft()
            callback(*args)

    def fileno(self) -> int:
        """Return a descriptor that is readable when one of the registered ones is ready."""
        return self._epoll.fileno()

    def wait_seconds(self, now: float) -> float:
        """Return how long a turn that begins now may wait: until the next call that is due, an hour without one."""
        if self._soon:
            return 0
        # Of a timer that was cancelled too: one turn for nothing costs less than to look every turn.
        seconds = self._timers.soonest - now
        if seconds <= 0:
            return 0
        return seconds if seconds < _LONGEST_WAIT else _LONGEST_WAIT  # noqa: FURB136  cheaper than min()

    def close(self) -> None:
        """Give back the descriptors. In a forked child it closes the child's copies only."""
        if self._signals is not None:
            self._signals.close()
        self._epoll.close()


class _SignalWatch:
    """Signals as bytes on a socket pair."""

    def __init__(self, callbacks: Mapping[signal.Signals, Callable[[], object]]) -> None:
        self._callbacks = {int(number): callback for number, callback in callbacks.items()}
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self.claim()
        for number in self._callbacks:
            signal.signal(number, _ignore)
        self.descriptor = self._reader.fileno()

    def claim(self) -> None:
        # A full buffer means that the loop is woken anyway; a signal that is lost there had some 280 before it.
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)

    def ready(self, events: int) -> None:
        """Call back each kind of signal that arrived, in order of arrival, as often as it did."""
        for number in self._reader.recv(4096):
            if number in self._callbacks:
                self._callbacks[number]()

    def close(self) -> None:
        signal.set_wakeup_fd(-1)
        self._reader.close()
        self._writer.close()


def _nothing_to_do() -> None:
    """Do nothing: `run()` looks for itself at what was added."""


def _nobody(events: int) -> None:
    """Do nothing: the descriptor was unregistered by a callback before this one in its turn."""


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing: Python wrote the signal's number to the wake-up descriptor already."""
