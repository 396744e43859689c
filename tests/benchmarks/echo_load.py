"""Load for an echo server: each client sends a message, waits for all of it, sends the next.

`echo_load.py PORT CLIENTS BYTES WARM_UP_SECONDS SECONDS` prints `begin` and `end COUNT` around the measured time, and
after each waits for a line on standard input: so the caller reads the server's CPU time at a standstill.
"""

from __future__ import annotations

import select
import socket
import struct
import sys
import time


def main(port: int, clients: int, size: int, warm_up_seconds: float, seconds: float) -> None:
    """Connect, warm up, run, and tell the number of messages echoed."""
    sockets = {}
    poller = select.epoll()
    for _ in range(clients):
        client = socket.create_connection(("127.0.0.1", port))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets[client.fileno()] = client
        poller.register(client, select.EPOLLIN)
    run(sockets, poller, size, warm_up_seconds)
    tell("begin")
    tell(f"end {run(sockets, poller, size, seconds)}")


def run(sockets: dict[int, socket.socket], poller: select.epoll, size: int, seconds: float) -> int:
    """Keep one message in flight on every socket for that long; return the number echoed, none left in flight."""
    # One line, one message with its length before it, and so many bytes: whole in every framing.
    message = struct.pack(">I", size - 4) + b"x" * (size - 5) + b"\n"
    missing = dict.fromkeys(sockets, size)
    for client in sockets.values():
        client.sendall(message)
    echoed, deadline, flying = 0, time.monotonic() + seconds, len(sockets)
    while flying:
        ending = time.monotonic() >= deadline
        for descriptor, _ in poller.poll():
            data = sockets[descriptor].recv(size)
            if not data:
                raise SystemExit("the server closed a connection")
            missing[descriptor] -= len(data)
            if missing[descriptor]:
                continue
            echoed += 1
            missing[descriptor] = size
            if ending:
                flying -= 1
            else:
                sockets[descriptor].sendall(message)
    return echoed


def tell(words: str) -> None:
    """Print a line and wait for the caller's."""
    print(words, flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]))
