"""Where status documents come from: a running host or a recording.

A source never blocks. Its owner waits for `sockets` or until `due`, whichever comes first, and calls `advance`. Times
are monotonic seconds.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from pathlib import Path

from reactorhost.dashboard.model.conversations import ConnectionPoller, SentRequest
from reactorhost.dashboard.model.known_events import KnownEvents
from reactorhost.dashboard.model.requests import HostRequest
from reactorhost.dashboard.model.snapshot import Connections, Link
from reactorhost.ipc.compact_status import readable
from reactorhost.ipc.connection_query import ConnectionQuery
from reactorhost.ipc.control_client import ControlClient
from reactorhost.ipc.status import StatusDocument

_RETRY_SECONDS = 0.5
_NOTICE_SECONDS = 8.0
# A key that was pressed before the result could be read does not remove it.
_LEAST_NOTICE_SECONDS = 1.0
_LONGEST_INTERVAL_WITHOUT_HISTORY = 1.5


class HostSource:
    """A running host, polled over its control socket; when the host is gone, it is polled until it is back.

    Status, connections and requests each have a connection of their own, because a reply does not name the request that
    it answers.

    Attributes:
        connections: the newest list of the selected connections.
    """

    def __init__(self, path: Path, interval_seconds: float, now: float) -> None:
        self.connections = Connections()
        self._path = path
        self._interval = interval_seconds
        self._status: ControlClient | None = None
        self._unanswered_since: float | None = None
        self._request_at = now
        self._lost_at: float | None = None
        self._has_history = False
        self._events = KnownEvents()
        self._poller = ConnectionPoller(path)
        self._sent: SentRequest | None = None
        self._notice_until = 0.0

    def sockets(self) -> Sequence[socket.socket]:
        """Return the sockets of all connections."""
        sent = self._sent.client if self._sent is not None else None
        return [client.socket for client in (self._status, self._poller.client, sent) if client is not None]

    def due(self) -> float:
        """Return when the next request is due; while one is unanswered, when its displayed age changes."""
        wait_seconds = 0.0 if self._unanswered_since is None else 1.0
        return min(self._request_at + wait_seconds, self._poller.due())

    def advance(self, now: float) -> list[StatusDocument]:
        """Read what has arrived and send the requests that are due; return the new documents, the newest last.

        Raises:
            ReactorhostError: the host has a version whose documents this one cannot read.
        """
        documents = self._read_status(now)
        if self._unanswered_since is None and now >= self._request_at:
            self._request_status(now)
        elif self._unanswered_since is not None and now >= self._request_at + 1.0:
            # Nothing is sent while a request is unanswered. This moves `due` on, so that its age is drawn every second.
            self._request_at = now
        self._poller.advance(now, self._interval)
        self.connections = self._poller.connections
        if self._sent is not None:
            self._read_sent(self._sent, now)
        return documents

    def link(self, now: float) -> Link:
        """Return how long the host has been gone or silent, and the latest progress of a sent request."""
        lost = None if self._lost_at is None else int(now - self._lost_at)
        silent = 0 if self._unanswered_since is None else int(now - self._unanswered_since)
        if self._sent is None:
            return Link(lost, silent)
        return Link(lost, silent, notice=self._sent.text, failed=self._sent.failed)

    def set_interval(self, interval_seconds: float, now: float) -> None:
        """Change the time between two status requests."""
        if interval_seconds != self._interval:
            self._interval = interval_seconds
            # Only earlier, never later: the answer to come sets the time of the next request from the new interval.
            if self._unanswered_since is None and self._status is not None:
                self._request_at = min(self._request_at, now + interval_seconds)

    def send(self, request: HostRequest, now: float) -> None:
        """Send a request. The progress of an earlier one is no longer shown, but the host goes on with it."""
        if self._sent is not None:
            self._sent.close()
        self._sent = SentRequest(self._path, request)
        self._notice_until = now + _NOTICE_SECONDS

    def dismiss(self, now: float) -> None:
        """Show the result of a request no longer, once it was shown for a moment."""
        read_from = self._notice_until - _NOTICE_SECONDS + _LEAST_NOTICE_SECONDS
        if self._sent is not None and self._sent.finished and now >= read_from:
            self._sent.close()
            self._sent = None

    def unfinished(self) -> tuple[str, Path] | None:
        """Return the verb of a request that the host continues after the source is closed, and its run directory."""
        return None if self._sent is None or self._sent.finished else (self._sent.verb, self._path.parent)

    def select_connections(self, query: ConnectionQuery | None) -> None:
        """Poll these connections from now on, or none."""
        self._poller.select(query)

    def ended(self) -> bool:
        """Return False: a host that is gone may come back."""
        return False

    def close(self) -> None:
        """Close every connection to the host."""
        self._poller.close()
        for each in (self._status, self._sent):
            if each is not None:
                each.close()

    def _read_status(self, now: float) -> list[StatusDocument]:
        if self._status is None:
            return []
        try:
            messages = self._status.receive()
        except OSError:
            self._lose(now)
            return []
        if messages:
            # From request to request: an answer that takes long does not make the interval longer.
            requested = self._unanswered_since if self._unanswered_since is not None else now
            self._unanswered_since = None
            self._request_at = max(now, requested + self._interval)
        documents = [
            self._events.complete(readable(message["document"])) for message in messages if "document" in message
        ]
        self._has_history = self._has_history or bool(documents)
        return documents

    def _request_status(self, now: float) -> None:
        try:
            if self._status is None:
                self._status = ControlClient(self._path, timeout=0)
                self._has_history = False
                # Another host may listen there by now: its events are all new.
                self._events.newest_id = None
            # The history is most of a document. With a short interval one sample per document replaces it; with a long
            # one the seconds in between would be missing.
            history = not self._has_history or self._interval > _LONGEST_INTERVAL_WITHOUT_HISTORY
            self._status.send("status", history=history, events_since=self._events.newest_id, compact=True)
        except OSError:
            self._lose(now)
            return
        self._lost_at = None
        self._unanswered_since = self._request_at = now

    def _lose(self, now: float) -> None:
        if self._status is not None:
            self._status.close()
            self._status = None
        # Kept while each retry fails: the header shows the time since the first loss.
        if self._lost_at is None:
            self._lost_at = now
        self._unanswered_since = None
        self._request_at = now + _RETRY_SECONDS

    def _read_sent(self, sent: SentRequest, now: float) -> None:
        if sent.client is not None:
            sent.read()
            self._notice_until = now + _NOTICE_SECONDS
            if sent.finished:
                sent.close()
        elif now >= self._notice_until:
            self._sent = None


class RecordingSource:
    """A recording, played at its own pace or faster."""

    def __init__(self, records: Iterable[tuple[float, StatusDocument]], speed: float, now: float) -> None:
        self.connections = Connections()
        self._records = iter(records)
        self._speed = speed
        self._began = now
        self._next = next(self._records, None)

    def sockets(self) -> Sequence[socket.socket]:
        """Return none."""
        return ()

    def due(self) -> float:
        """Return the time of the next document."""
        return float("inf") if self._next is None else self._began + self._next[0] / self._speed

    def advance(self, now: float) -> list[StatusDocument]:
        """Return the documents whose time has come."""
        documents = []
        while self._next is not None and now >= self.due():
            documents.append(self._next[1])
            self._next = next(self._records, None)
        return documents

    def link(self, now: float) -> Link:
        """Return a link that shows the playback in place of the interval."""
        return Link(source="end of replay" if self._next is None else f"replay {self._speed:g}x")

    def set_interval(self, interval_seconds: float, now: float) -> None:
        """Do nothing: a recording has its own times."""

    def send(self, request: HostRequest, now: float) -> None:
        """Do nothing: there is no host."""

    def dismiss(self, now: float) -> None:
        """Do nothing: there are no requests."""

    def unfinished(self) -> tuple[str, Path] | None:
        """Return None: there is no host."""
        return None

    def select_connections(self, query: ConnectionQuery | None) -> None:
        """Do nothing: connections are not recorded."""

    def ended(self) -> bool:
        """Return whether the recording is at its end."""
        return self._next is None

    def close(self) -> None:
        """Do nothing: there is no connection."""


StatusSource = HostSource | RecordingSource
