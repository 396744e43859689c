"""Reports to other hosts which workers of this one have ended.

These see the end of their links at once; without the report, other hosts would list the members of a killed worker for
a `down_period`. One worker reports, the one with the smallest id. It waits a moment, because the one with the smallest
id may have just ended itself. Should the report be lost, the `down_period` is what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from reactorhost.bus.refs import Origin
from reactorhost.reactor import Reactor

REPORT_SECONDS = 0.1


class EndedPeers:
    """The workers of this host that have ended and are not reported yet.

    `others` returns the workers of this host that run, without this one; `report` is called with a worker that has
    ended, and whether it did so in order.
    """

    def __init__(
        self,
        own: Origin,
        reactor: Reactor,
        others: Callable[[], Iterable[Origin]],
        report: Callable[[Origin, bool], object],
    ) -> None:
        self._own = own
        self._reactor = reactor
        self._others = others
        self._report = report
        self._ended: dict[Origin, bool] = {}

    def add(self, worker: Origin, in_order: bool) -> None:
        """Report soon that a worker has ended, if that is up to this one."""
        if not self._ended:
            self._reactor.call_later(REPORT_SECONDS, self._report_all)
        self._ended[worker] = in_order

    def _report_all(self) -> None:
        ended, self._ended = self._ended, {}
        if all(self._own.worker < other.worker for other in self._others()):
            for worker, in_order in ended.items():
                self._report(worker, in_order)
