"""What one service of a worker counts and times, for the publisher."""

from __future__ import annotations

from dataclasses import dataclass, field

from reactorhost.ipc.counters import Counters
from reactorhost.ipc.service_pages import ServiceTimings


@dataclass(frozen=True, slots=True)
class ServiceStats:
    """The counters and timings of one service."""

    counters: Counters = field(default_factory=Counters)
    timings: ServiceTimings = field(default_factory=ServiceTimings)
