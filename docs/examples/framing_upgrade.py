"""Start with lines, and switch to length-prefixed messages when the client sends BINARY."""

from reactorhost import LengthPrefixed, Lines, hookimpl


@hookimpl
def framing(service):
    return Lines(end=b"\r\n")


@hookimpl
def receive(connection, data):
    if isinstance(connection.framing, Lines):
        greet(connection, data)
    else:
        connection.send_message(data[::-1])


def greet(connection, line):
    if line == b"BINARY":
        connection.send_message(b"OK")
        connection.framing = LengthPrefixed(">H", max_size=4096)
    else:
        connection.send_message(b"hello " + line)
