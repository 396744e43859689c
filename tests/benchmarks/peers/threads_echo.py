"""The standard library's server with a thread a client. Prints its port, serves until killed."""

from __future__ import annotations

import socketserver

from peer import BACKLOG, allow_many_clients, tell_port


class Echo(socketserver.BaseRequestHandler):
    """One client."""

    def handle(self) -> None:
        """Serve it to its end."""
        while data := self.request.recv(65536):
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    """Without a list of threads that have ended, and with room for those who wait."""

    daemon_threads = True
    request_queue_size = BACKLOG


if __name__ == "__main__":
    allow_many_clients()
    with Server(("127.0.0.1", 0), Echo) as server:
        tell_port(server.server_address[1])
        server.serve_forever()
