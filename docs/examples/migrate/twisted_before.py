"""A room: the first line of a client is its name, every other one is sent to all. With Twisted."""

from twisted.internet import protocol, reactor
from twisted.protocols import basic, policies


class Room(basic.LineOnlyReceiver, policies.TimeoutMixin):
    delimiter = b"\n"
    MAX_LENGTH = 1000

    def connectionMade(self):
        self.name = None
        self.setTimeout(600)

    def lineReceived(self, line):
        self.resetTimeout()
        text = line.decode().strip()
        if self.name is None:
            self.name = text
            self.sendLine(f"hello {text}".encode())
            self.factory.clients.add(self)
        elif text == "/quit":
            self.sendLine(b"bye")
            self.transport.loseConnection()
        else:
            self.factory.send_to_all(f"{self.name}: {text}".encode())

    def connectionLost(self, reason):
        self.setTimeout(None)
        self.factory.clients.discard(self)


class RoomFactory(protocol.Factory):
    protocol = Room

    def __init__(self):
        self.clients = set()

    def send_to_all(self, line):
        for client in self.clients:
            client.sendLine(line)


if __name__ == "__main__":
    reactor.listenTCP(9000, RoomFactory(), interface="127.0.0.1")
    reactor.run()
