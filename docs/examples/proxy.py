"""A TCP proxy: every client gets a connection of its own to the real server."""

from types import SimpleNamespace

from reactorhost import Option, hookimpl

MOST_WAITING = 64 * 1024
proxy = SimpleNamespace()


@hookimpl
def options():
    return [Option("server", str, default="tcp://127.0.0.1:7000", help="address that every client is connected to")]


@hookimpl
def configure(config):
    proxy.server = config["server"]


@hookimpl
def worker_start(worker):
    proxy.worker = worker


@hookimpl
def connect(connection):
    connection.pause()
    connection.state.connecting = proxy.worker.connect(proxy.server, ServerSide(connection))


@hookimpl
def receive(connection, data):
    relay(connection, connection.state.connecting.connection, data)


@hookimpl
def close(connection):
    connecting = connection.state.connecting
    connecting.cancel()
    if connecting.connection:
        connecting.connection.close()


class ServerSide:
    """What is called for the connection to the server of one client."""

    def __init__(self, client):
        self.client = client

    def connect(self):
        self.client.resume()

    def receive(self, connection, data):
        relay(connection, self.client, data)

    def close(self):
        self.client.close()

    def failed(self, error):
        proxy.worker.log.warning("%s", error)
        self.client.close()


def relay(source, target, data):
    """Send on what one side sent, and read no more of it while the other takes nothing."""
    target.send(data)
    if target.queued > MOST_WAITING:
        source.pause()
        target.when_drained(source.resume)
