"""Leadership: which worker of the host leads, at most one at any moment.

VACANT -> HELD when a worker is appointed      HELD -> VACANT when it reported that it stopped leading, or has ended

A worker leads from its appointment on. Nothing but its own report or its end, seen by `wait`, makes room for another
one: an order to leave does not, nor a loop that stands still, because such a worker may continue at any moment. The
host is without a leader rather than with two. A leader that hangs is ended after `stall_timeout`, one that does not
finish its `leader_stop` when its time to drain is over.

The leader stays while it serves, whichever workers start beside it: each change interrupts what it does.

Reports and orders cross. A worker that leaves already when it is appointed reports that it does not lead, and is not
appointed again, since a worker never returns from leaving. A report of a worker that does not lead any more changes
nothing; those of a process that was reaped are not delivered (workers/pool.py).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reactorhost.ipc.moments import Moment
from reactorhost.master.plan.actions import Lead
from reactorhost.master.plan.worker_table import WorkerState, WorkerTable


class LeadershipState(enum.Enum):
    """Whether a worker leads."""

    VACANT = "vacant"
    HELD = "held"


class LeadershipEvent(enum.Enum):
    """What changes it."""

    APPOINT = "appoint"
    VACATE = "vacate"


TRANSITIONS: Mapping[tuple[LeadershipState, LeadershipEvent], LeadershipState] = {
    (LeadershipState.VACANT, LeadershipEvent.APPOINT): LeadershipState.HELD,
    (LeadershipState.HELD, LeadershipEvent.VACATE): LeadershipState.VACANT,
}


@dataclass(frozen=True, slots=True)
class LeadershipRecord:
    """The leader, as another program gets it: see `Leadership`."""

    state: LeadershipState
    since: Moment
    pid: int
    why: str


class Leadership:
    """The leader of a host.

    Attributes:
        since: up to this moment the jobs of the host, which only the leader runs, have been started.
    """

    def __init__(self, table: WorkerTable, since: Moment) -> None:
        self.state = LeadershipState.VACANT
        self.since = since
        self._table = table
        self._pid = 0
        self._why = "it is the first"

    def export(self) -> LeadershipRecord:
        """Return the state, for another program."""
        return LeadershipRecord(self.state, self.since, self._pid, self._why)

    def restore(self, record: LeadershipRecord) -> None:
        """Continue from the state that another program had."""
        self.state, self.since, self._pid, self._why = record.state, record.since, record.pid, record.why

    def leads(self, pid: int) -> bool:
        """Say whether this worker is the leader."""
        return self.state is LeadershipState.HELD and self._pid == pid

    def decide(self) -> Iterator[Lead]:
        """Appoint a worker if none leads: of the newest generation, that of the lowest slot."""
        if self.state is LeadershipState.HELD:
            return
        candidates = [
            worker
            for worker in self._table.workers.values()
            # With a deadline it is about to be ordered to drain. A silent one would not begin to lead.
            if worker.state is WorkerState.READY and worker.deadline is None and not (worker.silent or worker.resigned)
        ]
        chosen = min(candidates, key=lambda worker: (-worker.generation, worker.slot), default=None)
        if chosen is not None:
            self._apply(LeadershipEvent.APPOINT)
            self._pid = chosen.pid
            yield Lead(chosen.pid, self.since, self._why)

    def stepped_down(self, pid: int, until: Moment) -> None:
        """Record that a worker does not lead, or does not any more; up to `until` it has started the host's jobs."""
        worker = self._table.workers.get(pid)
        if worker is not None:
            worker.resigned = True
        self.note_progress(pid, until)
        self._vacate(pid, f"pid {pid} stepped down")

    def note_progress(self, pid: int, until: Moment) -> None:
        """Record up to when a worker has started the host's jobs; the page of one that crashed has it."""
        # A worker that was appointed and crashed before it knew has stored nothing.
        if self.leads(pid) and until.monotonic > self.since.monotonic:
            self.since = until

    def worker_ended(self, pid: int) -> None:
        """Record that a process was reaped."""
        self._vacate(pid, f"pid {pid} ended")

    def _vacate(self, pid: int, why: str) -> None:
        if self.leads(pid):
            self._apply(LeadershipEvent.VACATE)
            self._why = why

    def _apply(self, event: LeadershipEvent) -> None:
        self.state = TRANSITIONS[self.state, event]
