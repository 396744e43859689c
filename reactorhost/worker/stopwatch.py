"""The stopwatch: times the hooks of a turn now and then, each plugin's own time without that of others inside.

A turn is timed at most every 20 ms: at its end the plain calls are put back, so that all other turns pay nothing. The
next turn in which a hook is called is the next that is timed, however rare they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter_ns

from reactorhost.histogram import bucket
from reactorhost.plugins.onion import Call
from reactorhost.reactor import Reactor
from reactorhost.scoreboard import Timings

_REST_SECONDS = 0.02


class Stopwatch:
    """Timings of a worker and of its plugins; `turns` counts the turns that were timed.

    `set_timed` is called with True when the timed calls are wanted, and with False at the end of a turn that used
    them.
    """

    def __init__(self, reactor: Reactor, set_timed: Callable[[bool], object]) -> None:
        self._reactor = reactor
        self._set_timed = set_timed
        self._plugins: dict[str, Timings] = {}
        self._running: list[int] = []
        self._resumed_at = 0
        self._used = False
        self.whole = Timings()
        self.turns = 0

    def start(self, plugins: Sequence[str]) -> None:
        """Keep timings for these plugins, and time the first turn that calls a hook."""
        self._plugins = {name: Timings() for name in plugins}
        self._set_timed(True)

    def timings(self) -> list[Timings]:
        """Return the timings of the worker, then of each plugin."""
        return [self.whole, *self._plugins.values()]

    def failed(self, plugin: str) -> None:
        """Count an exception of a plugin."""
        if plugin in self._plugins:
            self._plugins[plugin].errors += 1

    def around(self, plugin: str, hook: str, call: Call) -> Call:
        """Return `call` with the plugin's own time taken."""

        def timed(*arguments: object) -> object:
            self._enter()
            try:
                return call(*arguments)
            finally:
                self._leave(self._plugins.get(plugin), received=hook == "receive")

        return timed

    def around_receive(self, call: Call) -> Call:
        """Return a whole chain's `receive` with all its time taken."""

        def timed(*arguments: object) -> object:
            began = perf_counter_ns()
            try:
                return call(*arguments)
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
        if timings is not None:
            timings.nanoseconds += own
            if received:
                _count_receive(timings, own)
        if not self._used:
            self._used = True
            self._reactor.call_soon(self._rest)

    def _rest(self) -> None:
        self._used = False
        self.turns += 1
        self._set_timed(False)
        self._reactor.call_later(_REST_SECONDS, self._set_timed, True)


def _count_receive(timings: Timings, nanoseconds: int) -> None:
    timings.calls += 1
    timings.receive[bucket(nanoseconds)] += 1
