"""gevent's StreamServer with one greenlet per client. Prints its port, serves until killed."""

from __future__ import annotations

from typing import Any

from gevent.server import StreamServer

from peer import BACKLOG, allow_many_clients, print_port


def echo(client: Any, _address: object) -> None:
    """Serve one client."""
    while data := client.recv(65536):
        client.sendall(data)


if __name__ == "__main__":
    allow_many_clients()
    server = StreamServer(("127.0.0.1", 0), echo, backlog=BACKLOG)
    server.start()
    print_port(server.server_port)
    server.serve_forever()
