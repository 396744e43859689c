"""Send every received byte back to the client."""

from reactorhost import Connection, hookimpl


@hookimpl
def receive(connection: Connection, data: bytes) -> None:
    """Send the bytes back."""
    connection.send(data)
