"""Report changed metrics of plugins to the master, once a second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Report, Values
from reactorhost.reactor import Reactor
from reactorhost.worker.hooks.metrics import Metrics

_INTERVAL_SECONDS = 1.0


@dataclass(slots=True, eq=False)
class MetricsReport:
    """Remembers what was reported last, and reports the plugins whose values differ; `send_report` sends a report."""

    reactor: Reactor
    metrics: Metrics
    send_report: Callable[[Message], object]
    _counters: dict[str, Values] = field(default_factory=dict, init=False)
    _gauges: dict[str, Values] = field(default_factory=dict, init=False)

    def start(self) -> None:
        """Report once a second from now on."""
        self.reactor.call_later(_INTERVAL_SECONDS, self._tick)

    def send_last(self) -> None:
        """Report the final counters. The gauges of a worker that ends mean nothing any more."""
        self._send_changed(self.metrics.counted(), self._gauges)

    def _tick(self) -> None:
        if self.metrics:
            self._send_changed(self.metrics.counted(), self.metrics.gauged(self.reactor.now))
        self.reactor.call_later(_INTERVAL_SECONDS, self._tick)

    def _send_changed(self, counters: dict[str, Values], gauges: dict[str, Values]) -> None:
        changed = {
            "counters": _changed(self._counters, counters),
            "gauges": _changed(self._gauges, gauges),
        }
        self._counters, self._gauges = counters, gauges
        if any(changed.values()):
            self.send_report({"report": Report.STATS, **changed})


def _changed(before: dict[str, Values], after: dict[str, Values]) -> dict[str, Values]:
    return {plugin: values for plugin, values in after.items() if before.get(plugin) != values}
