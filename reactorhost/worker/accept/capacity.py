"""Report to the master when this worker cannot accept, and when it can again; meanwhile another one serves its queue.

A worker at its limit has room and is full again with each connection that ends. The end of a pause is therefore
reported once a second at most, and not if the worker is full again by then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Report
from reactorhost.reactor import Reactor

_INTERVAL_SECONDS = 1.0


@dataclass(slots=True, eq=False, repr=False)
class CapacityReport:
    """Follows the pauses of the acceptor; `send_report` sends a report to the master."""

    reactor: Reactor
    send_report: Callable[[Message], object]
    _paused: bool = field(default=False, init=False)
    _reported: bool = field(default=False, init=False)

    def pause(self) -> None:
        """Report the pause, unless the last one still counts."""
        self._paused = True
        if not self._reported:
            self._report(True)
            self.reactor.call_later(_INTERVAL_SECONDS, self._check)

    def resume(self) -> None:
        """Let the next check report that there is room."""
        self._paused = False

    def _check(self) -> None:
        if self._paused:
            self.reactor.call_later(_INTERVAL_SECONDS, self._check)
        else:
            self._report(False)

    def _report(self, full: bool) -> None:
        self._reported = full
        self.send_report({"report": Report.FULL, "full": full})
