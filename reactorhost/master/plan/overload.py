"""Overload: full workers get no new clients while another worker has room; if none has, clients are refused.

Only workers that may serve a service count for it: its clients are refused while all of them are full.

What waits at a full worker already is accepted by another one that adopts its listeners (adoption.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from reactorhost.master.plan.actions import Avoid, Refuse
from reactorhost.master.plan.service_limits import ServiceLimits
from reactorhost.master.plan.worker_table import WorkerState, WorkerTable


class Overload:
    """The slots that are steered around because their workers are full (`avoided`), and the workers that refuse."""

    def __init__(self, table: WorkerTable, limits: ServiceLimits) -> None:
        self._table = table
        self._limits = limits
        self.avoided: tuple[int, ...] = ()

    def decide(self) -> Iterator[Avoid | Refuse]:
        """Steer around full workers, and let them refuse the clients of services for which every worker is full."""
        ready = [worker for worker in self._table.workers.values() if worker.state is WorkerState.READY]
        some_accept = any(worker.accepts for worker in ready)
        avoided = tuple(sorted({worker.slot for worker in ready if worker.full})) if some_accept else ()
        if avoided != self.avoided:
            self.avoided = avoided
            yield Avoid(avoided)
        # A service that the lowest worker with room may not serve has none: limits count slots from 0.
        lowest = min((worker.slot for worker in ready if not worker.full), default=None)
        for worker in ready:
            refused = self._limits.services_of(worker.slot)
            if lowest is not None:
                refused -= self._limits.services_of(lowest)
            if worker.refuses != refused:
                worker.refuses = refused
                yield Refuse(worker.pid, tuple(sorted(refused)))
