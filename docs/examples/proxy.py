"""A TCP proxy with one upstream connection per client."""

from types import SimpleNamespace

from reactorhost import Option, hookimpl

HIGH_WATER = 64 * 1024
proxy = SimpleNamespace()


@hookimpl
def options():
    return [Option("server", str, default="tcp://127.0.0.1:7000", help="upstream address")]


@hookimpl
def configure(config):
    proxy.server = config["server"]


@hookimpl
def worker_start(worker):
    proxy.worker = worker


@hookimpl
def connect(connection):
    connection.pause()
    connection.state.attempt = proxy.worker.connect(proxy.server, ServerSide(connection))


@hookimpl
def receive(connection, data):
    relay(connection, connection.state.attempt.connection, data)


@hookimpl
def close(connection):
    attempt = connection.state.attempt
    attempt.cancel()
    if attempt.connection:
        attempt.connection.close()


class ServerSide:
    """Handler of the upstream connection of one client."""

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
    """Forward data, and pause its source while the target's send buffer is full."""
    target.send(data)
    if target.queued > HIGH_WATER:
        source.pause()
        target.when_drained(source.resume)
