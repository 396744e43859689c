"""Answer one question a second; a client that asks more waits for its turn."""

from reactorhost import Lines, hookimpl


@hookimpl
def framing(service):
    return Lines()


@hookimpl
def receive(connection, data):
    connection.send_message(data.upper())
    connection.throttle(1.0)
