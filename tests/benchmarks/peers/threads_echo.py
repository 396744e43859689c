"""The standard library's server with one thread per client. Prints its port, serves until killed."""

from __future__ import annotations

import socketserver

from peer import BACKLOG, allow_many_clients, print_port


class Echo(socketserver.BaseRequestHandler):
    """One client."""

    def handle(self) -> None:
        """Echo until the end of stream."""
        while data := self.request.recv(65536):
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    """A server that does not collect ended threads, with the common backlog."""

    daemon_threads = True
    request_queue_size = BACKLOG


if __name__ == "__main__":
    allow_many_clients()
    with Server(("127.0.0.1", 0), Echo) as server:
        print_port(server.server_address[1])
        server.serve_forever()
