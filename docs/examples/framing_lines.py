"""Answer every line in upper case."""

from reactorhost import Lines, hookimpl


@hookimpl
def framing(service):
    return Lines(max_size=8192)


@hookimpl
def receive(connection, data):
    connection.send_message(data.upper())
