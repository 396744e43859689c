"""Echo messages; with the path `/room`, send them to all that are connected there."""

from __future__ import annotations

from reactorhost import Connection, Worker, hookimpl

_worker: Worker


@hookimpl
def worker_start(worker: Worker) -> None:
    """Keep the worker."""
    global _worker  # noqa: PLW0603  one for each worker process
    _worker = worker


@hookimpl
def connect(connection: Connection) -> None:
    """Enter the room, or do not."""
    if connection.framing.path == "/room":  # type: ignore[union-attr]  # the framing is a WebSocket
        connection.join("room")


@hookimpl
def receive(connection: Connection, data: bytes) -> None:
    """Send the message."""
    if connection.groups:
        _worker.send_to("room", data)
    else:
        connection.send(data)
