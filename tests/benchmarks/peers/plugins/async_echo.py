"""Echo with an async hook."""

from reactorhost import Connection, hookimpl


@hookimpl
async def receive(connection: Connection, data: bytes) -> None:
    """Send the bytes back."""
    connection.send(data)
