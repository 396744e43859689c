"""The numbers of plugins over all workers: counters add up, those of workers that ended too; gauges are of who lives.

Names come from plugins, and a reload may bring others: only so many of each plugin are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import MAX_METRICS, Values


@dataclass(slots=True)
class _Told:
    """What one worker told last, by plugin."""

    counters: dict[str, Values] = field(default_factory=dict)
    gauges: dict[str, Values] = field(default_factory=dict)


class PluginMetrics:
    """What every worker told of its plugins' numbers, and what those counted that ended."""

    def __init__(self) -> None:
        self._workers: dict[int, _Told] = {}
        self._past: dict[str, Values] = {}

    def told(self, pid: int, message: Message) -> None:
        """Take what a worker reports: all of those plugins of which something changed."""
        worker = self._workers.setdefault(pid, _Told())
        worker.counters.update(message["counters"])
        worker.gauges.update(message["gauges"])

    def ended(self, pid: int) -> None:
        """Add up what a worker counted that ended."""
        worker = self._workers.pop(pid, _Told())
        for plugin, counters in worker.counters.items():
            past = _sum((counters, self._past.get(plugin, {})))
            # What the newest worker counts is more worth keeping than what code of long ago did.
            self._past[plugin] = dict(list(past.items())[:MAX_METRICS])

    def of(self, plugin: str) -> Values:
        """Return the numbers of a plugin over all workers, by name."""
        living = list(self._workers.values())
        counters = _sum([*(each.counters.get(plugin, {}) for each in living), self._past.get(plugin, {})])
        gauges = _sum([each.gauges.get(plugin, {}) for each in living])
        kept = dict(list({**gauges, **counters}.items())[: 2 * MAX_METRICS])
        return dict(sorted(kept.items()))


def _sum(many: list[Values] | tuple[Values, ...]) -> Values:
    total: dict[str, int | float] = {}
    for values in many:
        _add(total, values)
    return total


def _add(total: Values, values: Mapping[str, int | float]) -> None:
    for name, value in values.items():
        total[name] = total.get(name, 0) + value
