"""Echo of length-prefixed messages."""

from reactorhost import Connection, LengthPrefixed, hookimpl


@hookimpl
def framing(service: str) -> LengthPrefixed:
    """Split by lengths of four bytes."""
    return LengthPrefixed(">I")


@hookimpl
def receive(connection: Connection, data: bytes) -> None:
    """Send the message back."""
    connection.send_message(data)
