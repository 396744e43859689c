"""Report changed metrics of plugins to the master, once a second."""

from __future__ import annotations

from collections.abc import Callable

from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Report, Values
from reactorhost.reactor import Reactor
from reactorhost.worker.hooks.metrics import Metrics

_INTERVAL_SECONDS = 1.0


class MetricsReport:
    """Remembers what was reported last, and reports the plugins whose values differ; `send_report` sends a report."""

    def __init__(self, reactor: Reactor, metrics: Metrics, send_report: Callable[[Message], object]) -> None:
        self._reactor = reactor
        self._metrics = metrics
        self._send_report = send_report
        self._counters: dict[str, Values] = {}
        self._gauges: dict[str, Values] = {}

    def start(self) -> None:
        """Report once a second from now on."""
        self._reactor.call_later(_INTERVAL_SECONDS, self._tick)

    def send_last(self) -> None:
        """Report the final counters. The gauges of a worker that ends mean nothing any more."""
        self._send_changed(self._metrics.counted(), self._gauges)

    def _tick(self) -> None:
        if self._metrics:
            self._send_changed(self._metrics.counted(), self._metrics.gauged(self._reactor.now))
        self._reactor.call_later(_INTERVAL_SECONDS, self._tick)

    def _send_changed(self, counters: dict[str, Values], gauges: dict[str, Values]) -> None:
        changed = {
            "counters": _changed(self._counters, counters),
            "gauges": _changed(self._gauges, gauges),
        }
        self._counters, self._gauges = counters, gauges
        if any(changed.values()):
            self._send_report({"report": Report.STATS, **changed})


def _changed(before: dict[str, Values], after: dict[str, Values]) -> dict[str, Values]:
    return {plugin: values for plugin, values in after.items() if before.get(plugin) != values}
