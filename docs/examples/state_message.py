"""Show every client the notice of the day. Each line from a client is the new notice, in all workers."""

from reactorhost import Lines, hookimpl


class Notice:
    @hookimpl
    def framing(self):
        return Lines(max_size=1024)

    @hookimpl
    def worker_start(self, worker):
        self.worker = worker
        worker.keep_history("notice", messages=1)

    @hookimpl
    def connect(self, connection):
        def show(messages):
            connection.send_message(messages[-1] if messages else b"no notice today")

        connection.join("notice")
        self.worker.history("notice", 1, on_result=show)

    @hookimpl
    def receive(self, connection, data):
        self.worker.send_to("notice", data)
