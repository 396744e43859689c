"""The stopwatch: times hooks, each plugin's own time without that of others inside.

Under little load every call is timed. Above some calls a second only those in short windows are, opened and closed by
the clock and never by what comes: a window that opened at a call would favour those that come first, as `connect`
comes before `receive`. Outside the windows the plain calls are in place and pay nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from time import perf_counter_ns

from reactorhost.histogram import bucket
from reactorhost.ipc.scoreboard import Timings
from reactorhost.plugins.wrappers import Call
from reactorhost.reactor import Reactor, Timer

_TIMED_CALLS_A_SECOND = 2000
_WINDOW_SECONDS = 0.001


class HookTiming:
    """Timings of a worker and of its plugins; `calls` counts what was timed.

    `set_timed` is called with True when the timed calls are wanted, and with False when the plain ones are.
    """

    def __init__(self, reactor: Reactor, set_timed: Callable[[bool], object]) -> None:
        self._reactor = reactor
        self._set_timed = set_timed
        self._plugins: dict[str, Timings] = {}
        self._running: list[int] = []
        self._resumed_at = 0
        self._pause_seconds = 0.0
        self._flip: Timer | None = None
        self.whole = Timings()
        self.calls = 0

    def start(self, plugins: Sequence[str]) -> None:
        """Keep timings for these plugins, and time every call until `adjust` knows better."""
        self._plugins = {name: Timings() for name in plugins}
        self._set_timed(True)

    def adjust(self, calls_a_second: float) -> None:
        """Time all calls, or only some when there are many."""
        self._pause_seconds = _WINDOW_SECONDS * max(0.0, calls_a_second / _TIMED_CALLS_A_SECOND - 1)
        if self._pause_seconds and self._flip is None:
            self._close_window()

    def timings(self) -> list[Timings]:
        """Return the timings of the worker, then of each plugin."""
        return [self.whole, *self._plugins.values()]

    def failed(self, plugin: str) -> None:
        """Count an exception of a plugin."""
        if plugin in self._plugins:
            self._plugins[plugin].errors += 1

    def around(self, plugin: str, hook: str, call: Call) -> Call:
        """Return `call` with the plugin's own time taken; of a coroutine function all the time until its end."""
        if inspect.iscoroutinefunction(call):
            return self._around_awaited(plugin, hook, call)

        def timed(*arguments: object) -> object:
            self._enter()
            try:
                return call(*arguments)
            finally:
                self._leave(self._plugins.get(plugin), received=hook == "receive")

        return timed

    def _around_awaited(self, plugin: str, hook: str, call: Call) -> Call:
        async def timed(*arguments: object) -> object:
            began = perf_counter_ns()
            try:
                return await call(*arguments)
            finally:
                self._count(self._plugins.get(plugin), perf_counter_ns() - began, received=hook == "receive")

        return timed

    def around_receive(self, call: Call) -> Call:
        """Return a whole chain's `receive` with all its time taken."""
        if inspect.iscoroutinefunction(call):
            return self._whole_awaited(call)

        def timed(*arguments: object) -> object:
            began = perf_counter_ns()
            try:
                return call(*arguments)
            finally:
                _count_receive(self.whole, perf_counter_ns() - began)

        return timed

    def _whole_awaited(self, call: Call) -> Call:
        async def timed(*arguments: object) -> object:
            began = perf_counter_ns()
            try:
                return await call(*arguments)
            finally:
                _count_receive(self.whole, perf_counter_ns() - began)

        return timed

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
        self._flip = self._reactor.call_later(self._pause_seconds, self._open_window)

    def _open_window(self) -> None:
        self._set_timed(True)
        self._flip = self._reactor.call_later(_WINDOW_SECONDS, self._close_window) if self._pause_seconds else None


def _count_receive(timings: Timings, nanoseconds: int) -> None:
    timings.calls += 1
    timings.receive[bucket(nanoseconds)] += 1
