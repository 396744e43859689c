"""Limit log lines that clients can cause at any rate: some a second, then the number of those omitted."""

from __future__ import annotations

from reactorhost.logs import EventLog
from reactorhost.reactor import Reactor
from reactorhost.system.rate_limit import RateLimit

_MOST_A_SECOND = 5


class LimitedLines:
    """Admits five lines a second of each kind, and logs how many were not admitted."""

    def __init__(self, reactor: Reactor, log: EventLog) -> None:
        self._reactor = reactor
        self._log = log
        self._limit = RateLimit(_MOST_A_SECOND)
        self._waiting: set[tuple[object, ...]] = set()

    def admits(self, **kind: object) -> bool:
        """Count a line and return whether to log it; `kind` are fields to log with the number of the others."""
        key = tuple(kind.values())
        if self._limit.admits(self._reactor.now, key):
            return True
        if key not in self._waiting:
            self._waiting.add(key)
            self._reactor.call_later(1.0, self._log_suppressed, key, kind)
        return False

    def _log_suppressed(self, key: tuple[object, ...], kind: dict[str, object]) -> None:
        self._waiting.discard(key)
        self._log.warning("log_suppressed", **kind, count=self._limit.take_suppressed(key))
