"""The bus of a worker that starts: the worker is READY when it knows the members of the other workers.

Its first client may request a member of another worker, such as one that drains in a reload. The worker begins the bus
itself if another one uses it, whatever its plugins have done in `worker_start`. It waits for what the others send, but
not for long: one of them may be stopped or blocked, and members that come later are known when they come.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from reactorhost.logs import EventLog
from reactorhost.reactor import Reactor, TimerHandle
from reactorhost.worker.bus.bus import Bus

MOST_SECONDS = 1.0
MOST_BOOT_SHARE = 0.1
"""A short `boot_timeout` must not pass because of another worker."""


@dataclass(slots=True, eq=False)
class BusStart:
    """Calls `on_ready` once, when the worker may report READY.

    Attributes:
        used: whether other workers use the bus.
    """

    bus: Bus
    reactor: Reactor
    log: EventLog
    boot_timeout: float
    used: bool
    on_ready: Callable[[], object]
    _timer: TimerHandle | None = field(default=None, init=False)

    def begin(self) -> None:
        """Begin the bus if it is used; called from inside the loop, after `worker_start`."""
        if self.used:
            self.bus.begin()
        if not self.bus.awaits_members:
            self.on_ready()
            return
        seconds = min(MOST_SECONDS, MOST_BOOT_SHARE * self.boot_timeout)
        self._timer = self.reactor.call_later(seconds, self._expired, seconds)
        self.bus.on_introduced = self._introduced

    def _introduced(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self.on_ready()

    def _expired(self, seconds: float) -> None:
        self._timer = None
        self.log.info("bus_members_missing", seconds=seconds)
        self.on_ready()
