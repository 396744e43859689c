"""The line of a client is its name. All clients are notified of the names that come and go."""

from reactorhost import Lines, hookimpl


class Lobby:
    @hookimpl
    def framing(self):
        return Lines(max_size=1024)

    @hookimpl
    def worker_start(self, worker):
        self.worker = worker

    @hookimpl
    def receive(self, connection, data):
        connection.join("lobby", data)
        names = sorted(member.info for member in self.worker.presence("lobby"))
        connection.send_message(b"here: " + b", ".join(names))

    @hookimpl
    def joined(self, group, member):
        if group == "lobby":
            self.worker.send_to(group, b"+ " + member.info, local=True)

    @hookimpl
    def left(self, group, member):
        if group == "lobby":
            self.worker.send_to(group, b"- " + member.info, local=True)

    @hookimpl
    def gap(self, group, recovered):
        if group == "lobby" and not recovered:
            self.worker.send_to(group, b"? some messages were lost", local=True)
