"""Listings: asks every worker for its connections, passes the rows on, and names whoever did not answer in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Order
from reactorhost.master.admin.control_server import Session
from reactorhost.master.plan.planner import WorkerRecord
from reactorhost.master.workers.pool import WorkerPool
from reactorhost.reactor import Reactor
from reactorhost.reactor import Timer as ReactorTimer

_PATIENCE_SECONDS = 2.0


@dataclass(slots=True)
class Listing:
    """One list on its way, and who still owes rows."""

    session: Session
    owing: dict[int, WorkerRecord]
    timer: ReactorTimer


@dataclass(slots=True)
class Listings:
    """All lists on their way."""

    reactor: Reactor
    pool: WorkerPool
    _open: dict[int, Listing] = field(default_factory=dict)
    _last_request: int = 0

    def ask(self, session: Session, members: Sequence[WorkerRecord]) -> None:
        """List the connections of these workers for a client of the control socket."""
        self._last_request += 1
        request = self._last_request
        timer = self.reactor.call_later(_PATIENCE_SECONDS, self._finish, request)
        self._open[request] = Listing(session, {member.pid: member for member in members}, timer)
        for member in members:
            self.pool.order(member.pid, {"order": Order.CONNECTIONS, "request": request})
        self._finish_if_complete(request)

    def rows(self, pid: int, request: int, rows: list[Message], *, last: bool) -> None:
        """Pass on some rows of a worker; too late, they are nobody's."""
        listing = self._open.get(request)
        if listing is None or pid not in listing.owing:
            return
        member = listing.owing[pid]
        listing.session.rows([{"slot": member.slot, "pid": pid, **row} for row in rows])
        if last:
            del listing.owing[pid]
            self._finish_if_complete(request)

    def gone(self, pid: int) -> None:
        """Expect nothing more of a worker that ended, and its connections with it."""
        for request in [request for request, listing in self._open.items() if pid in listing.owing]:
            del self._open[request].owing[pid]
            self._finish_if_complete(request)

    def _finish_if_complete(self, request: int) -> None:
        if not self._open[request].owing:
            self._open[request].timer.cancel()
            self._finish(request)

    def _finish(self, request: int) -> None:
        listing = self._open.pop(request)
        listing.session.done(unanswered=[{"slot": each.slot, "pid": each.pid} for each in listing.owing.values()])
