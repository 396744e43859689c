"""A room: the first line of a client is its name, every other one is sent to all. As a plugin, method by method."""

from reactorhost import Lines, hookimpl


class Room:
    @hookimpl
    def framing(self):
        return Lines(max_size=1000)

    @hookimpl
    def worker_start(self, worker):
        self.worker = worker

    @hookimpl
    def connect(self, connection):
        connection.state.name = None
        connection.idle_timeout = 600

    @hookimpl
    def receive(self, connection, data):
        text = data.decode().strip()
        if connection.state.name is None:
            connection.state.name = text
            connection.send_message(f"hello {text}".encode())
            connection.join("room")
        elif text == "/quit":
            connection.send_message(b"bye")
            connection.close()
        else:
            self.worker.send_to("room", f"{connection.state.name}: {text}".encode())
