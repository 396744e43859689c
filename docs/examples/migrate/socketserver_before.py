"""A room: the first line of a client is its name, every other one is sent to all. With socketserver, in threads."""

import contextlib
import socketserver
import threading

clients = set()
lock = threading.Lock()


class Room(socketserver.StreamRequestHandler):
    timeout = 600

    def handle(self):
        name = self.rfile.readline(1000).decode().strip()
        self.wfile.write(f"hello {name}\n".encode())
        with lock:
            clients.add(self)
        try:
            while line := self.rfile.readline(1000):
                text = line.decode().strip()
                if text == "/quit":
                    self.wfile.write(b"bye\n")
                    return
                send_to_all(f"{name}: {text}\n".encode())
        finally:
            with lock:
                clients.remove(self)


def send_to_all(data):
    with lock:
        for client in clients:
            # A client that has gone, or does not read for as long as `timeout`.
            with contextlib.suppress(OSError):
                client.wfile.write(data)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    with Server(("127.0.0.1", 9000), Room) as server:
        server.serve_forever()
