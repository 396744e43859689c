"""What each service has counted in all workers, those that have ended included: totals, rates and latencies.

What workers have counted is added up once a second. Their timings are many more numbers, so in one second those of some
services are added up: of all, unless the host has many workers and services. Sums over the window stay exact when a
worker ends in it, because its record goes to the sum of the ended ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from reactorhost import histogram
from reactorhost.ipc.counters import Counters
from reactorhost.ipc.service_pages import (
    LANES,
    Lanes,
    ServicePages,
    ServiceRecords,
    ServiceTimings,
    counters_of,
    packed_counters,
    records_of,
    timings_of,
)
from reactorhost.ipc.status import Latency, Rates
from reactorhost.master.stats.samples import (
    INTERVAL_SECONDS,
    WINDOW,
    Point,
    latency,
    newest_two,
    rates_between,
    worker_totals,
)

_TIMED_A_SECOND = 256
"""How many timings, each of a service of a worker, are read in a second; it takes about 0.3 ms."""


@dataclass(frozen=True, slots=True)
class ServiceSumsState:
    """The lanes of the ended workers' records, by service."""

    ended: tuple[tuple[int, ...], ...] = ()
    lanes: Lanes = LANES


@dataclass(slots=True)
class ServiceSums:
    """The sums of `count` services, by their position in the settings."""

    count: int
    _ended: ServiceRecords = field(init=False)
    # The moments of the last two samples, and what all services had counted.
    _points: deque[tuple[float, bytes]] = field(default_factory=lambda: deque(maxlen=2), init=False)
    # Of each service, the moments at which its timings were added up, and the sums.
    _timed: list[deque[tuple[float, int]]] = field(init=False)
    # What was timed between the first and the last of them, kept until there is a new one.
    _windows: dict[int, ServiceTimings] = field(default_factory=dict, init=False)
    _next: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._ended = ServiceRecords(0, (0,) * self.count)
        self._timed = [deque() for _ in range(self.count)]

    def export(self) -> ServiceSumsState:
        """Return the sums of ended workers, for another program."""
        return ServiceSumsState(tuple(self._ended.lanes()))

    def restore(self, state: ServiceSumsState) -> None:
        """Continue with the sums of another program."""
        self._ended = self._ended.plus(records_of(state.lanes, state.ended[: self.count]))

    def take(self, live: Sequence[tuple[ServicePages, int]], now: float) -> None:
        """Add the sample of this second: of each worker, the memory of its records and its page there."""
        counted = (pages.counted(page) for pages, page in live)
        self._points.append((now, packed_counters(sum(counted, self._ended.counted), self.count)))
        for _ in range(min(self.count, max(1, _TIMED_A_SECOND // max(1, len(live))))):
            self._add_timings(self._next, live, now)
            self._next = (self._next + 1) % self.count

    def worker_ended(self, records: ServiceRecords) -> None:
        """Keep what a worker that ended has counted."""
        self._ended = self._ended.plus(records.without_gauges())

    def counters(self, service: int) -> Counters:
        """Return what a service has counted, as of the last sample."""
        return counters_of(self._points[-1][1], service) if self._points else Counters()

    def timings(self, service: int) -> ServiceTimings:
        """Return the timings of a service, as they were added up last."""
        return timings_of(self._timed[service][-1][1]) if self._timed[service] else ServiceTimings()

    def rates(self, service: int) -> Rates:
        """Return the totals of a service per second, over the last interval."""
        points = [Point(at, worker_totals(counters_of(packed, service))) for at, packed in self._points]
        return rates_between(*newest_two(points))

    def latency(self, service: int) -> Latency:
        """Return how long calls of `receive` took in a service, over the window."""
        return latency(self._window(service).receive)

    def time_shares(self, service: int, plugins: int) -> list[float | None]:
        """Return the share of each of its first plugins of the time that all spend on the loop, over the window."""
        work = self._window(service).work
        whole = sum(work)
        # One that has no time of its own has an unknown share.
        known = [round(each / whole, 4) if whole else None for each in work[:plugins]]
        return [*known, *[None] * (plugins - len(known))]

    def _add_timings(self, service: int, live: Sequence[tuple[ServicePages, int]], now: float) -> None:
        sums = self._timed[service]
        timed = (pages.timed(page, service) for pages, page in live)
        sums.append((now, sum(timed, self._ended.timed[service])))
        # The first one is as old as the window, or older.
        while len(sums) > 2 and now - sums[1][0] >= WINDOW * INTERVAL_SECONDS:
            sums.popleft()
        self._windows.pop(service, None)

    def _window(self, service: int) -> ServiceTimings:
        if service not in self._windows:
            last = self.timings(service)
            first = timings_of(self._timed[service][0][1]) if self._timed[service] else last
            receive, work = (
                histogram.difference(last.receive, first.receive),
                histogram.difference(last.work, first.work),
            )
            self._windows[service] = ServiceTimings(receive=receive, work=work)
        return self._windows[service]
