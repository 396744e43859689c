"""Send each message to all clients."""

from __future__ import annotations

from reactorhost import Connection, Worker, hookimpl


class Room:
    """One room."""

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        """Keep the worker."""
        self.worker = worker

    @hookimpl
    def connect(self, connection: Connection) -> None:
        """Let a client in."""
        connection.join("room")

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        """Send a message to all."""
        self.worker.send_to("room", data)
