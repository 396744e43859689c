"""The status document: what the master tells of a host, the same to `status`, `top`, and any program that asks."""

from __future__ import annotations

from typing import TypedDict

SCHEMA = 1


class PluginStatus(TypedDict):
    """A plugin as the workers loaded it; `distribution` and `version` are None for a file or a module."""

    name: str
    distribution: str | None
    version: str | None


class ServiceStatus(TypedDict):
    """One service: the addresses that are bound, and its plugins in calling order."""

    name: str
    addresses: list[str]
    plugins: list[PluginStatus]


class Totals(TypedDict):
    """Sums over all workers, those that ended included; `connections` are open now."""

    connections: int
    accepted: int
    messages: int
    bytes_in: int
    bytes_out: int
    hook_errors: int


class WorkerStatus(Totals):
    """One worker process. Seconds are counted to the moment of the document."""

    slot: int
    pid: int
    generation: int
    state: str
    """starting, ready, draining or stopping."""
    uptime_seconds: float
    state_seconds: float
    """Time in this state."""
    deadline_seconds: float | None
    """Time until the master loses patience with this state."""
    tick_age_seconds: float | None
    """Age of the worker's last sign of life."""
    rss_bytes: int | None
    adopted_slots: list[int]
    """Other slots whose listeners it serves."""


class SlotStatus(TypedDict):
    """One place for a worker."""

    slot: int
    state: str
    """ready, starting, backoff (waits before the next try), or leaving (no worker wanted, listeners still served)."""
    restarts: int
    """Unexpected ends of its workers."""
    retry_seconds: float | None
    """Time until the next try, in back-off."""
    adopted_by: int | None
    """Process id of the neighbour that serves its listeners."""
    last_exit: str | None


class StatusDocument(TypedDict):
    """A host at one moment."""

    schema: int
    version: str
    name: str
    pid: int
    state: str
    """starting, running or stopping."""
    generation: int
    started_at: float
    """Unix time in seconds."""
    uptime_seconds: float
    daemon: bool
    run_dir: str
    pid_file: str
    log_file: str | None
    config_file: str | None
    backlog: int
    """Connections that each listening socket queues at most, as the kernel gave it."""
    workers_wanted: int
    workers_ready: int
    reloading: bool
    services: list[ServiceStatus]
    totals: Totals
    slots: list[SlotStatus]
    workers: list[WorkerStatus]
