import queue
import threading

from reactorhost import hookimpl


class Shouts:
    """Repeat each message in capitals, made by a thread that runs as long as the worker."""

    def __init__(self):
        self.messages = queue.SimpleQueue()

    @hookimpl
    def worker_start(self, worker):
        self.worker = worker
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    @hookimpl
    def receive(self, connection, data):
        self.messages.put((connection, data))

    def work(self):
        while (message := self.messages.get()) is not None:
            connection, data = message
            self.worker.call_soon_threadsafe(connection.send, data.upper())

    @hookimpl
    def worker_stop(self, worker):
        self.messages.put(None)
        self.thread.join()
