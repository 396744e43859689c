"""Answer each datagram after half a second, and log a warning when the kernel rejects the answer."""

import logging

from reactorhost import hookimpl


@hookimpl
def receive(connection, data):
    connection.call_later(0.5, answer, connection, data)


def answer(connection, data):
    if not connection.send(data):
        logging.getLogger(__name__).warning("no answer for %s", connection.peer)
