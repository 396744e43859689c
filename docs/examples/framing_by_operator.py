"""Answer each message with its length, under any framing that the operator configures."""

from reactorhost import hookimpl


@hookimpl
def receive(connection, data):
    connection.send(b"%d bytes\n" % len(data))
