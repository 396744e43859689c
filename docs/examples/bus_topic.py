"""Refuse new clients in every worker after a client has sent `close`, until one sends `open`."""

from reactorhost import Lines, hookimpl


class Door:
    def __init__(self):
        self.is_open = True

    @hookimpl
    def framing(self):
        return Lines(max_size=1024)

    @hookimpl
    def worker_start(self, worker):
        self.worker = worker
        worker.subscribe("door", self.turn)

    def turn(self, topic, data):
        self.is_open = data == b"open"

    @hookimpl
    def connect(self, connection):
        if not self.is_open:
            connection.send_message(b"closed")
            connection.close()

    @hookimpl
    def receive(self, connection, data):
        if data in (b"open", b"close"):
            self.worker.publish("door", data)
