"""Reports to other hosts which workers of this one have ended.

These see the end of their links at once; without the report, other hosts would list the members of a killed worker for
a `down_period`. Of the workers that have seen the end, the one with the smallest id reports. It waits a moment, because
the one with the smallest id may have just ended itself. A report that cannot be sent is tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from reactorhost.bus.refs import Origin
from reactorhost.reactor import Reactor

REPORT_SECONDS = 0.1
RETRY_SECONDS = 1.0
MOST_WAITING = 1000
"""So many reports wait for the backend at most; for the others the `down_period` is what is left."""


@dataclass(frozen=True, slots=True)
class _End:
    """The end of a worker: whether it was in order, and which workers, without this one, have seen it."""

    in_order: bool
    seen_by: frozenset[Origin]


class EndedPeers:
    """The workers of this host that have ended and are not reported yet.

    `others` returns the workers of this host that run, without this one; `report` is called with a worker that has
    ended, and whether it did so in order, and returns whether that is sent.
    """

    def __init__(
        self,
        own: Origin,
        reactor: Reactor,
        others: Callable[[], Iterable[Origin]],
        report: Callable[[Origin, bool], bool],
    ) -> None:
        self._own = own
        self._reactor = reactor
        self._others = others
        self._report = report
        self._ended: dict[Origin, _End] = {}

    def add(self, worker: Origin, in_order: bool) -> None:
        """Report soon that a worker has ended, if that is up to this one."""
        if len(self._ended) < MOST_WAITING:
            self._schedule(REPORT_SECONDS)
            # The worker that replaces it is linked within the same moment, and has seen nothing.
            self._ended[worker] = _End(in_order, frozenset(self._others()))

    def _schedule(self, seconds: float) -> None:
        if not self._ended:
            self._reactor.call_later(seconds, self._report_all)

    def _report_all(self) -> None:
        ended, self._ended = self._ended, {}
        running = set(self._others())
        for worker, end in ended.items():
            first = all(self._own.worker < other.worker for other in end.seen_by & running)
            if first and not self._report(worker, end.in_order):
                self._schedule(RETRY_SECONDS)
                self._ended[worker] = end
