"""Send each line of a client to all other clients, of every worker."""

from reactorhost import Lines, hookimpl


class Broadcast:
    @hookimpl
    def framing(self):
        return Lines(max_size=1024)

    @hookimpl
    def worker_start(self, worker):
        self.worker = worker

    @hookimpl
    def connect(self, connection):
        connection.join("everyone")

    @hookimpl
    def receive(self, connection, data):
        self.worker.send_to("everyone", data, exclude=connection)
