"""Samples of the workers' pages, one a second, kept as long as rates, percentiles and the history need them.

A page ends with its process. The counters of workers that ended are added up here, so that totals never fall.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from operator import attrgetter
from typing import cast

from reactorhost import histogram
from reactorhost.ipc.counters import Counters, Timings
from reactorhost.ipc.status import History, Latency, LimitTotals, Rates, Totals
from reactorhost.master.stats.ended_workers import EndedWorkers, add_totals, plugin_timings
from reactorhost.master.workers.exit_report import Sample

INTERVAL_SECONDS = 1.0
_RATED = tuple(Rates.__annotations__)
_rated = attrgetter(*_RATED)
_NO_RATES = cast("Rates", dict.fromkeys(_RATED, 0.0))
_HISTORY = 300
# Samples that percentiles and the plugins' shares of the time cover.
WINDOW = 5


@dataclass(frozen=True, slots=True)
class Point:
    """Open connections and totals at one moment."""

    at: float
    totals: Totals


@dataclass(frozen=True, slots=True)
class SamplesState:
    """What another program needs of the samples: see `Samples`; `newest` is the last sample of each worker."""

    past: Counters
    ended: EndedWorkers
    points: tuple[Point, ...]
    newest: dict[int, Sample]
    newest_wall: float
    regular_since: float


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds of something between two moments, in monotonic seconds."""

    since: float
    until: float
    seconds: float


class Samples:
    """The last samples of every worker and of the host.

    Attributes:
        past: the counters of workers that ended, added up.
        ended: the same by slot, and what else their sums are needed of.
    """

    def __init__(self) -> None:
        self._workers: dict[int, deque[Sample]] = {}
        self._points: deque[Point] = deque(maxlen=_HISTORY + 1)
        self.past = Counters()
        self.ended = EndedWorkers()
        self._newest_wall = 0.0
        # The histogram of a worker over the window, kept until the next samples.
        self._received: dict[int, Sequence[int]] = {}
        self.regular_since = 0.0

    def export(self) -> SamplesState:
        """Return the totals and the history, for another program."""
        newest = {pid: samples[-1] for pid, samples in self._workers.items()}
        points = tuple(self._points)
        return SamplesState(self.past, self.ended, points, newest, self._newest_wall, self.regular_since)

    def restore(self, state: SamplesState) -> None:
        """Continue with the totals and the history of another program, in which totals may be missing."""
        # In place: the bus counts on from the same object.
        for each in fields(Counters):
            setattr(self.past, each.name, getattr(state.past, each.name))
        self.ended = state.ended
        for timings in (self.ended.receive, *self.ended.plugins.values()):
            if len(timings.receive) != histogram.BUCKETS:
                timings.receive = [0] * histogram.BUCKETS
        zeros = totals_of(())
        self._points.extend(Point(each.at, {**zeros, **each.totals}) for each in state.points)
        for pid, sample in state.newest.items():
            # Another version may have other buckets.
            if all(len(each.receive) == histogram.BUCKETS for each in sample.timings):
                self._workers[pid] = deque([sample], maxlen=WINDOW + 1)
        self._newest_wall, self.regular_since = state.newest_wall, state.regular_since

    def take(self, samples: dict[int, Sample], now: float) -> None:
        """Add the samples of all workers of this second, by process id."""
        self._received.clear()
        newest = self._points[-1].at if self._points else None
        if newest is None or now - newest > 2 * INTERVAL_SECONDS:
            # The master was suspended, and perhaps the workers too: their ages mean nothing until a while from now.
            self.regular_since = now
        for pid, sample in samples.items():
            self._workers.setdefault(pid, deque(maxlen=WINDOW + 1)).append(sample)
        for ended in self._workers.keys() - samples.keys():
            del self._workers[ended]
        self._points.append(Point(now, self.totals([sample.counters for sample in samples.values()])))
        self._newest_wall = time.time()

    def worker_ended(self, pid: int, slot: int, last: Sample) -> None:
        """Add the counters of a worker that ended to the totals."""
        # Now, and not with the next samples: until then its errors would be counted twice.
        self._workers.pop(pid, None)
        add_totals(self.past, last.counters)
        self.ended.add(slot, last)

    def totals(self, live: Sequence[Counters]) -> Totals:
        """Return the totals of the host, including those of workers that ended."""
        return totals_of([self.past, *live])

    def limited(self, live: Sequence[Counters]) -> LimitTotals:
        """Return how often the limits for clients took effect, including workers that ended."""
        counters = [self.past, *live]
        return {
            "denied": sum(each.denied for each in counters),
            "over_address_limit": sum(each.over_address_limit for each in counters),
            "late_messages": sum(each.late_messages for each in counters),
            "rate_pauses": sum(each.rate_pauses for each in counters),
        }

    def rates(self) -> Rates:
        """Return the host's totals per second over the last interval."""
        return rates_between(*newest_two(self._points))

    def closed_rate(self) -> float:
        """Return the connections per second that ended over the last interval."""
        before, after = newest_two(self._points)
        opened = after.totals["accepted"] - before.totals["accepted"]
        closed = opened - (after.totals["connections"] - before.totals["connections"])
        return per_second(closed, after.at - before.at)

    def worker_rates(self, pid: int) -> Rates:
        """Return a worker's counters per second over the last interval."""
        samples = self._workers.get(pid)
        if samples is None or len(samples) < 2:
            return rates_between(*newest_two(()))
        before, after = samples[-2], samples[-1]
        seconds, earlier, later = after.at - before.at, _rated(before.counters), _rated(after.counters)
        if earlier == later:
            # Most workers of a large host are idle.
            return _NO_RATES.copy()
        counts = zip(_RATED, earlier, later, strict=True)
        return cast("Rates", {name: per_second(last - first, seconds) for name, first, last in counts})

    def cpu_percent(self, pid: int) -> float | None:
        """Return a worker's processor time over the last interval, in percent of one processor."""
        return self.load(pid)[0]

    def load(self, pid: int) -> tuple[float | None, float | None]:
        """Return over the last interval a worker's processor time, and the time in which its loop did not wait.

        Both are in percent, of one processor and of the interval.
        """
        between = self._last_interval(pid)
        if between is None:
            return None, None
        before, after = between
        seconds = after.tick - before.tick
        cpu, busy = after.cpu_seconds - before.cpu_seconds, after.busy_seconds - before.busy_seconds
        return round(100 * cpu / seconds, 1), round(100 * busy / seconds, 1)

    def busy(self, pid: int) -> Span | None:
        """Return the time over the last interval in which a worker's loop did not wait."""
        between = self._last_interval(pid)
        if between is None:
            return None
        before, after = between
        return Span(before.tick, after.tick, after.busy_seconds - before.busy_seconds)

    def _last_interval(self, pid: int) -> tuple[Counters, Counters] | None:
        # Over the time between the worker's own writes: its page is up to a second old.
        writes = (each.counters for each in reversed(self._workers.get(pid, ())))
        after = next(writes, None)
        before = next((each for each in writes if after is not None and each.tick < after.tick), None)
        if after is None or before is None:
            return None
        return before, after

    def worker_latency(self, pid: int) -> Latency:
        """Return how long calls of `receive` took in a worker, over the window."""
        return latency(self._worker_receive(pid))

    def latency(self) -> Latency:
        """Return how long calls of `receive` took in the whole host, over the window."""
        received = (self._worker_receive(pid) for pid in self._workers)
        return latency(histogram.total(each for each in received if each))

    def plugin_sums(self) -> dict[str, Timings]:
        """Return the timed calls of every plugin over the window."""
        sums: dict[str, Timings] = {}
        received: dict[str, list[list[int]]] = {}
        for samples in self._workers.values():
            first, last = samples[0], samples[-1]
            for position, name in enumerate(last.plugins, 1):
                if position < min(len(last.timings), len(first.timings)):
                    before, after = first.timings[position], last.timings[position]
                    plugin = sums.setdefault(name, Timings())
                    plugin.calls += after.calls - before.calls
                    plugin.nanoseconds += after.nanoseconds - before.nanoseconds
                    plugin.waiting_nanoseconds += after.waiting_nanoseconds - before.waiting_nanoseconds
                    if after.calls != before.calls:
                        received.setdefault(name, []).append(histogram.difference(after.receive, before.receive))
        for name, histograms in received.items():
            sums[name].receive = histogram.total(histograms)
        return sums

    def timed_messages(self) -> int:
        """Return how many calls of `receive` were timed over the window."""
        return sum(samples[-1].timings[0].calls - samples[0].timings[0].calls for samples in self._workers.values())

    def plugin_errors(self, ago: int = 0) -> dict[str, int]:
        """Return the exceptions of every plugin so far, or as of some samples ago."""
        errors = {name: timings.errors for name, timings in self.ended.plugins.items()}
        for samples in self._workers.values():
            sample = samples[max(-len(samples), -1 - ago)]
            # Those of its plugins are among the errors of a worker.
            if sample.counters.hook_errors:
                for name, timings in plugin_timings(sample):
                    errors[name] = errors.get(name, 0) + timings.errors
        return errors

    def history(self) -> History:
        """Return the last minutes, a sample a second."""
        pairs = list(zip(self._points, list(self._points)[1:], strict=False))
        rates = [rates_between(before, after) for before, after in pairs]
        return {
            "end": self._newest_wall,
            "interval_seconds": INTERVAL_SECONDS,
            "connections": [after.totals["connections"] for _, after in pairs],
            "accepted": [each["accepted"] for each in rates],
            "messages": [each["messages"] for each in rates],
            "bytes_in": [each["bytes_in"] for each in rates],
            "bytes_out": [each["bytes_out"] for each in rates],
            "hook_errors": [each["hook_errors"] for each in rates],
        }

    def _worker_receive(self, pid: int) -> Sequence[int]:
        """Return the histogram of a worker over the window; an empty one if nothing was timed."""
        # A document has it for each worker, and their sum; several clients may request one in the same second.
        if pid not in self._received:
            self._received[pid] = self._receive_in_window(pid)
        return self._received[pid]

    def _receive_in_window(self, pid: int) -> Sequence[int]:
        samples = self._workers.get(pid)
        if not samples:
            return ()
        first, last = samples[0].timings[0], samples[-1].timings[0]
        if len(samples) == 1:
            # A page starts at zero, with its worker.
            return last.receive
        # Of an idle worker both are the same.
        return histogram.difference(last.receive, first.receive) if last.calls != first.calls else ()


def latency(receive: Sequence[int]) -> Latency:
    """Return the percentiles of a histogram."""
    p50, p99, p999, longest = map(_shortened, histogram.percentiles(receive, 0.5, 0.99, 0.999, 1.0))
    return {"p50_seconds": p50, "p99_seconds": p99, "p999_seconds": p999, "max_seconds": longest}


@cache
def _shortened(seconds: float | None) -> float | None:
    # Three digits: the buckets are a fifth wide, and the document of a large host has hundreds of these. There are as
    # many different ones as buckets.
    return None if seconds is None else float(f"{seconds:.3g}")


def worker_totals(counters: Counters) -> Totals:
    """Return the totals of one worker."""
    return {
        "connections": counters.connections,
        "accepted": counters.accepted,
        "refused": counters.refused,
        "messages": counters.messages,
        "bytes_in": counters.bytes_in,
        "bytes_out": counters.bytes_out,
        "hook_errors": counters.hook_errors,
    }


def totals_of(counters: Sequence[Counters]) -> Totals:
    """Return the sums of these workers' counters."""
    return {
        "connections": sum(each.connections for each in counters),
        "accepted": sum(each.accepted for each in counters),
        "refused": sum(each.refused for each in counters),
        "messages": sum(each.messages for each in counters),
        "bytes_in": sum(each.bytes_in for each in counters),
        "bytes_out": sum(each.bytes_out for each in counters),
        "hook_errors": sum(each.hook_errors for each in counters),
    }


def newest_two(points: Sequence[Point]) -> tuple[Point, Point]:
    """Return the last two points; without two, points with no time between them, over which every rate is 0."""
    if len(points) > 1:
        return points[-2], points[-1]
    nothing = Point(0.0, totals_of(()))
    return nothing, nothing


def rates_between(before: Point, after: Point) -> Rates:
    """Return totals per second between two points."""
    earlier, later, seconds = before.totals, after.totals, after.at - before.at
    return {
        "accepted": per_second(later["accepted"] - earlier["accepted"], seconds),
        "refused": per_second(later["refused"] - earlier["refused"], seconds),
        "messages": per_second(later["messages"] - earlier["messages"], seconds),
        "bytes_in": per_second(later["bytes_in"] - earlier["bytes_in"], seconds),
        "bytes_out": per_second(later["bytes_out"] - earlier["bytes_out"], seconds),
        "hook_errors": per_second(later["hook_errors"] - earlier["hook_errors"], seconds),
    }


def per_second(count: int, seconds: float) -> float:
    """Return a rate; 0 if the count fell, or over no time."""
    return round(max(0, count) / seconds, 1) if seconds > 0 else 0.0
