"""Polls the connections of one worker while a page shows them."""

from __future__ import annotations

from pathlib import Path

from reactorhost.dashboard.model.snapshot import ConnectionRow, Connections
from reactorhost.ipc.control_client import ControlClient
from reactorhost.ipc.messages import Message

_LEAST_INTERVAL_SECONDS = 1.0
_RETRY_SECONDS = 1.0


class ConnectionPoller:
    """Requests the connections of a worker again and again, without blocking.

    Attributes:
        connections: the newest complete list.
        client: the connection to the host, None while no worker is selected.
    """

    def __init__(self, path: Path) -> None:
        self.connections = Connections()
        self.client: ControlClient | None = None
        self._path = path
        self._pid: int | None = None
        self._requested_pid: int | None = None
        self._rows: list[ConnectionRow] = []
        self._request_at = 0.0

    def select(self, pid: int | None) -> None:
        """Poll another worker from now on, or none."""
        if pid != self._pid:
            self._pid = pid
            self._request_at = 0.0
            if pid is None:
                self.close()

    def due(self) -> float:
        """Return when the next request is due."""
        return float("inf") if self._pid is None or self._requested_pid is not None else self._request_at

    def advance(self, now: float, interval_seconds: float) -> None:
        """Read the rows that have arrived, and send the next request if it is due."""
        try:
            if self.client is not None:
                for message in self.client.receive():
                    self._update(message)
            if self._pid is not None and self._requested_pid is None and now >= self._request_at:
                if self.client is None:
                    self.client = ControlClient(self._path, timeout=0)
                self.client.send("connections", pid=self._pid)
                self._requested_pid = self._pid
                self._request_at = now + max(_LEAST_INTERVAL_SECONDS, interval_seconds)
        except OSError:
            self.close()
            self._request_at = now + _RETRY_SECONDS

    def close(self) -> None:
        """Close the connection to the host and forget rows that are incomplete."""
        if self.client is not None:
            self.client.close()
            self.client = None
        self._requested_pid, self._rows = None, []

    def _update(self, message: Message) -> None:
        requested = self._requested_pid
        if "rows" in message:
            self._rows += [row for row in message["rows"] if row["pid"] == requested]
        elif "status" in message:
            unanswered = [worker["pid"] for worker in message.get("unanswered", ())]
            rows = sorted(self._rows, key=lambda row: int(row["id"]))
            self.connections = Connections(requested, tuple(rows), requested in unanswered)
            self._requested_pid, self._rows = None, []
