"""Load for an echo server with TLS.

`tls_load.py PORT AUTHORITY JOB SECONDS` prints `begin` and `end COUNT` around the measured time, then waits for a
line on standard input. The job is `echo` (64 bytes, 16 clients), `bulk` (128 KiB, 4 clients; the count is bytes in
each direction) or `handshake` (connect, one byte each way, close; 2 clients at a time).
"""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import time

_WARM_UP_SECONDS = 0.3
_SIZES = {"echo": (64, 16), "bulk": (128 * 1024, 4)}


def main(port: int, authority: str, job: str, seconds: float) -> None:
    """Do the job, and report the count."""
    context = ssl.create_default_context(cafile=authority)
    if job == "handshake":
        visit(port, context, _WARM_UP_SECONDS)
        report("begin")
        report(f"end {visit(port, context, seconds)}")
        return
    size, count = _SIZES[job]
    clients = [connected(port, context) for _ in range(count)]
    exchange(clients, size, _WARM_UP_SECONDS)
    report("begin")
    rounds = exchange(clients, size, seconds)
    report(f"end {rounds * count * (size if job == 'bulk' else 1)}")


def connected(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Return a client after its handshake."""
    plain = socket.create_connection(("127.0.0.1", port))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain, server_hostname="localhost")


def exchange(clients: list[ssl.SSLSocket], size: int, seconds: float) -> int:
    """Let all clients send a message, then let all read it back, repeatedly; return the number of rounds."""
    message = bytes(size)
    rounds, deadline = 0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        for client in clients:
            client.sendall(message)
        for client in clients:
            missing = size
            while missing:
                missing -= len(client.recv(missing)) or missing_server()
        rounds += 1
    return rounds


def visit(port: int, context: ssl.SSLContext, seconds: float) -> int:
    """Open connections one after the other in two threads, and return their number."""
    counts = [0, 0]
    deadline = time.monotonic() + seconds

    def run(number: int) -> None:
        while time.monotonic() < deadline:
            with connected(port, context) as client:
                client.sendall(b"x")
                client.recv(1)
            counts[number] += 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts)


def missing_server() -> int:
    """Exit, because the measurement is over."""
    raise SystemExit("the server closed a connection")


def report(words: str) -> None:
    """Print a line and wait for the caller's."""
    print(words, flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4]))
