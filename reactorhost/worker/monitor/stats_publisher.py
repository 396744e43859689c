"""What a worker tells of itself: counts, timings and lag, stored on its page of the scoreboard."""

from __future__ import annotations

import os
import resource
import time
from collections import deque
from collections.abc import Callable, Sequence

from reactorhost.ipc.scoreboard import Counters, Scoreboard
from reactorhost.reactor import Reactor
from reactorhost.worker.hooks.hook_timing import HookTiming

_PUBLISH_SECONDS = 0.25
_PUBLICATIONS_A_SECOND = 4


class StatsPublisher:
    """The figures of this process.

    Attributes:
        tally: plain counters that every message adds to.
        stopwatch: times the hooks of some turns.
    """

    def __init__(
        self, reactor: Reactor, scoreboard: Scoreboard, page: int, set_timed: Callable[[bool], object]
    ) -> None:
        self.counters = Counters(pid=os.getpid())
        self.timing = HookTiming(reactor, set_timed)
        self._reactor = reactor
        self._scoreboard = scoreboard
        self._page = page
        self._lags: deque[float] = deque(maxlen=_PUBLICATIONS_A_SECOND)
        self._calls = 0
        self._stored_timings: tuple[int, int] | None = None

    def start(self, plugins: Sequence[str]) -> None:
        """Store the figures from now on a few times a second, with timings for these plugins."""
        self._reactor.longest_turn = 0.0
        self.timing.start(plugins)
        self._publish()

    def store(self) -> None:
        """Store the figures of this moment."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        self._lags.append(self._reactor.longest_turn)
        self._reactor.longest_turn = 0.0
        self.counters.tick = time.monotonic()
        self.counters.rss_peak_bytes = used.ru_maxrss * 1024
        self.counters.cpu_seconds = used.ru_utime + used.ru_stime
        self.counters.lag_max_seconds = max(self._lags)
        self._scoreboard.write(self._page, self.counters)
        # Packing a histogram for each plugin costs more than the counters: only when something was timed.
        mark = (self.timing.calls, self.counters.hook_errors)
        if mark != self._stored_timings:
            self._stored_timings = mark
            self._scoreboard.write_timings(self._page, self.timing.timings())

    def _publish(self) -> None:
        self.store()
        # Each connection calls connect and close too.
        calls = self.counters.messages + 2 * self.counters.accepted
        self.timing.adjust((calls - self._calls) / _PUBLISH_SECONDS)
        self._calls = calls
        self._reactor.call_later(_PUBLISH_SECONDS, self._publish)
