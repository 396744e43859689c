"""Metrics of plugins that workers report: sums of counters since the start, and sums of the live workers' gauges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import MAX_METRICS, Values


@dataclass(frozen=True, slots=True)
class MetricsState:
    """The metrics by process id and plugin, and the counters of workers that have ended by plugin."""

    counters: dict[int, dict[str, Values]] = field(default_factory=dict)
    gauges: dict[int, dict[str, Values]] = field(default_factory=dict)
    ended: dict[str, Values] = field(default_factory=dict)


class ReportedMetrics:
    """The newest metrics of every worker by plugin, and the counters of ended workers.

    A plugin chooses its names, and a reload may bring other ones: their number is limited here too, or they would pile
    up for as long as the master runs.
    """

    def __init__(self) -> None:
        self._counters: dict[int, dict[str, Values]] = {}
        self._gauges: dict[int, dict[str, Values]] = {}
        self._ended: dict[str, Values] = {}

    def export(self) -> MetricsState:
        """Return all metrics, for another program."""
        return MetricsState(self._counters, self._gauges, self._ended)

    def restore(self, state: MetricsState) -> None:
        """Continue with the metrics of another program."""
        self._counters, self._gauges, self._ended = state.counters, state.gauges, state.ended

    def update(self, pid: int, message: Message) -> None:
        """Replace the metrics of the owners that a report contains."""
        self._counters.setdefault(pid, {}).update(message["counters"])
        self._gauges.setdefault(pid, {}).update(message["gauges"])

    def worker_ended(self, pid: int) -> None:
        """Keep the counters of a worker that ended."""
        self._gauges.pop(pid, None)
        for owner, counters in self._counters.pop(pid, {}).items():
            # The newest worker's names come first: those of code that was replaced long ago are dropped.
            total = _sum((counters, self._ended.get(owner, {})))
            self._ended[owner] = dict(list(total.items())[:MAX_METRICS])

    def of(self, owner: str) -> Values:
        """Return the metrics of an owner over all workers, by name."""
        kept = dict(list({**self.gauges(owner), **self.counters(owner)}.items())[: 2 * MAX_METRICS])
        return dict(sorted(kept.items()))

    def counters(self, owner: str) -> Values:
        """Return the counters of an owner, with those of workers that ended."""
        return _sum(each.get(owner, {}) for each in (*self._counters.values(), self._ended))

    def gauges(self, owner: str) -> Values:
        """Return the gauges of an owner over the live workers."""
        return _sum(each.get(owner, {}) for each in self._gauges.values())


def _sum(many: Iterable[Values]) -> Values:
    total: Values = {}
    for values in many:
        for name, value in values.items():
            total[name] = total.get(name, 0) + value
    return total
