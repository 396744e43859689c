"""One host in the list of all hosts."""

from __future__ import annotations

from typing import TypedDict


class HostRow(TypedDict):
    """A host as `reactorhost ls` lists it; of one that does not answer, most is None."""

    name: str | None
    pid: int
    """0 in another pid namespace."""
    user: str
    """Name of the user that it runs as, or the number of a user without a name."""
    state: str | None
    """starting, running, leaving or stopping."""
    workers_ready: int | None
    workers_wanted: int | None
    connections: int | None
    uptime_seconds: float | None
    version: str | None
    run_dir: str
