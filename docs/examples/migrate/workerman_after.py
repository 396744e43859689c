"""A room: the first line of a client is its name, every other one is sent to all. As a plugin, callback by callback."""

from types import SimpleNamespace

from reactorhost import Lines, hookimpl

room = SimpleNamespace()


@hookimpl
def framing():
    return Lines(max_size=1000)


@hookimpl
def worker_start(worker):
    room.worker = worker


@hookimpl
def connect(connection):
    connection.state.name = None


@hookimpl
def receive(connection, data):
    text = data.decode().strip()
    if connection.state.name is None:
        connection.state.name = text
        connection.send_message(f"hello {text}".encode())
        connection.join("room")
    elif text == "/quit":
        connection.send_message(b"bye")
        connection.close()
    else:
        room.worker.send_to("room", f"{connection.state.name}: {text}".encode())
