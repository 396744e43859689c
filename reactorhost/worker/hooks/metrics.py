"""Numbers of plugins: counters that they add to, and what their `stats` hooks return once a second.

Whatever a plugin hands over is looked at before it is passed on: names of a fixed form, values that 64 bits hold.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reactorhost.plugins.guard import as_error
from reactorhost.plugins.registry import Implementation

Number = int | float
Values = dict[str, Number]

MOST_NAMES = 50
"""Names that a plugin may have, for its counters and for what `stats` returns together."""

_NAME = re.compile(r"[a-z][a-z0-9_.]{0,63}")
_LARGEST = 2**63
_TELL_SECONDS = 60.0


class Counter:
    """A number that only grows.

    Attributes:
        name: its name.
        value: what it has come to in this worker.
    """

    __slots__ = ("name", "value")

    def __init__(self, name: str) -> None:
        self.name = name
        self.value: Number = 0

    def __repr__(self) -> str:
        return f"<Counter {self.name} {self.value}>"

    def add(self, n: Number = 1) -> None:
        """Add to it.

        Raises:
            ValueError: it would shrink, or come to something that is no number.
        """
        if not 0 <= n < _LARGEST - self.value:
            raise ValueError(f"counter {self.name!r} is at {self.value}, and cannot grow by {n!r}")
        self.value += n


class Metrics:
    """The numbers of all plugins of one worker.

    `failed` hears of the plugin whose `stats` raised, `refused` of what was wrong with what one returned; both at most
    once a minute for each plugin.
    """

    def __init__(
        self,
        stats: Sequence[Implementation],
        failed: Callable[[str, str, None, Exception], object],
        refused: Callable[[str, str], object],
    ) -> None:
        self._stats = stats
        self._failed = failed
        self._refused = refused
        self._counters: dict[str, dict[str, Counter]] = {}
        self._told_at: dict[str, float] = {}

    def __bool__(self) -> bool:
        return bool(self._stats or self._counters)

    def counter(self, plugin: str, name: str) -> Counter:
        """Return a plugin's counter of this name, the same one each time.

        Raises:
            ValueError: it is no name for a number, or the plugin has too many.
        """
        counters = self._counters.setdefault(plugin, {})
        counter = counters.get(name)
        if counter is None:
            if (problem := _wrong_name(name)) is not None:
                raise ValueError(problem)
            if len(counters) >= MOST_NAMES:
                raise ValueError(f"a counter {name!r} would be one more than the {MOST_NAMES} that a plugin may have")
            counter = counters[name] = Counter(name)
        return counter

    def counted(self) -> dict[str, Values]:
        """Return the counters of every plugin that has any."""
        counted = {}
        for plugin, counters in self._counters.items():
            counted[plugin] = {name: each.value for name, each in counters.items() if _is_number(each.value)}
        return counted

    def gauged(self, now: float) -> dict[str, Values]:
        """Return what `stats` of every plugin returns that has it, without what is wrong of it."""
        gauged: dict[str, Values] = {}
        for found in self._stats:
            plugin = found.plugin.name
            kept: Values = {}
            problem: str | None = None
            try:
                kept, problem = _checked(found.call(), self._counters.get(plugin, {}))
            except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
                if self._may_tell(plugin, now):
                    self._failed(plugin, "stats", None, as_error(raised))
            # One that raised has none any more: what it said before is not true now.
            gauged.setdefault(plugin, {}).update(kept)
            if problem is not None and self._may_tell(plugin, now):
                self._refused(plugin, problem)
        return gauged

    def _may_tell(self, plugin: str, now: float) -> bool:
        if now - self._told_at.get(plugin, -math.inf) < _TELL_SECONDS:
            return False
        self._told_at[plugin] = now
        return True


def _checked(returned: Any, counters: Mapping[str, Counter]) -> tuple[Values, str | None]:
    """Return what can be used of a mapping, and the first thing that is wrong with it."""
    if not isinstance(returned, Mapping):
        return {}, f"it returned {_shown(returned)}, which is no mapping of names to numbers"
    kept: Values = {}
    problem: str | None = None
    for name, value in returned.items():
        wrong = _wrong_name(name)
        if wrong is None and name in counters:
            wrong = f"{name!r} is a counter already"
        elif wrong is None and not _is_number(value):
            wrong = f"{name!r} is {_shown(value)}, which is no number"
        elif wrong is None and len(kept) + len(counters) >= MOST_NAMES:
            wrong = f"{name!r} is one more than the {MOST_NAMES} that a plugin may have"
        if wrong is None:
            kept[name] = value
        problem = problem or wrong
    return kept, problem


def _wrong_name(name: object) -> str | None:
    if isinstance(name, str) and _NAME.fullmatch(name):
        return None
    return f"{_shown(name)} is no name for a number: up to 64 of a-z 0-9 _ . with a letter first"


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < _LARGEST if isinstance(value, int) else math.isfinite(value)


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
