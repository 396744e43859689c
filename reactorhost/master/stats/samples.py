"""Samples of the workers' pages, one a second, kept as long as rates, percentiles and the history need them.

A page ends with its process. The counters of workers that ended are added up here, so that totals never fall.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from reactorhost import histogram
from reactorhost.ipc.scoreboard import TOTALS, Counters
from reactorhost.ipc.status import History, Latency, Rates
from reactorhost.master.workers.sample import Sample

INTERVAL_SECONDS = 1.0
_HISTORY = 300
_WINDOW = 5
"""Samples that percentiles and the plugins' shares of the time cover."""


@dataclass(slots=True)
class PluginSums:
    """Sums of the timed calls of one plugin over the window."""

    calls: int = 0
    nanoseconds: int = 0
    receive: list[int] = field(default_factory=lambda: [0] * histogram.BUCKETS)


@dataclass(frozen=True, slots=True)
class Point:
    """The whole host at one moment: open connections, and totals by name."""

    at: float
    connections: int
    totals: dict[str, int]


class Samples:
    """The last samples of every worker and of the host."""

    def __init__(self) -> None:
        self._workers: dict[int, deque[Sample]] = {}
        self._points: deque[Point] = deque(maxlen=_HISTORY + 1)
        self._past = dict.fromkeys(TOTALS, 0)
        self._past_errors: dict[str, int] = {}
        self._newest_wall = 0.0
        self.regular_since = 0.0

    def take(self, samples: dict[int, Sample], now: float) -> None:
        """Add the samples of all workers of this second, by process id."""
        newest = self._points[-1].at if self._points else None
        if newest is None or now - newest > 2 * INTERVAL_SECONDS:
            # The master was suspended, and perhaps the workers too: their ages mean nothing until a while from now.
            self.regular_since = now
        for pid, sample in samples.items():
            self._workers.setdefault(pid, deque(maxlen=_WINDOW + 1)).append(sample)
        for ended in self._workers.keys() - samples.keys():
            del self._workers[ended]
        connections = sum(sample.counters.connections for sample in samples.values())
        self._points.append(Point(now, connections, self.totals([sample.counters for sample in samples.values()])))
        self._newest_wall = time.time()

    def worker_ended(self, last: Sample) -> None:
        """Add the counters of a worker that ended to the totals."""
        for name in TOTALS:
            self._past[name] += getattr(last.counters, name)
        for name, timings in zip(last.plugins, last.timings[1:], strict=False):
            self._past_errors[name] = self._past_errors.get(name, 0) + timings.errors

    def totals(self, live: Sequence[Counters]) -> dict[str, int]:
        """Return the totals of the host, including those of workers that ended."""
        return {name: self._past[name] + sum(getattr(each, name) for each in live) for name in TOTALS}

    def rates(self) -> Rates:
        """Return the host's totals per second over the last interval."""
        if len(self._points) < 2:
            return _rates({}, {}, 0.0)
        before, after = self._points[-2], self._points[-1]
        return _rates(before.totals, after.totals, after.at - before.at)

    def closed_rate(self) -> float:
        """Return the connections per second that ended over the last interval."""
        if len(self._points) < 2:
            return 0.0
        before, after = self._points[-2], self._points[-1]
        opened = after.totals["accepted"] - before.totals["accepted"]
        closed = opened - (after.connections - before.connections)
        return round(max(0, closed) / (after.at - before.at), 1)

    def worker_rates(self, pid: int) -> Rates:
        """Return a worker's counters per second over the last interval."""
        samples = self._workers.get(pid, deque())
        if len(samples) < 2:
            return _rates({}, {}, 0.0)
        before, after = samples[-2], samples[-1]
        counts = [{name: getattr(each.counters, name) for name in TOTALS} for each in (before, after)]
        return _rates(counts[0], counts[1], after.at - before.at)

    def cpu_percent(self, pid: int) -> float | None:
        """Return a worker's processor time over the last interval, in percent of one processor."""
        samples = self._workers.get(pid, deque())
        if len(samples) < 2:
            return None
        before, after = samples[-2], samples[-1]
        # Over the time between the worker's own writes: its page is up to a quarter of a second old.
        seconds = after.counters.tick - before.counters.tick
        used = after.counters.cpu_seconds - before.counters.cpu_seconds
        return round(100 * used / seconds, 1) if seconds > 0 else None

    def worker_latency(self, pid: int) -> Latency:
        """Return how long calls of `receive` took in a worker, over the window."""
        return latency(self._worker_receive(pid))

    def latency(self) -> Latency:
        """Return how long calls of `receive` took in the whole host, over the window."""
        return latency(histogram.total(self._worker_receive(pid) for pid in self._workers))

    def plugin_sums(self) -> dict[str, PluginSums]:
        """Return the timed calls of every plugin over the window."""
        sums: dict[str, PluginSums] = {}
        for samples in self._workers.values():
            first, last = samples[0], samples[-1]
            for position, name in enumerate(last.plugins, 1):
                if position < min(len(last.timings), len(first.timings)):
                    before, after = first.timings[position], last.timings[position]
                    plugin = sums.setdefault(name, PluginSums())
                    plugin.calls += after.calls - before.calls
                    plugin.nanoseconds += after.nanoseconds - before.nanoseconds
                    plugin.receive = histogram.total(
                        [plugin.receive, histogram.difference(after.receive, before.receive)]
                    )
        return sums

    def timed_messages(self) -> int:
        """Return how many calls of `receive` were timed over the window."""
        return sum(samples[-1].timings[0].calls - samples[0].timings[0].calls for samples in self._workers.values())

    def plugin_errors(self, ago: int = 0) -> dict[str, int]:
        """Return the exceptions of every plugin so far, or as of some samples ago."""
        errors = dict(self._past_errors)
        for samples in self._workers.values():
            sample = samples[max(-len(samples), -1 - ago)]
            for name, timings in zip(sample.plugins, sample.timings[1:], strict=False):
                errors[name] = errors.get(name, 0) + timings.errors
        return errors

    def history(self) -> History:
        """Return the last minutes, a sample a second."""
        pairs = list(zip(self._points, list(self._points)[1:], strict=False))
        rates = [_rates(before.totals, after.totals, after.at - before.at) for before, after in pairs]
        return {
            "end": self._newest_wall,
            "interval_seconds": INTERVAL_SECONDS,
            "connections": [after.connections for _, after in pairs],
            "accepted": [each["accepted"] for each in rates],
            "messages": [each["messages"] for each in rates],
            "bytes_in": [each["bytes_in"] for each in rates],
            "bytes_out": [each["bytes_out"] for each in rates],
            "hook_errors": [each["hook_errors"] for each in rates],
        }

    def _worker_receive(self, pid: int) -> list[int]:
        samples = self._workers.get(pid)
        if not samples:
            return [0] * histogram.BUCKETS
        if len(samples) == 1:
            return samples[0].timings[0].receive
        return histogram.difference(samples[-1].timings[0].receive, samples[0].timings[0].receive)


def latency(receive: Sequence[int]) -> Latency:
    """Return the percentiles of a histogram."""
    return {
        "p50_seconds": histogram.percentile(receive, 0.5),
        "p99_seconds": histogram.percentile(receive, 0.99),
        "p999_seconds": histogram.percentile(receive, 0.999),
        "max_seconds": histogram.percentile(receive, 1.0),
    }


def _rates(before: dict[str, int], after: dict[str, int], seconds: float) -> Rates:
    def rate(name: str) -> float:
        if seconds <= 0:
            return 0.0
        return round(max(0, after.get(name, 0) - before.get(name, 0)) / seconds, 1)

    return {
        "accepted": rate("accepted"),
        "refused": rate("refused"),
        "messages": rate("messages"),
        "bytes_in": rate("bytes_in"),
        "bytes_out": rate("bytes_out"),
        "hook_errors": rate("hook_errors"),
    }
