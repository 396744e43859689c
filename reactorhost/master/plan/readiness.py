"""Whether new clients should be sent to the host, and why not.

Nothing here makes a system call or reads a clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reactorhost.errors import counted
from reactorhost.master.plan.planner import HostState, Planner
from reactorhost.master.plan.worker_table import WorkerRecord, WorkerState


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
        _services(planner),
    ]


def reasons(planner: Planner) -> list[str]:
    """Return a sentence for each condition that does not hold; none if the host is ready."""
    return failed(checks(planner))


def failed(found: Sequence[Check]) -> list[str]:
    """Return the sentences of the conditions that do not hold."""
    return [each.text for each in found if not each.holds]


def serving_slots(planner: Planner) -> int:
    """Return how many wanted slots have a ready worker whose loop turns."""
    return len(_slots(_serving(planner)))


def _slots(workers: Sequence[WorkerRecord]) -> set[int]:
    return {worker.slot for worker in workers}


def _serving(planner: Planner) -> list[WorkerRecord]:
    wanted = set(planner.scaling.wanted())
    return [
        worker
        for worker in planner.workers.values()
        # The loop of a silent one does not turn: it is ready for the master, but answers no client.
        if worker.state is WorkerState.READY and worker.slot in wanted and not worker.silent
    ]


def _workers(planner: Planner) -> list[Check]:
    serving = _serving(planner)
    slots, target = len(_slots(serving)), planner.scaling.target
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


def _services(planner: Planner) -> Check:
    """Return whether each service that only some workers may serve has one; `ready_min` is about the others."""
    serving = _slots(_serving(planner))
    limits = {service.name: planner.limits.of(service.name) for service in planner.settings.services}
    unserved = [
        f"service {name!r} is not served: {_absence(planner, limit)}"
        for name, limit in limits.items()
        if limit < planner.scaling.target and not any(slot < limit for slot in serving)
    ]
    return Check("services", not unserved, "; ".join(unserved) or "no service waits for a worker of its own")


def _absence(planner: Planner, limit: int) -> str:
    if limit > 1:
        return f"none of workers 0 to {limit - 1} serves"
    slot = planner.slots.get(0)
    status = "starting" if slot is None else slot.status
    state = {"ready": "does not respond", "backoff": "is in back-off"}.get(status, "is starting")
    return f"its only worker, worker 0, {state}"
