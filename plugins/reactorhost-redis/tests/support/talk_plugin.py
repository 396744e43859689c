"""A plugin with which clients use the bus by lines, and such a client."""

from __future__ import annotations

from reactorhost.testing import LiveHost

PLUGIN = """
from reactorhost import hookimpl
from reactorhost.framing import Lines

@hookimpl
def framing(service):
    return Lines()

@hookimpl
def worker_start(worker):
    global the_worker
    the_worker = worker
    worker.keep_history("kept*", messages=50)
    worker.subscribe("news*", forward)

def forward(topic, data):
    for connection in the_worker.connections:
        connection.send_message(b"topic %s %s" % (topic.encode(), data))

@hookimpl
def joined(worker, group, member):
    worker.send_to(group, b"joined " + member.info, local=True)

@hookimpl
def left(worker, group, member):
    worker.send_to(group, b"left " + member.info, local=True)

@hookimpl
def gap(worker, group, recovered):
    worker.send_to(group, b"gap %s %d" % (group.encode(), recovered), local=True)

@hookimpl
def receive(connection, data):
    verb, _, rest = data.decode().partition(" ")
    name, _, text = rest.partition(" ")
    if verb == "join":
        connection.join(name, text.encode() or None)
        connection.send_message(b"ok")
    elif verb == "say":
        the_worker.send_to(name, text.encode())
    elif verb == "publish":
        the_worker.publish(name, text.encode())
    elif verb == "ref":
        connection.send_message(connection.ref.encode())
    elif verb == "to":
        connection.send_message(b"%d" % the_worker.send_to_ref(name, text.encode()))
    elif verb == "who":
        infos = sorted(member.info for member in the_worker.presence(name))
        connection.send_message(b"who " + b",".join(infos))
    elif verb == "history":
        the_worker.history(name, on_result=lambda found: connection.send_message(b"history " + b",".join(found)))
"""


class Client:
    """A client of one of the hosts."""

    def __init__(self, host: LiveHost) -> None:
        self._socket = host.connect()
        self._file = self._socket.makefile("rb")

    def send(self, line: str) -> None:
        self._socket.sendall(line.encode() + b"\n")

    def read(self) -> str:
        line = self._file.readline()
        assert line, "the connection was closed"
        return line.decode().rstrip("\n")

    def ask(self, line: str) -> str:
        self.send(line)
        return self.read()

    def until(self, line: str) -> list[str]:
        """Read up to a line; returns what came before it."""
        before = []
        while (found := self.read()) != line:
            before.append(found)
        return before

    def close(self) -> None:
        self._file.close()
        self._socket.close()
