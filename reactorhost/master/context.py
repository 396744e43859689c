"""The parts of a master, as all of them see each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from reactorhost.master.listen.listeners import Listeners
from reactorhost.master.plan.planner import Planner
from reactorhost.master.stats.bus_monitor import BusMonitor
from reactorhost.master.stats.events import EventRing
from reactorhost.master.stats.monitor import Monitor
from reactorhost.master.stats.shared_counters import SharedCounterRows
from reactorhost.master.workers.introductions import Introductions
from reactorhost.master.workers.pool import WorkerPool
from reactorhost.master.workers.requests import WorkerRequests
from reactorhost.reactor import Reactor


@dataclass(frozen=True, slots=True)
class MasterContext:
    """What the supervisor, the lifecycle, requests and the status document work on.

    `problems` says what is wrong now with files of the host that others removed or replaced. `admin` has the addresses
    of the HTTP endpoint, as it was bound.
    """

    reactor: Reactor
    log: EventRing
    listeners: Listeners
    planner: Planner
    pool: WorkerPool
    monitor: Monitor
    requests: WorkerRequests
    introductions: Introductions
    shared_counters: SharedCounterRows
    bus: BusMonitor
    problems: dict[Path, str] = field(default_factory=dict)
    admin: list[str] = field(default_factory=list)
