"""Forward every line of a client to another server, over one connection for all clients, and return the answer."""

import asyncio
from collections import deque

from reactorhost import Lines, Option, hookimpl


class Backend:
    """The connection to the server, which answers requests in order."""

    address = ""
    worker = None
    connection = None

    def __init__(self):
        self.waiting = deque()

    async def request(self, line):
        if self.connection is None:
            raise ConnectionError("no connection to the server")
        answer = asyncio.get_running_loop().create_future()
        self.waiting.append(answer)
        self.connection.send_message(line)
        return await answer

    def framing(self):
        return Lines()

    def connect(self, connection):
        self.connection = connection

    def receive(self, data):
        answer = self.waiting.popleft()
        # Done if the client has disconnected meanwhile.
        if not answer.done():
            answer.set_result(data)

    def close(self):
        self.connection = None
        for answer in self.waiting:
            if not answer.done():
                answer.set_exception(ConnectionError("the server closed the connection"))
        self.waiting.clear()
        self.worker.connect(self.address, self)

    def failed(self, error):
        self.worker.log.warning("%s; trying again", error)
        self.worker.call_later(1.0, self.worker.connect, self.address, self)


backend = Backend()


@hookimpl
def options():
    return [Option("server", str, default="tcp://127.0.0.1:7001", help="address of the server to forward to")]


@hookimpl
def configure(config):
    backend.address = config["server"]


@hookimpl
async def worker_start(worker):
    backend.worker = worker
    # Without its server the worker does not start.
    await worker.connect(backend.address, backend, timeout=5.0)


@hookimpl
def framing():
    return Lines()


@hookimpl
async def receive(connection, data):
    try:
        answer = await backend.request(data)
    except ConnectionError as error:
        answer = b"error: " + str(error).encode()
    connection.send_message(answer)
