"""Overload: full workers get no new clients while another worker has room; if none has, clients are refused.

What waits at a full worker already is accepted by another one that adopts its listeners (adoption.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from reactorhost.master.plan.actions import Avoid, Refuse
from reactorhost.master.plan.worker_table import WorkerState, WorkerTable


class Overload:
    """The slots that are steered around because their workers are full, and the workers that refuse."""

    def __init__(self, table: WorkerTable) -> None:
        self._table = table
        self._avoided: tuple[int, ...] = ()

    def decide(self) -> Iterator[Avoid | Refuse]:
        """Steer around full workers, and let them refuse clients exactly while every ready worker is full."""
        ready = [worker for worker in self._table.workers.values() if worker.state is WorkerState.READY]
        some_accept = any(worker.accepts for worker in ready)
        avoided = tuple(sorted({worker.slot for worker in ready if worker.full})) if some_accept else ()
        if avoided != self._avoided:
            self._avoided = avoided
            yield Avoid(avoided)
        refuses = all(worker.full for worker in ready)
        for worker in ready:
            if worker.refuses is not refuses:
                worker.refuses = refuses
                yield Refuse(worker.pid, refuses)
