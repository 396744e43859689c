"""The text of a scrape, in the format of Prometheus or of OpenMetrics, written by prometheus-client.

That library is an extra, so it is imported here and only when the metrics are served. Its global registry, which
describes the process that imports it, is not used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest, metrics_core
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from reactorhost import histogram
from reactorhost.ipc.counters import Timings
from reactorhost.ipc.service_pages import ServiceTimings
from reactorhost.master.metrics.catalog import CATALOG, Kind, Metric
from reactorhost.master.metrics.values import Values

_OPENMETRICS = "application/openmetrics-text"

# The last bucket of each octave from a microsecond on, and its bound: a scrape has a series for each of them and each
# plugin. The last bucket of all has no bound.
_SHOWN = range(4, histogram.BUCKETS - 1, 4)
_BOUNDS = [str(histogram.upper_nanoseconds(number) / 1e9) for number in _SHOWN]


def exposition(values: Values, accept: str) -> tuple[str, bytes]:
    """Return content type and text of a scrape; `accept` is the request's header, which lists OpenMetrics or not."""
    collector = _Collector(values)
    if any(each.partition(";")[0].strip().lower() == _OPENMETRICS for each in accept.split(",")):
        # No name has anything to escape, and the default looks at every character of it: this takes half the time.
        generate: Callable[..., bytes] = openmetrics.generate_latest
        return openmetrics.CONTENT_TYPE_LATEST, generate(collector, escaping=openmetrics.ALLOWUTF8)
    return CONTENT_TYPE_PLAIN_0_0_4, generate_latest(collector)


class _Collector(Collector):
    """In place of a registry, which the functions of the library expect."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def collect(self) -> Iterator[metrics_core.Metric]:
        for metric in CATALOG:
            family = _family(metric, self._values)
            # A metric without values, such as those of a bus that is not used, is left out.
            if family.samples:
                yield family


def _family(metric: Metric, values: Values) -> metrics_core.Metric:
    numbers = values.numbers.get(metric, {})
    match metric.kind:
        case Kind.COUNTER:
            counter = metrics_core.CounterMetricFamily(metric.name, metric.text, labels=metric.labels)
            for labels, value in numbers.items():
                # A plugin can set the value of its counter; what is negative makes the whole scrape invalid.
                counter.add_metric(labels, max(value, 0))
            return counter
        case Kind.GAUGE:
            gauge = metrics_core.GaugeMetricFamily(metric.name, metric.text, labels=metric.labels)
            for labels, value in numbers.items():
                gauge.add_metric(labels, value)
            return gauge
        case Kind.INFO:
            info = metrics_core.InfoMetricFamily(metric.name.removesuffix("_info"), metric.text, labels=metric.labels)
            for labels in numbers:
                info.add_metric(labels, {})
            return info
        case Kind.HISTOGRAM:
            family = metrics_core.HistogramMetricFamily(metric.name, metric.text, labels=metric.labels)
            for labels, timings in values.histograms.get(metric, {}).items():
                family.add_metric(labels, _buckets(timings), timings.receive_nanoseconds / 1e9)
            return family


def _buckets(timings: Timings | ServiceTimings) -> list[tuple[str, float]]:
    """Return the calls that took no longer than each bound."""
    cumulative = list(accumulate(timings.receive))
    pairs = zip(_BOUNDS, (cumulative[number] for number in _SHOWN), strict=True)
    return [*pairs, ("+Inf", cumulative[-1])]
