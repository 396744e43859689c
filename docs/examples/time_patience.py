"""Allow ten seconds for the first line and then five idle minutes; send the time to all clients every minute."""

import time

from reactorhost import hookimpl


@hookimpl
def worker_start(worker):
    worker.call_every(60.0, send_time, worker)


def send_time(worker):
    for connection in worker.connections:
        connection.send(time.strftime("it is %H:%M\n").encode())


@hookimpl
def connect(connection):
    connection.state.first_line = connection.call_later(10.0, too_late, connection)


def too_late(connection):
    connection.send(b"too late\n")
    connection.close()


@hookimpl
def receive(connection, data):
    connection.state.first_line.cancel()
    connection.idle_timeout = 300.0
    connection.send(data)
