"""Measure how long hooks take: for each plugin, without the time of other plugins that are called inside.

The service's chain exists twice, plain and with timed calls, and `set_timed` switches between the two. So a call that
is not timed costs nothing.

Below 2,000 calls a second every call is timed. Above, a sample is: the timed chain is in place during windows of a
millisecond, as many as make about 2,000 calls a second. The clock opens and closes the windows. A window that opens at
a call is biased: timing the next turn in which any hook was called sees every `connect`, and next to no `receive`,
because a client's first bytes are read in the turn after it was accepted.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from time import perf_counter_ns

from reactorhost.histogram import bucket
from reactorhost.ipc.counters import Timings
from reactorhost.plugins.calls import Call
from reactorhost.reactor import Reactor, TimerHandle

_TIMED_CALLS_PER_SECOND = 2000
_WINDOW_SECONDS = 0.001


class HookTiming:
    """Timings of a worker and of its plugins.

    `set_timed` is called with True to put the timed calls in place, and with False for the plain ones.

    Attributes:
        whole: the timings of the whole `receive` chain.
        calls: how many calls were timed.
    """

    def __init__(self, reactor: Reactor, set_timed: Callable[[bool], object]) -> None:
        self._reactor = reactor
        self._set_timed = set_timed
        self._plugins: dict[str, Timings] = {}
        self._running: list[int] = []
        self._resumed_at = 0
        self._pause_seconds = 0.0
        self._switch: TimerHandle | None = None
        self.whole = Timings()
        self.calls = 0

    def start(self, plugins: Sequence[str]) -> None:
        """Keep timings for these plugins, and time every call until `adjust` reports how many there are."""
        self._plugins = {name: Timings() for name in plugins}
        self._set_timed(True)

    def adjust(self, calls_per_second: float) -> None:
        """Time all calls or a sample, depending on the load."""
        self._pause_seconds = _WINDOW_SECONDS * max(0.0, calls_per_second / _TIMED_CALLS_PER_SECOND - 1)
        if self._pause_seconds and self._switch is None:
            self._close_window()

    def timings(self) -> list[Timings]:
        """Return the timings of the worker, then of each plugin."""
        return [self.whole, *self._plugins.values()]

    def failed(self, plugin: str) -> None:
        """Count an exception of a plugin."""
        if plugin in self._plugins:
            self._plugins[plugin].errors += 1

    def around(self, plugin: str, hook: str, call: Call) -> Call:
        """Return `call` with the plugin's own time measured; for a coroutine function, all the time until it ends."""
        received = hook == "receive"
        if inspect.iscoroutinefunction(call):
            return _measured(call, lambda elapsed: self._count(self._plugins.get(plugin), elapsed, received=received))

        def timed(*arguments: object) -> object:
            self._enter()
            try:
                return call(*arguments)
            finally:
                # Looked up at each call: the chains are resolved before `start` names the plugins.
                self._leave(self._plugins.get(plugin), received=received)

        return timed

    def around_receive(self, call: Call) -> Call:
        """Return a whole chain's `receive` with its time measured."""
        return _measured(call, lambda elapsed: _count_receive(self.whole, elapsed))

    # `_running` is a stack of the plugin calls that are active, each with its own time so far: a wrapper of one plugin
    # calls the next plugin inside.

    def _enter(self) -> None:
        now = perf_counter_ns()
        if self._running:
            self._running[-1] += now - self._resumed_at
        self._running.append(0)
        self._resumed_at = now

    def _leave(self, timings: Timings | None, *, received: bool) -> None:
        now = perf_counter_ns()
        own = self._running.pop() + now - self._resumed_at
        self._resumed_at = now
        self._count(timings, own, received=received)

    def _count(self, timings: Timings | None, nanoseconds: int, *, received: bool) -> None:
        if timings is not None:
            timings.nanoseconds += nanoseconds
            if received:
                _count_receive(timings, nanoseconds)
        self.calls += 1

    def _close_window(self) -> None:
        self._set_timed(False)
        self._switch = self._reactor.call_later(self._pause_seconds, self._open_window)

    def _open_window(self) -> None:
        self._set_timed(True)
        self._switch = self._reactor.call_later(_WINDOW_SECONDS, self._close_window) if self._pause_seconds else None


def _measured(call: Call, count: Callable[[int], object]) -> Call:
    """Return `call`, after which `count` is called with its nanoseconds; with those of all awaits, if it is async."""

    def timed(*arguments: object) -> object:
        began = perf_counter_ns()
        try:
            return call(*arguments)
        finally:
            count(perf_counter_ns() - began)

    async def timed_awaited(*arguments: object) -> object:
        began = perf_counter_ns()
        try:
            return await call(*arguments)
        finally:
            count(perf_counter_ns() - began)

    return timed_awaited if inspect.iscoroutinefunction(call) else timed


def _count_receive(timings: Timings, nanoseconds: int) -> None:
    timings.calls += 1
    timings.receive_nanoseconds += nanoseconds
    timings.receive[bucket(nanoseconds)] += 1
