"""The values of one scrape, by metric and labels; independent of the format that they are written in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from reactorhost.ipc.counters import Timings
from reactorhost.ipc.service_pages import ServiceTimings
from reactorhost.master.metrics.catalog import Metric
from reactorhost.printable import printable

Labels = tuple[str, ...]


@dataclass(slots=True)
class Values:
    """What was collected.

    Equal labels have one value: a scrape with a series twice would be rejected as a whole.

    Attributes:
        numbers: the values of counters, gauges and infos.
        histograms: those of histograms.
    """

    numbers: dict[Metric, dict[Labels, float]] = field(default_factory=dict)
    histograms: dict[Metric, dict[Labels, Timings | ServiceTimings]] = field(default_factory=dict)

    def set(self, metric: Metric, value: float | None, *labels: object) -> None:
        """Set a value; an unknown one is left out."""
        if value is not None:
            self.numbers.setdefault(metric, {})[_texts(labels)] = value

    def add(self, metric: Metric, value: float | None, *labels: object) -> None:
        """Add to the value with these labels."""
        if value is not None:
            numbers = self.numbers.setdefault(metric, {})
            key = _texts(labels)
            numbers[key] = numbers.get(key, 0) + value

    def raise_to(self, metric: Metric, value: float | None, *labels: object) -> None:
        """Let the value with these labels be the largest that was passed."""
        if value is not None:
            numbers = self.numbers.setdefault(metric, {})
            key = _texts(labels)
            numbers[key] = max(numbers.get(key, value), value)

    def set_histogram(self, metric: Metric, timings: Timings | ServiceTimings, *labels: object) -> None:
        """Set the value of a histogram."""
        self.histograms.setdefault(metric, {})[_texts(labels)] = timings


def _texts(labels: Iterable[object]) -> Labels:
    # Names of files may contain what no encoding has: an escaped surrogate is a text, a bare one makes a scrape fail.
    return tuple(printable(str(each)) for each in labels)
