"""A bare epoll echo loop in Python, as a baseline for measurements.

Prints its port, and serves until killed.
"""

from __future__ import annotations

import select
import socket

_READ_BYTES = 16 * 1024


def main() -> None:
    """Serve on a free port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    clients: dict[int, socket.socket] = {}
    poller = select.epoll()
    poller.register(listener, select.EPOLLIN)
    print(listener.getsockname()[1], flush=True)  # noqa: T201  read by the parent process
    messages = received = 0
    while True:
        for descriptor, _ in poller.poll():
            if descriptor == listener.fileno():
                client, _ = listener.accept()
                client.setblocking(False)
                clients[client.fileno()] = client
                poller.register(client, select.EPOLLIN)
            elif data := clients[descriptor].recv(_READ_BYTES):
                messages += 1
                received += len(data)
                clients[descriptor].send(data)
            else:
                poller.unregister(descriptor)
                clients.pop(descriptor).close()


if __name__ == "__main__":
    main()
