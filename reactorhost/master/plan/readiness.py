"""Whether new clients should be sent to the host, and why not.

Nothing here makes a system call or reads a clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reactorhost.errors import counted
from reactorhost.master.plan.planner import HostState, Planner
from reactorhost.master.plan.worker_table import WorkerState


@dataclass(frozen=True, slots=True)
class Check:
    """One condition, which has to hold for the host to be ready; `text` is a sentence about how it is now."""

    name: str
    holds: bool
    text: str


def checks(planner: Planner) -> list[Check]:
    """Return the conditions, in the order in which they are reported."""
    starting = planner.state is HostState.STARTING
    stopping = planner.state in (HostState.LEAVING, HostState.STOPPING)
    return [
        Check("start", not starting, "the host is starting" if starting else "the host has started"),
        Check("stop", not stopping, "the host is being stopped" if stopping else "the host is not being stopped"),
        *_workers(planner),
    ]


def reasons(planner: Planner) -> list[str]:
    """Return a sentence for each condition that does not hold; none if the host is ready."""
    return failed(checks(planner))


def failed(found: Sequence[Check]) -> list[str]:
    """Return the sentences of the conditions that do not hold."""
    return [each.text for each in found if not each.holds]


def _workers(planner: Planner) -> list[Check]:
    wanted = set(planner.scaling.wanted())
    serving = [
        worker
        for worker in planner.workers.values()
        # The loop of a silent one does not turn: it is ready for the master, but answers no client.
        if worker.state is WorkerState.READY and worker.slot in wanted and not worker.silent
    ]
    slots, target = len({worker.slot for worker in serving}), planner.scaling.target
    # More than there are can never serve: then all are needed.
    needed = min(planner.settings.ready_min, target)
    text = f"{slots} of {counted(target, 'worker')} serve{'s' if slots == 1 else ''}"
    if slots < needed:
        text += f", and {needed} {'is' if needed == 1 else 'are'} needed (ready_min)"
    full = bool(serving) and all(worker.full for worker in serving)
    room = "every worker is full: it has max_connections connections, or no descriptors left"
    return [
        Check("workers", slots >= needed, text),
        Check("room", not full, room if full else "a worker has room for clients" if serving else "no worker is full"),
    ]
