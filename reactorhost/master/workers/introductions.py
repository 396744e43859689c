"""Introduces the workers that use the bus to each other: each pair gets the two ends of a pair of connected sockets.

When one worker has used the bus, all begin to: those that run by an order, and those that are forked later by
themselves. So no worker finds at its own first use that it does not know the members of the others yet. A host that
does not use the bus has no links.

The master keeps neither end. A pair for which descriptors are lacking, here or in a worker, is tried again each second.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field

from reactorhost.ipc.jsonlines import Message
from reactorhost.ipc.messages import Order, Report
from reactorhost.logs import EventLog
from reactorhost.master.workers.pool import WorkerPool
from reactorhost.reactor import Reactor

RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class IntroductionsState:
    """The workers that use the bus, in the order of their first use, and the pairs without sockets."""

    users: tuple[int, ...]
    missing: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class Introductions:
    """The workers that use the bus, in the order of their first use, and the pairs that have no sockets yet."""

    reactor: Reactor
    pool: WorkerPool
    log: EventLog
    _users: dict[int, None] = field(default_factory=dict)
    _missing: dict[tuple[int, int], None] = field(default_factory=dict)
    _retrying: bool = False

    def __post_init__(self) -> None:
        self.pool.on(Report.USES_BUS, self._uses_bus)
        self.pool.on(Report.NOT_INTRODUCED, self._not_introduced)

    def export(self) -> IntroductionsState:
        """Return the workers and pairs, for another program."""
        return IntroductionsState(tuple(self._users), tuple(self._missing))

    def restore(self, state: IntroductionsState) -> None:
        """Continue with the workers and pairs that another program had."""
        self._users = dict.fromkeys(state.users)
        for pair in state.missing:
            self._retry_later(*pair)

    @property
    def bus_used(self) -> bool:
        """Whether a worker uses the bus."""
        return bool(self._users)

    def worker_ended(self, pid: int) -> None:
        """Introduce a worker to no other any more."""
        self._users.pop(pid, None)
        self._missing = {pair: None for pair in self._missing if pid not in pair}

    def _uses_bus(self, pid: int, message: Message) -> None:
        for other in self._users:
            if not self._introduce(pid, other, late=False):
                self._retry_later(pid, other)
        is_first = not self._users
        self._users[pid] = None
        self.pool.order(pid, {"order": Order.ALL_INTRODUCED})
        if is_first:
            for other in self.pool.pids():
                if other != pid:
                    self.pool.order(other, {"order": Order.USE_BUS})

    def _not_introduced(self, pid: int, message: Message) -> None:
        # The report may be late. The other one may have its end, and sees that this one is closed.
        if message["pid"] in self._users:
            self._retry_later(pid, message["pid"])

    def _introduce(self, first: int, second: int, *, late: bool) -> bool:
        """Send each its end; returns False if there was no descriptor for it."""
        try:
            ends = socket.socketpair()
        except OSError:
            return False
        with ends[0], ends[1]:
            try:
                for pid, other, end in ((first, second, ends[0]), (second, first, ends[1])):
                    self.pool.order(pid, {"order": Order.INTRODUCE, "pid": other, "late": late}, [end.fileno()])
            except OSError:
                # An end that was sent already is the end of nothing, as its worker will see.
                return False
        return True

    def _retry_later(self, first: int, second: int) -> None:
        self._missing[first, second] = None
        if not self._retrying:
            self._retrying = True
            self.log.warning("introductions_delayed", reason="too many open files", retry_seconds=RETRY_SECONDS)
            self.reactor.call_later(RETRY_SECONDS, self._retry)

    def _retry(self) -> None:
        # What they have published for each other since they were to be introduced is lost.
        missing = [pair for pair in self._missing if not self._introduce(*pair, late=True)]
        self._missing = dict.fromkeys(missing)
        if missing:
            self.reactor.call_later(RETRY_SECONDS, self._retry)
        else:
            self._retrying = False
