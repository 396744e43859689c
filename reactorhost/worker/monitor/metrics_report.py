"""The bulletin: tells the master once a second which numbers of plugins changed."""

from __future__ import annotations

from collections.abc import Callable

from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Report, Values
from reactorhost.reactor import Reactor
from reactorhost.worker.hooks.metrics import Metrics

_SECONDS = 1.0


class MetricsReport:
    """What the master was told of the numbers of this worker, and what it is told next."""

    def __init__(self, reactor: Reactor, metrics: Metrics, send: Callable[[Message], object]) -> None:
        self._reactor = reactor
        self._metrics = metrics
        self._send = send
        self._counters: dict[str, Values] = {}
        self._gauges: dict[str, Values] = {}

    def start(self) -> None:
        """Look from now on once a second."""
        self._reactor.call_later(_SECONDS, self._tick)

    def tell_last(self) -> None:
        """Tell what the counters came to; gauges of a worker that ends are worth nothing."""
        self._tell(self._metrics.counted(), self._gauges)

    def _tick(self) -> None:
        if self._metrics:
            self._tell(self._metrics.counted(), self._metrics.gauged(self._reactor.now))
        self._reactor.call_later(_SECONDS, self._tick)

    def _tell(self, counters: dict[str, Values], gauges: dict[str, Values]) -> None:
        changed = {
            "counters": _changed(self._counters, counters),
            "gauges": _changed(self._gauges, gauges),
        }
        self._counters, self._gauges = counters, gauges
        if any(changed.values()):
            self._send({"report": Report.STATS, **changed})


def _changed(before: dict[str, Values], after: dict[str, Values]) -> dict[str, Values]:
    return {plugin: values for plugin, values in after.items() if before.get(plugin) != values}
