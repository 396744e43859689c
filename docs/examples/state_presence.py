"""Answer each line with the number of clients of all workers, and their addresses."""

from reactorhost import Lines, hookimpl


class Online:
    @hookimpl
    def framing(self):
        return Lines(max_size=1024)

    @hookimpl
    def worker_start(self, worker):
        self.worker = worker

    @hookimpl
    def connect(self, connection):
        connection.join("online", str(connection.peer).encode())

    @hookimpl
    def receive(self, connection, data):
        members = self.worker.presence("online")
        connection.send_message(b"%d: %s" % (len(members), b" ".join(member.info for member in members)))
