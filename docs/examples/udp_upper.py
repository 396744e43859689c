"""Answer every datagram in capitals."""

from reactorhost import hookimpl


@hookimpl
def receive(connection, data):
    connection.send(data.upper())
