"""Send each client its reference, and a line `REFERENCE TEXT` of any client to the one it refers to."""

from reactorhost import Lines, hookimpl


class Whisper:
    @hookimpl
    def framing(self):
        return Lines(max_size=1024)

    @hookimpl
    def worker_start(self, worker):
        self.worker = worker

    @hookimpl
    def connect(self, connection):
        connection.send_message(connection.ref.encode())

    @hookimpl
    def receive(self, connection, data):
        ref, _, text = data.partition(b" ")
        try:
            found = self.worker.send_to_ref(ref.decode(errors="replace"), text)
        except ValueError:
            found = False
        if not found:
            connection.send_message(b"not connected")
