"""What each service of a worker has counted."""

from __future__ import annotations

from collections.abc import Sequence

from reactorhost.ipc.messages import Values
from reactorhost.worker.service import RunningService


class ServiceCounts:
    """The counters and gauges of services, as `MetricsReport` reports them."""

    def __init__(self, services: Sequence[RunningService]) -> None:
        self._services = services

    def counted(self) -> dict[str, Values]:
        """Return how many clients each service has accepted."""
        return {each.name: {"accepted": each.context.accepted} for each in self._services}

    def gauged(self, now: float) -> dict[str, Values]:
        """Return how many connections each service has, pending handshakes included."""
        return {
            each.name: {"connections": len(each.transports) + len(each.pending_handshakes)} for each in self._services
        }
