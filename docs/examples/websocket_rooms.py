"""A room for each path: what a client sends goes to the others in its room."""

import re

from reactorhost import hookimpl
from reactorhost_websocket import close, refuse


class Rooms:
    @hookimpl
    def worker_start(self, worker):
        self.worker = worker

    @hookimpl
    def connect(self, connection):
        found = re.fullmatch(r"/rooms/([a-z]{1,20})", connection.framing.path)
        if found is None:
            refuse(connection, 404, "Connect to /rooms/NAME.")
        else:
            connection.state.room = f"room:{found[1]}"
            connection.join(connection.state.room)

    @hookimpl
    def receive(self, connection, data):
        if connection.framing.is_text:
            self.worker.send_to(connection.state.room, data, exclude=connection)
        else:
            close(connection, 1003, "text only")
