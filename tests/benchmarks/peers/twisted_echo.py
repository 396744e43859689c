"""Twisted as in its documentation, on the epoll reactor. Prints its port, serves until killed."""

from __future__ import annotations

from typing import Any

from twisted.internet import epollreactor, protocol

from peer import BACKLOG, allow_many_clients, print_port


class Echo(protocol.Protocol):
    """One client."""

    def dataReceived(self, data: bytes) -> None:
        """Send the bytes back."""
        self.transport.write(data)


def main() -> None:
    """Serve."""
    epollreactor.install()
    # Imported late: the import installs a reactor, and after that no other one can be selected.
    from twisted.internet import endpoints, reactor

    endpoint = endpoints.TCP4ServerEndpoint(reactor, 0, backlog=BACKLOG, interface="127.0.0.1")
    endpoint.listen(protocol.Factory.forProtocol(Echo)).addCallback(listening)
    reactor.run()


def listening(port: Any) -> None:
    """Print the port."""
    print_port(port.getHost().port)


if __name__ == "__main__":
    allow_many_clients()
    main()
