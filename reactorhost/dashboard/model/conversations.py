"""Conversations with the host beside the status: its connections, and a request of a key.

Each has a connection of its own, with a timeout of 0, so that neither connecting nor reading waits. Unlike TCP, a unix
socket connects at once or fails: with EAGAIN if the backlog of the host is full, which is handled like a lost host.
"""

from __future__ import annotations

from pathlib import Path

from reactorhost.config.default_paths import by_run_dir
from reactorhost.dashboard.model.requests import HostRequest
from reactorhost.dashboard.model.snapshot import ConnectionRow, Connections
from reactorhost.dashboard.text.quantities import counted
from reactorhost.ipc.connection_query import ConnectionQuery
from reactorhost.ipc.control_client import ControlClient
from reactorhost.ipc.messages import Message
from reactorhost.printable import printable

_LEAST_INTERVAL_SECONDS = 1.0
_RETRY_SECONDS = 1.0


class ConnectionPoller:
    """Requests connections again and again, without blocking; at most one request is unanswered.

    Attributes:
        connections: the newest complete list.
        client: the connection to the host, None while nothing is requested.
    """

    def __init__(self, path: Path) -> None:
        self.connections = Connections()
        self.client: ControlClient | None = None
        self._path = path
        self._query: ConnectionQuery | None = None
        self._requested: ConnectionQuery | None = None
        self._rows: list[ConnectionRow] = []
        self._request_at = 0.0

    def select(self, query: ConnectionQuery | None) -> None:
        """Poll other connections from now on, or none."""
        # A request under way is not cancelled: the next reply on this connection comes after the rest of its own.
        if query != self._query:
            self._query = query
            self._request_at = 0.0
            if query is None:
                self.close()

    def due(self) -> float:
        """Return when the next request is due."""
        return float("inf") if self._query is None or self._requested is not None else self._request_at

    def advance(self, now: float, interval_seconds: float) -> None:
        """Read the rows that have arrived, and send the next request if it is due."""
        try:
            if self.client is not None:
                for message in self.client.receive():
                    self._update(message)
            if self._query is not None and self._requested is None and now >= self._request_at:
                if self.client is None:
                    self.client = ControlClient(self._path, timeout=0)
                self.client.send("connections", **self._query.as_fields())
                self._requested = self._query
                self._request_at = now + max(_LEAST_INTERVAL_SECONDS, interval_seconds)
        except OSError:
            # A partly sent request or a partly read reply cannot be continued: the next request has a new connection.
            self.close()
            self._request_at = now + _RETRY_SECONDS

    def close(self) -> None:
        """Close the connection to the host and forget rows that are incomplete."""
        if self.client is not None:
            self.client.close()
            self.client = None
        self._requested, self._rows = None, []

    def _update(self, message: Message) -> None:
        if "rows" in message:
            self._rows += message["rows"]
        elif "status" in message:
            # Of the request, not of the selection: the user may have selected other connections since. A request that
            # failed, because the host stops for instance, has no connections.
            self.connections = Connections(
                self._requested,
                tuple(self._rows),
                message.get("matched", 0),
                message.get("total", 0),
                message.get("groups"),
                tuple((worker["slot"], worker["pid"]) for worker in message.get("unanswered", ())),
            )
            self._requested, self._rows = None, []


class SentRequest:
    """A request on its own connection, read without blocking.

    Attributes:
        verb: what is requested.
        text: the latest progress, or the result.
        finished: whether `text` is the result.
        failed: whether the result is a failure.
        client: the connection; None once it is closed.
    """

    def __init__(self, path: Path, request: HostRequest) -> None:
        self.verb = request.verb
        self._host = by_run_dir(path.parent)
        self.text = f"{request.verb}: requested"
        self.finished = self.failed = False
        self.client: ControlClient | None = None
        try:
            self.client = ControlClient(path, timeout=0)
            self.client.send(request.verb, **dict(request.fields))
        except OSError as error:
            self._fail(f"the host does not accept requests: {error.strerror}")

    def read(self) -> None:
        """Read what has arrived."""
        if self.client is None:
            return
        try:
            for message in self.client.receive():
                self._update(message)
        except OSError:
            if not self.finished:
                self._fail("the host ended before it answered")

    def close(self) -> None:
        """Close the connection; the host goes on with the request."""
        if self.client is not None:
            self.client.close()
            self.client = None

    def _update(self, message: Message) -> None:
        if "progress" in message:
            self.text = f"{self.verb}: {printable(self._host.in_commands(message['progress']))}"
        elif message.get("status") == 0:
            self.text = self._success(message)
            self.finished = True
        elif "status" in message:
            self._fail(str(message["what"]))

    def _fail(self, what: str) -> None:
        self.text = f"{self.verb} failed: {what}"
        self.finished = self.failed = True

    def _success(self, message: Message) -> str:
        match self.verb:
            case "reload":
                return f"reload: done, {message['replaced']} workers replaced, generation {message['generation']}"
            case "scale":
                return f"scale: done, {counted(message['workers'], 'worker')} ready"
            case verb:
                return f"{verb}: done"
