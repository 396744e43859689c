"""Sources: where documents come from, a running host or a recording; neither ever keeps the screen waiting."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from reactorhost.dashboard.model.conversation import Conversation, Message, Order
from reactorhost.dashboard.model.snapshot import ConnectionRow, Connections, Link
from reactorhost.dashboard.model.view import Ask
from reactorhost.ipc.status import StatusDocument

_RETRY_SECONDS = 0.5
_TELLING_SECONDS = 8.0
_SLOWEST_WITHOUT_HISTORY = 1.5


class Source(Protocol):
    """What a live view shows."""

    connections: Connections

    def sockets(self) -> Sequence[socket.socket]:
        """Return what is to be waited for."""

    def due(self) -> float:
        """Return when `advance` is to be called at the latest, in monotonic seconds."""

    def advance(self, now: float) -> list[StatusDocument]:
        """Do what is due and take what came; returns the documents among it, the newest last."""

    def link(self, now: float) -> Link:
        """Return how it stands."""

    def pace(self, interval_seconds: float, now: float) -> None:
        """Want documents so often from now on."""

    def order(self, ask: Ask, now: float) -> None:
        """Ask the host for something."""

    def want_connections(self, pid: int | None) -> None:
        """Want the connections of a worker from now on, or of none."""

    def ended(self) -> bool:
        """Say whether nothing more will come."""

    def close(self) -> None:
        """Let go of everything."""


class HostSource:
    """A running host, asked over its control socket; when it goes away it is looked for again and again."""

    def __init__(self, path: Path, interval_seconds: float, now: float) -> None:
        self.connections = Connections()
        self._path = path
        self._interval = interval_seconds
        self._status: Conversation | None = None
        self._waits_since: float | None = None
        self._ask_at = now
        self._lost_at: float | None = None
        self._knows_history = False
        self._listing = Listing(path)
        self._order: Order | None = None
        self._told_until = 0.0

    def sockets(self) -> Sequence[socket.socket]:
        """Return what is to be waited for."""
        order = self._order.conversation if self._order is not None else None
        found = (self._status, self._listing.conversation, order)
        return [conversation.socket for conversation in found if conversation is not None]

    def due(self) -> float:
        """Return when the host is to be asked next; while it is silent or gone, when another second is over."""
        if self._waits_since is not None:
            return min(self._ask_at + 1.0, self._listing.due())
        return min(self._ask_at, self._listing.due())

    def advance(self, now: float) -> list[StatusDocument]:
        """Take what came and ask what is due."""
        documents = self._read(now)
        if self._waits_since is None and now >= self._ask_at:
            self._ask(now)
        elif self._waits_since is not None and now >= self._ask_at + 1.0:
            self._ask_at = now
        self._listing.advance(now, self._interval)
        self.connections = self._listing.told
        if self._order is not None:
            self._follow(self._order, now)
        return documents

    def link(self, now: float) -> Link:
        """Return how long the host is gone or silent, and what the last order came to."""
        lost = None if self._lost_at is None else int(now - self._lost_at)
        silent = 0 if self._waits_since is None else int(now - self._waits_since)
        if self._order is None:
            return Link(lost, silent)
        return Link(lost, silent, notice=self._order.said, failed=self._order.failed)

    def pace(self, interval_seconds: float, now: float) -> None:
        """Ask so often from now on."""
        if interval_seconds != self._interval:
            self._interval = interval_seconds
            if self._waits_since is None and self._status is not None:
                self._ask_at = min(self._ask_at, now + interval_seconds)

    def order(self, ask: Ask, now: float) -> None:
        """Send an order; of an earlier one nothing more is heard, but the host goes on with it."""
        if self._order is not None:
            self._order.close()
        self._order = Order(self._path, ask.verb, dict(ask.fields))
        self._told_until = now + _TELLING_SECONDS

    def want_connections(self, pid: int | None) -> None:
        """Want the connections of a worker from now on, or of none."""
        self._listing.want(pid)

    def ended(self) -> bool:
        """Say that a host may always come back."""
        return False

    def close(self) -> None:
        """Close every conversation."""
        self._listing.close()
        for each in (self._status, self._order):
            if each is not None:
                each.close()

    def _read(self, now: float) -> list[StatusDocument]:
        if self._status is None:
            return []
        try:
            messages = self._status.read()
        except OSError:
            self._lose(now)
            return []
        if messages:
            asked = self._waits_since if self._waits_since is not None else now
            self._waits_since = None
            self._ask_at = max(now, asked + self._interval)
        documents: list[StatusDocument] = [message["document"] for message in messages if "document" in message]
        self._knows_history = self._knows_history or bool(documents)
        return documents

    def _ask(self, now: float) -> None:
        try:
            if self._status is None:
                self._status = Conversation(self._path)
                self._knows_history = False
            self._status.ask("status", history=not self._knows_history or self._interval > _SLOWEST_WITHOUT_HISTORY)
        except OSError:
            self._lose(now)
            return
        self._lost_at = None
        self._waits_since = self._ask_at = now

    def _lose(self, now: float) -> None:
        if self._status is not None:
            self._status.close()
            self._status = None
        if self._lost_at is None:
            self._lost_at = now
        self._waits_since = None
        self._ask_at = now + _RETRY_SECONDS

    def _follow(self, order: Order, now: float) -> None:
        if order.conversation is not None:
            order.read()
            self._told_until = now + _TELLING_SECONDS
            if order.ended:
                order.close()
        elif now >= self._told_until:
            self._order = None


class Listing:
    """The connections of one worker, asked for again and again while somebody looks at them."""

    def __init__(self, path: Path) -> None:
        self.told = Connections()
        self.conversation: Conversation | None = None
        self._path = path
        self._pid: int | None = None
        self._asked_for: int | None = None
        self._rows: list[ConnectionRow] = []
        self._ask_at = 0.0

    def want(self, pid: int | None) -> None:
        """Want those of another worker, or none."""
        if pid != self._pid:
            self._pid = pid
            self._ask_at = 0.0
            if pid is None:
                self.close()

    def due(self) -> float:
        """Return when it is to be asked next."""
        return float("inf") if self._pid is None or self._asked_for is not None else self._ask_at

    def advance(self, now: float, interval_seconds: float) -> None:
        """Take rows that came, and ask again when it is time."""
        try:
            if self.conversation is not None:
                for message in self.conversation.read():
                    self._take(message)
            if self._pid is not None and self._asked_for is None and now >= self._ask_at:
                if self.conversation is None:
                    self.conversation = Conversation(self._path)
                self.conversation.ask("connections", pid=self._pid)
                self._asked_for, self._ask_at = self._pid, now + max(1.0, interval_seconds)
        except OSError:
            self.close()
            self._ask_at = now + 1.0

    def close(self) -> None:
        """Ask no more."""
        if self.conversation is not None:
            self.conversation.close()
            self.conversation = None
        self._asked_for, self._rows = None, []

    def _take(self, message: Message) -> None:
        asked_for = self._asked_for
        if "rows" in message:
            self._rows += [row for row in message["rows"] if row["pid"] == asked_for]
        elif "status" in message:
            silent = [worker["pid"] for worker in message.get("unanswered", ())]
            rows = sorted(self._rows, key=lambda row: int(row["id"]))
            self.told = Connections(asked_for, tuple(rows), asked_for in silent)
            self._asked_for, self._rows = None, []


class RecordedSource:
    """A recording, played at its own pace or faster."""

    def __init__(self, records: Iterable[tuple[float, StatusDocument]], speed: float, now: float) -> None:
        self.connections = Connections()
        self._records = iter(records)
        self._speed = speed
        self._began = now
        self._next: tuple[float, StatusDocument] | None = next(self._records, None)

    def sockets(self) -> Sequence[socket.socket]:
        """Return nothing: only time brings more."""
        return ()

    def due(self) -> float:
        """Return when the next document comes."""
        return float("inf") if self._next is None else self._began + self._next[0] / self._speed

    def advance(self, now: float) -> list[StatusDocument]:
        """Return the documents whose time has come."""
        documents = []
        while self._next is not None and now >= self.due():
            documents.append(self._next[1])
            self._next = next(self._records, None)
        return documents

    def link(self, now: float) -> Link:
        """Say that this is a recording."""
        source = "end of replay" if self._next is None else f"replay {self._speed:g}x"
        return replace(Link(), source=source)

    def pace(self, interval_seconds: float, now: float) -> None:
        """Leave it at the pace of the recording."""

    def order(self, ask: Ask, now: float) -> None:
        """Ask nothing of what is past."""

    def want_connections(self, pid: int | None) -> None:
        """Know of no connections."""

    def ended(self) -> bool:
        """Say whether it is over."""
        return self._next is None

    def close(self) -> None:
        """Have nothing to let go of."""
