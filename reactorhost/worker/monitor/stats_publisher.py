"""Publish a worker's counters, timings and lag on its page of the scoreboard, four times a second."""

from __future__ import annotations

import os
import resource
import time
from collections import deque
from collections.abc import Callable, Sequence

from reactorhost.ipc.scoreboard import Counters, Scoreboard
from reactorhost.reactor import Reactor
from reactorhost.worker.hooks.hook_timing import HookTiming

_INTERVAL_SECONDS = 0.25
_PUBLICATIONS_PER_SECOND = 4


class StatsPublisher:
    """The stats of this process.

    Messages only add to plain counters here; shared memory is written by a timer, not for every message. `on_published`
    is called by the same timer.

    Attributes:
        counters: plain attributes that every message adds to.
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
        self._stored_timings: tuple[int, int] | None = None

    def start(self, plugins: Sequence[str]) -> None:
        """Publish from now on, with timings for these plugins."""
        self._reactor.longest_turn = 0.0
        self.timing.start(plugins)
        self._publish()

    def store(self) -> None:
        """Write the current stats to the scoreboard."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self._lags.append(self._reactor.longest_turn)
        self._reactor.longest_turn = 0.0
        self.counters.tick = time.monotonic()
        self.counters.rss_peak_bytes = usage.ru_maxrss * 1024
        self.counters.cpu_seconds = usage.ru_utime + usage.ru_stime
        self.counters.lag_max_seconds = max(self._lags)
        self._scoreboard.write(self._page, self.counters)
        # Only when something was timed: packing a histogram for each plugin costs more than the counters.
        timings_key = (self.timing.calls, self.counters.hook_errors)
        if timings_key != self._stored_timings:
            self._stored_timings = timings_key
            self._scoreboard.write_timings(self._page, self.timing.timings())

    def _publish(self) -> None:
        self.store()
        # Each connection also calls `connect` and `close`.
        calls = self.counters.messages + 2 * self.counters.accepted
        self.timing.adjust((calls - self._calls) / _INTERVAL_SECONDS)
        self._calls = calls
        self._on_published()
        self._reactor.call_later(_INTERVAL_SECONDS, self._publish)
