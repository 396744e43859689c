"""Requests to several workers: passes on their answers, and names the workers that did not answer in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from reactorhost.ipc.jsonlines import Message
from reactorhost.master.plan.worker_table import WorkerRecord
from reactorhost.master.workers.pool import WorkerPool
from reactorhost.reactor import Reactor, TimerHandle

TIMEOUT_SECONDS = 2.0
"""How long workers may take to answer, or to continue an answer."""

OnAnswer = Callable[[WorkerRecord, Message], object]
# Called with the workers that did not answer.
OnDone = Callable[[Sequence[WorkerRecord]], object]


@dataclass(slots=True)
class _Request:
    pending: dict[int, WorkerRecord]
    on_answer: OnAnswer
    on_done: OnDone
    timer: TimerHandle


@dataclass(slots=True)
class WorkerRequests:
    """All requests that wait for answers."""

    reactor: Reactor
    pool: WorkerPool
    _open: dict[int, _Request] = field(default_factory=dict)
    _last_number: int = 0

    def send(
        self,
        workers: Sequence[WorkerRecord],
        order: Message,
        on_answer: OnAnswer,
        on_done: OnDone,
        descriptors: Sequence[int] = (),
    ) -> None:
        """Send an order to these workers, and call `on_done` when all have answered or the time is up.

        An answer is a report with the field `request` of the order; with `last: false` more answers follow. An order
        that cannot be sent is answered with the field `error`.
        """
        self._last_number += 1
        number = self._last_number
        timer = self.reactor.call_later(TIMEOUT_SECONDS, self._finish, number)
        self._open[number] = _Request({worker.pid: worker for worker in workers}, on_answer, on_done, timer)
        for worker in workers:
            try:
                self.pool.order(worker.pid, {**order, "request": number}, descriptors)
            except OSError as error:
                # The master is at its limit of descriptors, and each one that is sent needs a duplicate.
                self.answered(worker.pid, {"request": number, "error": error.strerror})
        # Without workers no report comes that could end it.
        if not workers:
            self._finish(number)

    @property
    def idle(self) -> bool:
        """Whether none waits for an answer."""
        return not self._open

    def answered(self, pid: int, message: Message) -> None:
        """Pass on the answer of a worker; one that comes too late is dropped."""
        number = message["request"]
        request = self._open.get(number)
        if request is None or pid not in request.pending:
            return
        request.on_answer(request.pending[pid], message)
        if message.get("last", True):
            self._remove(number, pid)
        else:
            request.timer.cancel()
            request.timer = self.reactor.call_later(TIMEOUT_SECONDS, self._finish, number)

    def worker_ended(self, pid: int) -> None:
        """Expect no more answers of a worker."""
        for number in [number for number, request in self._open.items() if pid in request.pending]:
            self._remove(number, pid)

    def _remove(self, number: int, pid: int) -> None:
        del self._open[number].pending[pid]
        if not self._open[number].pending:
            self._finish(number)

    def _finish(self, number: int) -> None:
        request = self._open.pop(number)
        request.timer.cancel()
        request.on_done(tuple(request.pending.values()))
