"""Greet each client with the number of clients that the host has had since its start."""

from reactorhost import hookimpl


class Visits:
    @hookimpl
    def worker_start(self, worker):
        self.visits = worker.shared_counter("visits")

    @hookimpl
    def connect(self, connection):
        self.visits.add()
        connection.send(b"%d visits so far\n" % self.visits.value)
