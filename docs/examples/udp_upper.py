"""Answer every datagram in upper case."""

from reactorhost import hookimpl


@hookimpl
def receive(connection, data):
    connection.send(data.upper())
