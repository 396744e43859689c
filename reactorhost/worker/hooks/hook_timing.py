"""Measure how long hooks take: for each plugin, without the time of other plugins that are called inside.

A coroutine function is timed in steps, each from where the loop continues it to where it awaits something. The time of
the steps is its work, as the time of a plain hook is. The time between them is its wait: others have the loop then.

The service's chain exists twice, plain and with timed calls, and `set_timed` switches between the two. So a call that
is not timed costs nothing.

Below 2,000 calls a second every call is timed. Above, a sample is: the timed chain is in place during windows of a
millisecond, as many as make about 2,000 calls a second. The clock opens and closes the windows. A window that opens at
a call is biased: timing the next turn in which any hook was called sees every `connect`, and next to no `receive`,
because a client's first bytes are read in the turn after it was accepted.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Generator, Sequence
from functools import partial
from time import perf_counter_ns
from typing import Any, Protocol, cast

from reactorhost.histogram import bucket
from reactorhost.ipc.counters import Timings
from reactorhost.ipc.service_pages import MOST_CHAIN_PLUGINS, ServiceTimings
from reactorhost.plugins.calls import Call
from reactorhost.reactor import Reactor, TimerHandle

_TIMED_CALLS_PER_SECOND = 2000
_WINDOW_SECONDS = 0.001

Also = Callable[[int], object]
"""Called with the nanoseconds of a hook's work."""


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
        self._steps: _TimedSteps | None = None
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

    def around(self, plugin: str, hook: str, call: Call, also: Also | None = None) -> Call:
        """Return `call` with the plugin's own time measured; `also` is called with that of its work."""
        received = hook == "receive"

        def count(work: int, wait: int) -> None:
            # Looked up at each call: the chains are resolved before `start` names the plugins.
            timings = self._plugins.get(plugin)
            if timings is not None:
                timings.nanoseconds += work
                timings.waiting_nanoseconds += wait
                if received:
                    _count_receive(timings, work + wait)
            if also is not None:
                also(work)
            self.calls += 1

        def timed(*arguments: object) -> object:
            self._enter()
            try:
                return call(*arguments)
            finally:
                count(self._leave(), 0)

        async def timed_awaited(*arguments: object) -> object:
            steps = _TimedSteps(self, call(*arguments))
            try:
                return await steps
            finally:
                count(steps.work, steps.finish())

        return timed_awaited if inspect.iscoroutinefunction(call) else timed

    def around_receive(self, call: Call, *also: ServiceTimings) -> Call:
        """Return a whole chain's `receive` with its time measured, with what it awaits."""

        def count(nanoseconds: int) -> None:
            _count_receive(self.whole, nanoseconds)
            for timings in also:
                _count_receive(timings, nanoseconds)

        return _measured(call, count)

    # `_running` is a stack of the plugin calls that are active, each with its own time so far: a wrapper of one plugin
    # calls the next plugin inside.

    def _enter(self) -> int:
        now = perf_counter_ns()
        if self._running:
            self._running[-1] += now - self._resumed_at
        self._running.append(0)
        self._resumed_at = now
        return now

    def _leave(self) -> int:
        """Return the own time of the call that ends."""
        now = perf_counter_ns()
        own = self._running.pop() + now - self._resumed_at
        self._resumed_at = now
        return own

    def step(self, steps: _TimedSteps, advance: Callable[[], object]) -> object:
        """Run one step of a coroutine, and add its time to `steps`."""
        outer, self._steps = self._steps, steps
        entered = self._enter()
        if steps.began is None:
            steps.began, steps.outer = entered, outer
        try:
            return advance()
        finally:
            steps.work += self._leave()
            steps.on_loop += self._resumed_at - entered
            self._steps = outer

    def _close_window(self) -> None:
        self._set_timed(False)
        self._switch = self._reactor.call_later(self._pause_seconds, self._open_window)

    def _open_window(self) -> None:
        self._set_timed(True)
        self._switch = self._reactor.call_later(_WINDOW_SECONDS, self._close_window) if self._pause_seconds else None


class _TimedSteps:
    """An awaitable that runs a coroutine and measures its steps.

    Attributes:
        began: when the first step began.
        outer: the steps of another plugin's hook that awaits this one, or None.
        work: time of the steps, without hooks of other plugins in them.
        on_loop: time of the steps.
        inner_waits: the waits of other plugins' hooks that this one awaits.
    """

    __slots__ = ("_coroutine", "_timing", "began", "inner_waits", "on_loop", "outer", "work")

    def __init__(self, timing: HookTiming, coroutine: Coroutine[Any, Any, object]) -> None:
        self._timing = timing
        self._coroutine = coroutine
        self.began: int | None = None
        self.outer: _TimedSteps | None = None
        self.work = self.on_loop = self.inner_waits = 0

    def finish(self) -> int:
        """Return how long the coroutine that has ended waited."""
        if self.began is None:
            return 0
        waited = perf_counter_ns() - self.began - self.on_loop
        if self.outer is not None:
            self.outer.inner_waits += waited
        return max(0, waited - self.inner_waits)

    @property
    def cr_await(self) -> Coroutine[Any, Any, object]:
        """The coroutine, for what looks for the place where a task stands."""
        return self._coroutine

    # The protocol of what `await` runs.

    def __await__(self) -> Generator[Any, Any, object]:
        # In its form: `await` needs no more of an iterator than the methods below.
        return cast("Generator[Any, Any, object]", self)

    def __iter__(self) -> _TimedSteps:
        return self

    def __next__(self) -> object:
        return self.send(None)

    def send(self, value: object) -> object:
        """Continue the coroutine."""
        return self._timing.step(self, lambda: self._coroutine.send(value))

    def throw(self, raised: BaseException) -> object:
        """Raise an exception where the coroutine awaits something."""
        return self._timing.step(self, lambda: self._coroutine.throw(raised))

    def close(self) -> None:
        """End the coroutine where it awaits something."""
        self._coroutine.close()


class ServiceTiming:
    """Adds to the `timings` of a service, in addition to those of the worker and of its plugins."""

    def __init__(self, timing: HookTiming, plugins: Sequence[str], timings: ServiceTimings) -> None:
        self._timing = timing
        self._timings = timings
        self._positions = {name: number for number, name in enumerate(plugins[:MOST_CHAIN_PLUGINS])}

    def around(self, plugin: str, hook: str, call: Call) -> Call:
        """See `HookTiming`."""
        position = self._positions.get(plugin)
        return self._timing.around(plugin, hook, call, None if position is None else partial(self._count, position))

    def around_receive(self, call: Call) -> Call:
        """See `HookTiming`."""
        return self._timing.around_receive(call, self._timings)

    def _count(self, position: int, work: int) -> None:
        self._timings.work[position] += work


class Timing(Protocol):
    """Puts the measurement around hooks: of the worker's only, or of a service's too."""

    def around(self, plugin: str, hook: str, call: Call, /) -> Call:
        """Return a plugin's hook with its time measured."""

    def around_receive(self, call: Call, /) -> Call:
        """Return a whole chain's `receive` with its time measured."""


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


def _count_receive(timings: Timings | ServiceTimings, nanoseconds: int) -> None:
    timings.calls += 1
    timings.receive_nanoseconds += nanoseconds
    timings.receive[bucket(nanoseconds)] += 1
