"""The bus of all workers: sums, rates, and the state of the connection to other machines."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from reactorhost.bus.backend import BackendState
from reactorhost.ipc.counters import Counters
from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.status import BackendStatus, BusStatus
from reactorhost.master.stats.events import EventRing
from reactorhost.master.stats.samples import per_second
from reactorhost.master.workers.pool import WorkerPool
from reactorhost.system.rate_limit import RateLimit

_SECONDS_BETWEEN_EVENTS = 10.0

_WORST_FIRST = (BackendState.DOWN, BackendState.CONNECTING, BackendState.UP)


@dataclass(frozen=True, slots=True)
class BusTotals:
    """The figures of one worker or of all at one moment."""

    at: float
    groups: int
    members: int
    messages_in: int
    messages_out: int
    dropped: int

    @property
    def used(self) -> bool:
        """Whether one of them is not 0."""
        return any((self.groups, self.members, self.messages_in, self.messages_out, self.dropped))


@dataclass(frozen=True, slots=True)
class BusReading:
    """What the status says of the bus at one moment; `workers` by process id."""

    host: BusStatus
    workers: Mapping[int, BusStatus]


@dataclass(frozen=True, slots=True)
class BusMonitorState:
    """What another program needs: see `BusMonitor`."""

    used: bool
    backends: dict[int, tuple[BackendState, str]]
    logged: BackendState
    dropped: int


class BusMonitor:
    """Samples the workers' figures once a second, and records what they report of their backends.

    `past` are the counters of the workers that ended, added up.
    """

    def __init__(self, pool: WorkerPool, past: Counters, log: EventRing) -> None:
        self._pool = pool
        self._past = past
        self._log = log
        self._used = False
        # By process id; of the host with None.
        self._points: dict[int | None, deque[BusTotals]] = {}
        self._backends: dict[int, tuple[BackendState, str]] = {}
        self._logged = BackendState.CONNECTING
        self._lines = RateLimit(1, _SECONDS_BETWEEN_EVENTS)
        self._dropped = 0

    def export(self) -> BusMonitorState:
        """Return what workers have reported, for another program."""
        return BusMonitorState(self._used, dict(self._backends), self._logged, self._dropped)

    def restore(self, state: BusMonitorState) -> None:
        """Continue with what another program was reported."""
        self._used, self._backends = state.used, dict(state.backends)
        self._logged, self._dropped = state.logged, state.dropped

    def sample(self) -> None:
        """Take the sample of this second."""
        now = self._pool.reactor.now
        points = self._totals(now, {pid: self._pool.counters(pid) for pid in self._pool.pids()})
        if not self._used:
            return
        for which, totals in points.items():
            self._points.setdefault(which, deque(maxlen=2)).append(totals)
        for ended in self._points.keys() - points.keys():
            del self._points[ended]
        for ended in self._backends.keys() - points.keys():
            del self._backends[ended]
        self._note_drops(points[None], now)

    def backend_changed(self, pid: int, message: Message) -> None:
        """Record the state of a worker's connection to other machines, and log that of the host if it differs."""
        self._used = True
        self._backends[pid] = (BackendState(message["state"]), str(message["reason"]))
        worst = self._worst()
        # A new worker connects first, which is no news; nor is it that the first ones are connected.
        if worst is None or worst[0] in (BackendState.CONNECTING, self._logged):
            return
        state, reason = worst
        before, self._logged = self._logged, state
        if state is BackendState.DOWN:
            self._log.warning("bus_backend_down", reason=reason)
        elif before is BackendState.DOWN:
            self._log.info("bus_backend_up")

    def read(self, url: str | None, counters: Mapping[int, Counters]) -> BusReading | None:
        """Return the figures, with the setting `bus_url`; None if no worker of the host has ever used the bus.

        `counters` are those of all workers, by process id.
        """
        points = self._totals(self._pool.reactor.now, counters)
        if not self._used:
            return None
        workers = {
            pid: self._status(pid, totals, url, self._backends.get(pid))
            for pid, totals in points.items()
            if pid is not None
        }
        return BusReading(self._status(None, points[None], url, self._worst()), workers)

    def _totals(self, now: float, workers: Mapping[int, Counters]) -> Mapping[int | None, BusTotals]:
        """Return the figures of each worker, and with None those of the host; of the host only before the first use."""
        host = _totals(now, self._past, *workers.values())
        # For good: a bus that is idle now is shown with its totals.
        self._used = self._used or host.used
        return {None: host, **({pid: _totals(now, each) for pid, each in workers.items()} if self._used else {})}

    def _worst(self) -> tuple[BackendState, str] | None:
        live = [each for pid, each in self._backends.items() if pid in self._pool.pids()]
        return min(live, key=lambda each: _WORST_FIRST.index(each[0]), default=None)

    def _note_drops(self, totals: BusTotals, now: float) -> None:
        # A worker has logged of which topics and groups; here it is for the events of the status document.
        count = totals.dropped - self._dropped
        if count > 0 and self._lines.admits(now):
            self._dropped = totals.dropped
            self._log.remember("warning", "bus_messages_dropped", count=count)

    def _status(
        self, which: int | None, totals: BusTotals, url: str | None, backend: tuple[BackendState, str] | None
    ) -> BusStatus:
        points = self._points.get(which, ())
        before, after = (points[0], points[-1]) if points else (totals, totals)
        seconds = after.at - before.at
        return {
            "groups": totals.groups,
            "members": totals.members,
            "messages_in": totals.messages_in,
            "messages_out": totals.messages_out,
            "dropped": totals.dropped,
            "in_per_second": per_second(after.messages_in - before.messages_in, seconds),
            "out_per_second": per_second(after.messages_out - before.messages_out, seconds),
            "dropped_per_second": per_second(after.dropped - before.dropped, seconds),
            "backend": None if url is None or backend is None else _backend(url, *backend),
        }


def shown_url(url: str) -> str:
    """Return a URL without user, password and query."""
    scheme, _, rest = url.partition("://")
    # The last @: a password may contain one, and also a / that is not encoded.
    place = rest.rpartition("@")[2].partition("?")[0].partition("#")[0]
    return f"{scheme}://{place}"


def _backend(url: str, state: BackendState, reason: str) -> BackendStatus:
    return {"url": shown_url(url), "state": state.value, "reason": reason or None}


def _totals(now: float, *counters: Counters) -> BusTotals:
    return BusTotals(
        now,
        sum(each.bus_groups for each in counters),
        sum(each.bus_members for each in counters),
        sum(each.bus_in for each in counters),
        sum(each.bus_out for each in counters),
        sum(each.bus_dropped for each in counters),
    )
