"""Metrics of plugins: the counters that they add to, and the gauges that their `stats` hooks return.

Those that have changed are reported to the master once a second. Shared counters are not: the master reads their cells.

Everything from a plugin is checked before it leaves the worker: names of a fixed form, values that 64 bits hold.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Container, Mapping, Sequence
from contextvars import Context
from typing import Any

from reactorhost.api.counter import VALUE_LIMIT, Counter, SharedCounter
from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import MAX_METRICS, Report, Values
from reactorhost.plugins.guard import as_error
from reactorhost.plugins.registry import Implementation
from reactorhost.reactor import Reactor
from reactorhost.reactor.timers import next_second
from reactorhost.system.rate_limit import RateLimit
from reactorhost.worker.hooks.hook_errors import HookFailure
from reactorhost.worker.hooks.shared_counters import SharedCounters

_NAME = re.compile(r"[a-z][a-z0-9_.]{0,63}")
_SECONDS_BETWEEN_LINES = 60.0


class Metrics:
    """The metrics of all plugins of one worker; `stats` hooks run in the context `variables`.

    `hook_failed` is called with what a `stats` hook raised, `invalid` with a plugin and the problem of its return
    value; both at most once a minute for each plugin, because `stats` is called every second.

    Attributes:
        shared: the shared counters.
    """

    def __init__(
        self,
        stats: Sequence[Implementation],
        variables: Context,
        hook_failed: HookFailure,
        invalid: Callable[[str, str], object],
        shared: SharedCounters,
    ) -> None:
        self.shared = shared
        self._stats = stats
        self._variables = variables
        self._hook_failed = hook_failed
        self._invalid = invalid
        self._counters: dict[str, dict[str, Counter]] = {}
        self._lines = RateLimit(1, _SECONDS_BETWEEN_LINES)

    def counter(self, plugin: str, name: str) -> Counter:
        """Return a plugin's counter of this name, the same object each time.

        Raises:
            ValueError: the name is malformed, or the plugin has too many counters.
        """
        counters = self._counters.setdefault(plugin, {})
        counter = counters.get(name)
        if counter is None:
            if (problem := _name_problem(name)) is not None:
                raise ValueError(problem)
            if name in self.shared.names(plugin):
                raise ValueError(f"{name!r} is already a shared counter")
            if len(counters) >= MAX_METRICS:
                raise ValueError(f"a counter {name!r} would exceed the limit of {MAX_METRICS} metrics per plugin")
            counter = counters[name] = Counter(name)
        return counter

    def shared_counter(self, plugin: str, name: str) -> SharedCounter:
        """Return a plugin's shared counter of this name, the same object each time.

        Raises:
            ValueError: the name is malformed, or the host has too many shared counters.
        """
        if (problem := _name_problem(name)) is not None:
            raise ValueError(problem)
        if name in self._counters.get(plugin, ()):
            raise ValueError(f"{name!r} is already a counter")
        return self.shared.get(plugin, name)

    def counted(self) -> dict[str, Values]:
        """Return the values of all counters, by plugin."""
        # `value` is public, so a plugin may have set it to anything.
        return {
            plugin: {name: each.value for name, each in counters.items() if _is_number(each.value)}
            for plugin, counters in self._counters.items()
        }

    def gauged(self, now: float) -> dict[str, Values]:
        """Return what each plugin's `stats` returns, by plugin, without what is invalid."""
        gauged: dict[str, Values] = {}
        for implementation in self._stats:
            plugin = implementation.plugin.name
            valid: Values = {}
            problem: str | None = None
            try:
                returned = self._variables.run(implementation.call)
                valid, problem = _checked(returned, self._counters.get(plugin, {}), self.shared.names(plugin))
            except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
                if self._lines.admits(now, plugin):
                    self._hook_failed(plugin, "stats", None, as_error(raised))
            # Also when it is empty: gauges of a hook that fails now are not those of a second ago.
            gauged.setdefault(plugin, {}).update(valid)
            if problem is not None and self._lines.admits(now, plugin):
                self._invalid(plugin, problem)
        return gauged


class MetricsReport:
    """Remembers what was reported last, and reports what differs."""

    def __init__(self, reactor: Reactor, metrics: Metrics, send_report: Callable[[Message], object]) -> None:
        self._reactor = reactor
        self._metrics = metrics
        self._send_report = send_report
        self._counters: dict[str, Values] = {}
        self._gauges: dict[str, Values] = {}

    def start(self) -> None:
        """Report once a second from now on."""
        # At whole seconds, when an idle worker wakes up anyway.
        self._reactor.call_at(next_second(self._reactor.clock()), self._tick)

    def send_last(self) -> None:
        """Report the final counters. The gauges of a worker that ends mean nothing any more."""
        self._send_changed(self._metrics.counted(), self._gauges)

    def _tick(self) -> None:
        self._send_changed(self._metrics.counted(), self._metrics.gauged(self._reactor.now))
        self.start()

    def _send_changed(self, counters: dict[str, Values], gauges: dict[str, Values]) -> None:
        changed = {
            "counters": _changed(self._counters, counters),
            "gauges": _changed(self._gauges, gauges),
        }
        self._counters, self._gauges = counters, gauges
        if any(changed.values()):
            self._send_report({"report": Report.STATS, **changed})


def _checked(returned: Any, counters: Mapping[str, Counter], shared: Container[str]) -> tuple[Values, str | None]:
    """Return the valid items of a mapping, and the first problem of the others."""
    if not isinstance(returned, Mapping):
        return {}, f"it returned {_shown(returned)}, which is not a mapping of names to numbers"
    valid: Values = {}
    first_problem: str | None = None
    for name, value in returned.items():
        problem = _name_problem(name)
        if problem is None and name in counters:
            problem = f"{name!r} is already a counter"
        elif problem is None and name in shared:
            problem = f"{name!r} is already a shared counter"
        elif problem is None and not _is_number(value):
            problem = f"{name!r} is {_shown(value)}, which is not a finite 64-bit number"
        elif problem is None and len(valid) + len(counters) >= MAX_METRICS:
            problem = f"{name!r} exceeds the limit of {MAX_METRICS} metrics per plugin"
        if problem is None:
            valid[name] = value
        first_problem = first_problem or problem
    return valid, first_problem


def _name_problem(name: object) -> str | None:
    if isinstance(name, str) and _NAME.fullmatch(name):
        return None
    return f"{_shown(name)} is not a valid metric name: up to 64 of a-z 0-9 _ . starting with a letter"


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < VALUE_LIMIT if isinstance(value, int) else math.isfinite(value)


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def _changed(before: dict[str, Values], after: dict[str, Values]) -> dict[str, Values]:
    return {plugin: values for plugin, values in after.items() if before.get(plugin) != values}
