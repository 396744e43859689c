"""What a stop waits for: connections, workers, and the worker or the client that is silent for longest."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from reactorhost.errors import counted
from reactorhost.ipc.connection_query import ConnectionQuery, Row, Sort
from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Order
from reactorhost.master.context import MasterContext
from reactorhost.master.plan.planner import HostState
from reactorhost.master.plan.worker_table import WorkerRecord, WorkerState
from reactorhost.system import procfs

_MOST_CONNECTIONS = 1000
"""With more, one client does not matter, and comparing them costs the workers time."""

_ORDER = {"order": Order.CONNECTIONS, "query": ConnectionQuery(sort=Sort.IDLE, limit=1).as_fields()}


class StopReport(NamedTuple):
    """How far a stop is."""

    text: str
    waits_for: str
    """The worker or the client that is waited for, or nothing."""
    connections: int
    workers: int
    seconds: float
    """The time that is left."""
    held: bool = False
    """Whether nothing but plugins keeps some of the workers."""


@dataclass(slots=True)
class StopProgress:
    """Reports how far a stop is. Each report requests from the workers the client that the next one names."""

    context: MasterContext
    _client: Row | None = None
    _waits: bool = False
    _found: list[Row] = field(default_factory=list)

    def report(self) -> StopReport:
        """Return how far the stop is now."""
        planner, now = self.context.planner, time.monotonic()
        connections, workers = self.context.pool.connections(), len(planner.workers)
        seconds = planner.stopping.seconds_left(now)
        # A worker whose loop does not turn holds all its clients, and does not answer with one of them.
        waits_for = self._silent_worker(now)
        if not waits_for and self._client is not None and connections:
            waits_for = _described(self._client)
        # With a name too, the line has to fit on a terminal of 80 columns.
        where = "" if waits_for else f" on {counted(workers, 'worker')}"
        text = f"{counted(connections, 'connection')} open{where}, at most {seconds:.0f} s left"
        held = {str(hold): None for worker in planner.workers.values() for hold in worker.holds}
        if held:
            # Without connections the reason is what matters, and a line is cut at the end.
            text = f"{text if connections else f'at most {seconds:.0f} s left'}, {', '.join(held)}"
        if planner.state is HostState.LEAVING:
            text = f"clients are accepted for {planner.stopping.delay_left(now):.0f} s more; {text}"
        elif 0 < connections <= _MOST_CONNECTIONS:
            self._request()
        return StopReport(text, waits_for, connections, workers, round(seconds, 1), bool(held))

    def _silent_worker(self, now: float) -> str:
        pool = self.context.pool
        silent = [worker for worker in self.context.planner.workers.values() if worker.silent]
        if not silent:
            return ""
        worker = min(silent, key=lambda each: pool.counters(each.pid).heartbeat)
        seconds = now - pool.counters(worker.pid).heartbeat
        text = f"worker {worker.slot} silent for {seconds:.0f} s"
        if procfs.state(worker.pid) == "stopped":
            return f"{text}, stopped by a signal"
        stall = pool.stall(worker.pid)
        return f"{text} in {stall}" if stall is not None else text

    def _request(self) -> None:
        if self._waits:
            return
        self._waits = True
        left = (WorkerState.DRAINING, WorkerState.STOPPING)
        workers = [
            worker for worker in self.context.planner.workers.values() if worker.state in left and not worker.silent
        ]
        self._found = []
        self.context.requests.send(workers, _ORDER, self._answered, self._done)

    def _answered(self, worker: WorkerRecord, answer: Message) -> None:
        # One with an error has none.
        self._found += answer.get("rows", ())

    def _done(self, silent: Sequence[WorkerRecord]) -> None:
        self._waits = False
        self._client = max(self._found, key=lambda row: row["idle_seconds"], default=None)


def _described(client: Row) -> str:
    peer, idle_seconds = client["peer"], client["idle_seconds"]
    if client["state"] == "lingering":
        return f"{peer} does not close its side"
    if client["state"] == "flushing" or client["queued_bytes"]:
        return f"{peer} has {counted(client['queued_bytes'], 'byte')} to receive"
    return f"{peer} idle for {idle_seconds:.0f} s" if idle_seconds >= 1 else f"{peer} is active"
