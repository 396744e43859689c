"""Give a client ten seconds for its first line, then five minutes of silence; tell everybody the time once a minute."""

import time

from reactorhost import hookimpl


@hookimpl
def worker_start(worker):
    worker.call_every(60.0, tell_time, worker)


def tell_time(worker):
    for connection in worker.connections:
        connection.send(time.strftime("it is %H:%M\n").encode())


@hookimpl
def connect(connection):
    connection.state.hurry = connection.call_later(10.0, give_up, connection)


def give_up(connection):
    connection.send(b"too late\n")
    connection.close()


@hookimpl
def receive(connection, data):
    connection.state.hurry.cancel()
    connection.idle_timeout = 300.0
    connection.send(data)
