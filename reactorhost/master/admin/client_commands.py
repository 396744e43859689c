"""The verbs about clients of the host: list them, and disconnect one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reactorhost.errors import ReactorhostError, UsageError
from reactorhost.ipc.connection_query import ConnectionQuery, Row, add_to_group
from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Order
from reactorhost.master.admin.control_server import Session
from reactorhost.master.context import MasterContext
from reactorhost.master.plan.worker_table import WorkerRecord, WorkerState
from reactorhost.master.workers.requests import TIMEOUT_SECONDS

_LIST_HINT = "`reactorhost connections` lists the clients"
_SERVING = (WorkerState.READY, WorkerState.DRAINING, WorkerState.STOPPING)


@dataclass(frozen=True, slots=True)
class ClientCommands:
    """Passes requests about clients on to the workers that have them."""

    context: MasterContext

    def connections(self, session: Session, message: Message) -> None:
        """List connections."""
        query = ConnectionQuery.of(message)
        serving = [each for each in self.context.planner.workers.values() if _is_wanted(each, query)]
        beats, now = self.context.monitor.heartbeats(), self.context.reactor.now
        # One whose loop does not turn cannot answer. It is not sent the order either, which it would carry out in vain,
        # and several times, once it turns.
        turning = [each for each in serving if now - beats.get(each.pid, now) < TIMEOUT_SECONDS]
        reply = _Reply(session, query, {each.pid: each for each in serving}, self.context.planner.workers)
        order = {"order": Order.CONNECTIONS, "query": query.as_fields()}
        self.context.requests.send(turning, order, reply.answered, reply.done)

    def disconnect(self, session: Session, message: Message) -> None:
        """Close the connection `id` of the worker `pid`."""
        pid, number = (_number(message, name) for name in ("pid", "id"))
        worker = self.context.planner.workers.get(pid)
        if worker is None or worker.state not in _SERVING:
            raise ReactorhostError(f"no worker with process id {pid} serves", hint=_LIST_HINT)
        by_pid, by_uid, _ = session.line.peer()

        answers: list[Message] = []

        def done(silent: Sequence[WorkerRecord]) -> None:
            named = f"worker {worker.slot} (pid {pid})"
            if silent:
                what = f"{named} did not answer within {TIMEOUT_SECONDS:g} s"
                session.failed(ReactorhostError(what, hint="it closes the connection when its loop turns again"))
            elif not answers:
                session.failed(ReactorhostError(f"{named} ended before it answered", hint=_LIST_HINT))
            elif answers[0]["service"] is None:
                what = f"{named} has no connection {number}"
                session.failed(ReactorhostError(what, hint=f"it may have ended; {_LIST_HINT}"))
            else:
                service, peer = answers[0]["service"], answers[0]["peer"]
                self.context.log.info(
                    "client_disconnected",
                    slot=worker.slot,
                    pid=pid,
                    id=number,
                    service=service,
                    peer=peer,
                    by_pid=by_pid,
                    by_uid=by_uid,
                )
                session.done(service=service, peer=peer)

        order = {"order": Order.DISCONNECT, "id": number}
        self.context.requests.send([worker], order, lambda _, answer: answers.append(answer), done)


def _number(message: Message, name: str) -> int:
    value = message.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise UsageError(f"cannot disconnect {name} {value!r}", hint=f"give pid and id of a client; {_LIST_HINT}")
    return value


def _is_wanted(worker: WorkerRecord, query: ConnectionQuery) -> bool:
    is_selected = query.slot in (None, worker.slot) and query.pid in (None, worker.pid)
    return is_selected and worker.state in _SERVING


@dataclass(slots=True)
class _Reply:
    """The reply to one request: passes all rows on at once, or the first ones of all workers at the end."""

    session: Session
    query: ConnectionQuery
    unanswered: dict[int, WorkerRecord]
    workers: Mapping[int, WorkerRecord]
    rows: list[Row] = field(default_factory=list)
    matched: int = 0
    total: int = 0

    def answered(self, worker: WorkerRecord, answer: Message) -> None:
        if "matched" not in answer:
            # An earlier version, which sends all rows: during an upgrade its workers count as unanswered.
            return
        if self.query.group is not None:
            self.rows += answer["rows"]
        else:
            rows = [{"slot": worker.slot, "pid": worker.pid, **row} for row in answer["rows"]]
            if self.query.limit is None:
                self.session.rows(rows)
            else:
                self.rows += rows
        if answer["last"]:
            self.matched += answer["matched"]
            self.total += answer["total"]
            del self.unanswered[worker.pid]

    def done(self, silent: Sequence[WorkerRecord]) -> None:
        rows = self.rows if self.query.group is None else _merged(self.rows, self.query.group.value)
        count = len(rows)
        rows = self.query.ordered(rows)
        if rows:
            self.session.rows(rows)
        self.session.done(
            unanswered=[
                {"slot": each.slot, "pid": pid} for pid, each in self.unanswered.items() if pid in self.workers
            ],
            matched=self.matched,
            total=self.total,
            groups=None if self.query.group is None else count,
        )


def _merged(rows: Sequence[Row], name: str) -> list[Row]:
    """Return one row for each group, where several workers have returned one."""
    merged: dict[str, Row] = {}
    for row in rows:
        if row[name] in merged:
            add_to_group(merged[row[name]], row)
        else:
            merged[row[name]] = row
    return list(merged.values())
