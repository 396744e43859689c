"""The event loop of a process: it waits for descriptors, timers and signals, and calls back.

A turn has five steps, in this order:

1. wait: poll once for what is ready, until the next timer is due at the latest;
2. descriptors: read every ready stream, and call the callback of every other ready descriptor;
3. streams: pass what was read to the handlers of `on_arrivals`;
4. timers: call those that are due;
5. soon: call what `call_soon` has added up to now.

All ready streams are read before the first of them is handled: the code that reads, in Python and in the kernel, runs
many times in a row and stays in the processor's cache, and so does the code that answers. The price is that a handler
may close or pause a stream whose bytes were read already in this turn; `worker.stream.dispatch` looks at that.

Rules for callers:

- Unregister a descriptor before closing it. An epoll entry lives until the last copy of the socket is closed, in any
  process; a listener that a forked worker still holds would be reported for ever under a number that is gone.
- The kernel gives a new socket the lowest free number, so a number may come back within a turn. What was ready under it
  was the old socket's. A number that was unregistered therefore joins only at the next wait.
- A callback that raises ends the loop. What calls plugin code catches there.

Signals are called back as any descriptor: see `signals`.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from reactorhost.reactor.poller import READ, WRITE, AbandonedPoller, Poller
from reactorhost.reactor.signals import SignalWatch
from reactorhost.reactor.stream import Arrivals, Stream
from reactorhost.reactor.timers import TimerHandle, Timers

READ_BYTES = 16 * 1024
"""How much is read of a stream in a turn."""

_BOTH = READ | WRITE
# The others are ready in the next turn too: a turn of slow hooks must come to its timers.
_MOST_READY = 64

Callback = Callable[[int], object]
"""Called with the ready events, `READ`, `WRITE` or both; for an error or a hang-up with both."""


class Reactor:
    """Descriptors, timers and signals of one process, and the loop that calls them back.

    Attributes:
        clock: returns monotonic seconds, for durations within a turn.
        now: `clock()` as it was after the wait of this turn.
        turns: turns made so far.
        busy_seconds: time outside of waits, over all turns.
        longest_turn: seconds that the callbacks of the longest turn took, since it was last set to 0.
        running: False once `stop()` was called.
    """

    def __init__(self, poller: Poller, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.now = clock()
        self.turns = 0
        self.busy_seconds = 0.0
        self.longest_turn = 0.0
        self.running = False
        self._poller = poller
        # Bound once: the only call of a turn that every message waits for.
        self._poll = poller.poll
        self._longest_wait = poller.longest_wait
        self._on_wake: list[Callable[[bool], object]] = []
        # By descriptor: its stream, or else its callback. Lists, because the kernel gives the lowest free number.
        self._streams: list[Stream | None] = []
        self._callbacks: list[Callback] = []
        # Numbers unregistered since the last wait, and what was registered under them since then.
        self._removed: set[int] = set()
        self._deferred: dict[int, tuple[Stream | None, Callback]] = {}
        self._handlers: list[tuple[Arrivals, Callable[[Arrivals], object]]] = []
        self._timers = Timers()
        # Those that are being called.
        self._due: list[TimerHandle] = []
        self._soon: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._signals: SignalWatch | None = None
        self._on_call_added: Callable[[], object] = _do_nothing

    def register(self, descriptor: int, events: int, callback: Callback) -> None:
        """Call `callback(ready)` whenever `descriptor` is ready for one of `events`.

        With `events` 0 it is called for an error or a hang-up only.
        """
        self._poller.register(descriptor, events)
        self._enter(descriptor, None, callback)

    def register_stream(self, descriptor: int, stream: Stream) -> None:
        """Read `stream` whenever it is readable."""
        self._poller.register(descriptor, READ)
        self._enter(descriptor, stream, _ignore_ready)

    def modify(self, descriptor: int, events: int, callback: Callback) -> None:
        """Change the events and the callback of a registered descriptor."""
        self._poller.modify(descriptor, events)
        self._enter(descriptor, None, callback)

    def modify_to_stream(self, descriptor: int, stream: Stream) -> None:
        """Read `stream` in place of calling back its descriptor."""
        self._poller.modify(descriptor, READ)
        self._enter(descriptor, stream, _ignore_ready)

    def unregister(self, descriptor: int) -> None:
        """Forget a descriptor; call this before closing it."""
        try:  # noqa: SIM105  a context manager costs every connection half a microsecond
            self._poller.unregister(descriptor)
        except OSError:
            # A plugin may have closed a descriptor that is not its own.
            pass
        self._streams[descriptor] = None
        self._callbacks[descriptor] = _ignore_ready
        self._removed.add(descriptor)
        self._deferred.pop(descriptor, None)

    def hang_up(self, descriptor: int) -> int:
        """Return ERROR, HANG_UP, both or neither: what the kernel says of a descriptor now, registered or not."""
        return self._poller.hang_up(descriptor)

    def on_arrivals(self, arrivals: Arrivals, handler: Callable[[Arrivals], object]) -> None:
        """Call `handler` with what a turn added to `arrivals`, once all streams are read; the list is emptied then."""
        self._handlers.append((arrivals, handler))

    def _enter(self, descriptor: int, stream: Stream | None, callback: Callback) -> None:
        missing = descriptor + 1 - len(self._callbacks)
        if missing > 0:
            self._streams.extend([None] * missing)
            self._callbacks.extend([_ignore_ready] * missing)
        if descriptor in self._removed:
            self._deferred[descriptor] = (stream, callback)
        else:
            self._streams[descriptor] = stream
            self._callbacks[descriptor] = callback

    def _apply_deferred(self) -> None:
        self._removed.clear()
        for descriptor, (stream, callback) in self._deferred.items():
            self._streams[descriptor] = stream
            self._callbacks[descriptor] = callback
        self._deferred.clear()

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        """Call back at the end of this turn; from a callback of `call_soon` itself, at the end of the next one."""
        self._soon.append((callback, args))
        self._on_call_added()

    def call_later(self, seconds: float, callback: Callable[..., object], *args: Any) -> TimerHandle:
        """Call back once, `seconds` from now."""
        return self.call_at(self.clock() + seconds, callback, *args)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> TimerHandle:
        """Call back once, at `when` of the reactor's clock."""
        timer = self._timers.add(when, callback, args)
        self._on_call_added()
        return timer

    def call_when_woken(self, callback: Callable[[bool], object]) -> None:
        """Call back once, after the next wait and before anything that has ended it is handled.

        The argument is False if no descriptor was ready, but only a timer was due. It costs the next turn only: a check
        in every turn would cost every message.
        """
        self._on_wake.append(callback)
        self._poll = self._poll_and_call

    def _poll_and_call(self, timeout: float, most: int) -> list[tuple[int, int]]:
        ready = self._poller.poll(timeout, most)
        self._poll = self._poller.poll
        callbacks, self._on_wake = self._on_wake, []
        for callback in callbacks:
            callback(bool(ready))
        return ready

    def watch_signals(
        self,
        callbacks: Mapping[signal.Signals, Callable[[], object]],
        on_number: Callable[[int], object] | None = None,
    ) -> None:
        """Call back, from the loop, when one of these signals arrived. From the main thread only, once.

        `on_number` is called before with the number of each signal, also of one whose handler other code has replaced.
        """
        self._signals = SignalWatch(callbacks, on_number)
        self.register(self._signals.descriptor, READ, self._signals.ready)

    def flush_signals(self) -> None:
        """Call back now for each signal that has arrived; of those that are blocked none arrives after that."""
        if self._signals is not None:
            self._signals.flush()

    def run(self) -> None:
        """Turn until `stop()`."""
        self.begin(_do_nothing)
        clock = self.clock
        while self.running:
            now = clock()
            busy = now - self.now
            self.busy_seconds += busy
            if busy > self.longest_turn:  # noqa: PLR1730  cheaper than max(), and made every turn
                self.longest_turn = busy
            self.turn(self.wait_seconds(now))

    def begin(self, on_call_added: Callable[[], object]) -> None:
        """Let another loop than `run()` make the turns; `on_call_added` is called when `wait_seconds` may change."""
        self._on_call_added = on_call_added
        self.running = True
        self.now = self.clock()

    def stop(self) -> None:
        """Let `run()` return at the end of this turn."""
        self.running = False
        # So that no wait follows: a task of asyncio may call this outside of a turn.
        self.call_soon(_do_nothing)

    def turn(self, timeout: float) -> None:
        """Wait at most `timeout` seconds, then read and call back everything that is ready or due."""
        streams, callbacks = self._streams, self._callbacks
        ready = self._poll(timeout, _MOST_READY) or self._poll_again(timeout)
        self.now = now = self.clock()
        self.turns += 1
        if self._removed:
            self._apply_deferred()
        for descriptor, events in ready:
            stream = streams[descriptor]
            if stream is None:
                # An error or a hang-up: reading or writing reports it, whichever the callback does first.
                callbacks[descriptor](events if events <= _BOTH else _BOTH)  # noqa: FURB136  cheaper than min()
                continue
            try:
                stream.arrivals.append((stream, stream.socket.recv(READ_BYTES)))
            # Readiness is a hint: a segment with a wrong checksum is dropped after it was reported (select(2), BUGS).
            except BlockingIOError:
                pass
            except OSError:
                stream.arrivals.append((stream, None))
        for arrivals, handler in self._handlers:
            if arrivals:
                handler(arrivals)
                arrivals.clear()
        if self._timers.soonest <= now:
            self._call_due(now)
        if self._soon:
            self._run_soon()

    def _poll_again(self, timeout: float) -> list[tuple[int, int]]:
        # A wait that a signal interrupts, CONT for example, returns nothing if its time is over by then, whatever is
        # ready (PEP 475). Timers are called only after the reports that may make them void.
        return self._poll(0, _MOST_READY) if timeout > 0 else []

    def _call_due(self, now: float) -> None:
        self._due = self._timers.pop_due(now)
        for timer in self._due:
            if timer.callback is not None:
                callback, timer.callback = timer.callback, None
                callback(*timer.args)

    def _run_soon(self) -> None:
        # Only what is there now: a callback that adds itself again must not keep descriptors waiting.
        for _ in range(len(self._soon)):
            callback, args = self._soon.popleft()
            callback(*args)

    def fileno(self) -> int:
        """Return a descriptor that is readable when one of the registered ones is ready.

        Raises:
            ReactorhostError: the poller has none.
        """
        return self._poller.fileno()

    def wait_seconds(self, now: float) -> float:
        """Return how long a turn that begins now may wait: until the next call is due, if no longer than a poll may."""
        if self._soon:
            return 0
        # For a timer that was cancelled too: one turn for nothing costs less than to look at it every turn.
        seconds = self._timers.soonest - now
        if seconds <= 0:
            return 0
        return seconds if seconds < self._longest_wait else self._longest_wait  # noqa: FURB136  cheaper than min()

    def close(self) -> None:
        """Close the reactor's descriptors. In a forked child it closes the child's copies only."""
        if self._signals is not None:
            self._signals.close()
        self._poller.close()

    def abandon(self, on_return: Callable[[], NoReturn]) -> None:
        """Release in a forked child every descriptor that is registered, and call nothing back any more.

        `on_return` is called, and must end the process, when the code that forked returns into the loop.
        """
        # Replaced and not closed: an object that closes its descriptor later must not close another file of the child.
        null = os.open(os.devnull, os.O_RDWR)
        registered = [number for number, stream in enumerate(self._streams) if stream is not None]
        registered += [number for number, callback in enumerate(self._callbacks) if callback is not _ignore_ready]
        for descriptor in {*registered, *self._deferred}:
            os.dup2(null, descriptor, inheritable=False)
        os.close(null)
        self.close()

        def end(*args: object) -> NoReturn:
            on_return()

        # In place: the fork may be in the middle of a turn, which must not go on with the clients that are left.
        for arrivals, _ in self._handlers:
            arrivals.clear()
        self._handlers.clear()
        self._streams[:] = [None] * len(self._streams)
        self._callbacks[:] = [end] * len(self._callbacks)
        self._deferred.clear()
        self._due.clear()
        self._timers = Timers()
        self._soon.clear()
        self._soon.append((end, ()))
        self._poller = AbandonedPoller(end)
        self._poll = end


def _do_nothing() -> None:
    """Stand in for a callback: `run()` looks at what was added before each wait."""


def _ignore_ready(events: int) -> None:
    """Drop an event of a descriptor that an earlier callback of the same turn unregistered."""
