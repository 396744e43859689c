"""Lists of connections: collects the rows of every worker, and names the workers that did not send theirs in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Order
from reactorhost.master.plan.worker_table import WorkerRecord
from reactorhost.master.workers.pool import WorkerPool
from reactorhost.reactor import Reactor, TimerHandle

_TIMEOUT_SECONDS = 2.0


class RowReceiver(Protocol):
    """The client that requested a list."""

    def rows(self, rows: list[Message]) -> None:
        """Receive some rows."""

    def done(self, **result: object) -> None:
        """Receive the end: `unanswered` has the workers whose rows are missing."""


@dataclass(slots=True)
class _List:
    receiver: RowReceiver
    pending: dict[int, WorkerRecord]
    timer: TimerHandle


@dataclass(slots=True)
class ConnectionLists:
    """All lists that are being collected."""

    reactor: Reactor
    pool: WorkerPool
    _open: dict[int, _List] = field(default_factory=dict)
    _last_request: int = 0

    def request(self, receiver: RowReceiver, workers: Sequence[WorkerRecord]) -> None:
        """List the connections of these workers."""
        self._last_request += 1
        request = self._last_request
        timer = self.reactor.call_later(_TIMEOUT_SECONDS, self._finish, request)
        self._open[request] = _List(receiver, {worker.pid: worker for worker in workers}, timer)
        for worker in workers:
            self.pool.order(worker.pid, {"order": Order.CONNECTIONS, "request": request})
        # Without workers no report comes that could end it.
        if not workers:
            self._finish(request)

    def add_rows(self, pid: int, message: Message) -> None:
        """Pass on rows of a worker; those that come after the timeout are dropped."""
        request = message["request"]
        collected = self._open.get(request)
        if collected is None or pid not in collected.pending:
            return
        worker = collected.pending[pid]
        collected.receiver.rows([{"slot": worker.slot, "pid": pid, **row} for row in message["rows"]])
        if message["last"]:
            self._remove(request, pid)

    def worker_ended(self, pid: int) -> None:
        """Expect no more rows of a worker: its connections ended with it."""
        for request in [request for request, collected in self._open.items() if pid in collected.pending]:
            self._remove(request, pid)

    def _remove(self, request: int, pid: int) -> None:
        del self._open[request].pending[pid]
        if not self._open[request].pending:
            self._finish(request)

    def _finish(self, request: int) -> None:
        collected = self._open.pop(request)
        collected.timer.cancel()
        unanswered = [{"slot": each.slot, "pid": each.pid} for each in collected.pending.values()]
        collected.receiver.done(unanswered=unanswered)
