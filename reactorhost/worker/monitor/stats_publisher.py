"""Publish a worker's counters, timings and lag on its page of the scoreboard.

This happens four times a second, and once a second while the worker is idle, at a whole second of the clock: timers
that are due at the same moment wake the process once. What wakes an idle worker brings the next publication forward.
"""

from __future__ import annotations

import os
import resource
from collections import deque
from collections.abc import Callable, Sequence

from reactorhost.ipc.counters import HEARTBEAT_SECONDS, Counters
from reactorhost.ipc.moments import Moment
from reactorhost.ipc.scoreboard import Scoreboard
from reactorhost.reactor import Reactor, TimerHandle
from reactorhost.reactor.timers import next_second
from reactorhost.worker.hooks.hook_timing import HookTiming
from reactorhost.worker.monitor.service_stats import ServiceStats

# What services count alone, because every message adds to it, or to one counter beside it.
_SUMMED = ("messages", "bytes_in", "bytes_out", "denied", "over_address_limit", "late_messages")
_PUBLICATIONS_PER_SECOND = 4
# The turn of the timer itself, and one of the watchdog.
_IDLE_TURNS = 2


class StatsPublisher:
    """The stats of this process.

    Messages only add to plain counters here; shared memory is written by a timer, not for every message. `on_published`
    is called by the same timer.

    Attributes:
        counters: those of the worker; what services count is added up when it is published.
        timing: times the hooks, all calls or a sample.
    """

    def __init__(
        self,
        reactor: Reactor,
        scoreboard: Scoreboard,
        page: int,
        set_timed: Callable[[bool], object],
        on_published: Callable[[], object],
    ) -> None:
        self.counters = Counters(pid=os.getpid())
        self.timing = HookTiming(reactor, set_timed)
        self._reactor = reactor
        self._scoreboard = scoreboard
        self._page = page
        self._on_published = on_published
        # Of one second: `status` shows the longest turn of about the last second, whenever it reads.
        self._lags: deque[float] = deque(maxlen=_PUBLICATIONS_PER_SECOND)
        self._calls = 0
        self._turns = 0
        self._next_at = 0.0
        self._sleeping = False
        self._timer: TimerHandle | None = None
        self._stored_timings: tuple[int, int] | None = None
        self._services: Sequence[ServiceStats] = ()

    def start(self, plugins: Sequence[str], services: Sequence[ServiceStats] = ()) -> None:
        """Publish from now on, with timings for these plugins, and what these services count."""
        self._services = services
        self._reactor.longest_turn = 0.0
        self.timing.start(plugins)
        self._publish()

    def store(self) -> None:
        """Write the current stats to the scoreboard."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self._lags.append(self._reactor.longest_turn)
        self._reactor.longest_turn = 0.0
        for name in _SUMMED:
            setattr(self.counters, name, sum(getattr(each.counters, name) for each in self._services))
        self.counters.tick = now = self._reactor.clock()
        self.counters.heartbeat = max(now, self._next_at - HEARTBEAT_SECONDS)
        self.counters.rss_peak_bytes = usage.ru_maxrss * 1024
        self.counters.cpu_seconds = usage.ru_utime + usage.ru_stime
        self.counters.lag_max_seconds = max(self._lags)
        self.counters.busy_seconds = self._reactor.busy_seconds
        services = self._scoreboard.services
        for position, service in enumerate(self._services):
            services.write_counters(self._page, position, service.counters)
        # Only when something was timed: packing a histogram for each plugin costs more than the counters.
        timings_key = (self.timing.calls, self.counters.hook_errors)
        if timings_key != self._stored_timings:
            self._stored_timings = timings_key
            self._scoreboard.write_timings(self._page, self.timing.timings())
            for position, service in enumerate(self._services):
                services.write_timings(self._page, position, service.timings)
        # Last: with these counts a reader finds the timings of as many calls.
        self._scoreboard.write(self._page, self.counters)

    def note_jobs(self, until: Moment) -> None:
        """Write now up to when the jobs of the host are started: the master reads it if this process crashes."""
        self.counters.jobs_until, self.counters.jobs_until_unix = until.monotonic, until.unix
        self._scoreboard.write(self._page, self.counters)

    def _publish(self) -> None:
        now = self._reactor.clock()
        turns, self._turns = self._reactor.turns - self._turns, self._reactor.turns
        idle = turns <= _IDLE_TURNS
        self._next_at = next_second(now) if idle else now + HEARTBEAT_SECONDS
        since = self.counters.tick
        self.store()
        # Each connection also calls `connect` and `close`.
        calls = self.counters.messages + 2 * self.counters.accepted
        self.timing.adjust((calls - self._calls) / max(HEARTBEAT_SECONDS, self.counters.tick - since))
        self._calls = calls
        self._on_published()
        self._timer = self._reactor.call_at(self._next_at, self._publish)
        if idle and not self._sleeping:
            self._sleeping = True
            self._reactor.call_when_woken(self._woken)

    def _woken(self, by_descriptor: bool) -> None:
        if not by_descriptor:
            # Timers of the host, above all. One of a plugin that blocks is noticed up to a second later.
            self._reactor.call_when_woken(self._woken)
            return
        self._sleeping = False
        now = self._reactor.clock()
        if self._timer is not None and now + HEARTBEAT_SECONDS < self._next_at:
            self._timer.cancel()
            self._next_at = now + HEARTBEAT_SECONDS
            self._timer = self._reactor.call_at(self._next_at, self._publish)
        # What has woken the worker may block it: the master counts from now.
        self.store()
