"""Idle clients: `idle.py PORT COUNT` opens COUNT connections, prints `connected`, and stays until its input ends."""

from __future__ import annotations

import contextlib
import resource
import socket
import sys

CLIENTS_A_SOURCE = 20_000
IP_BIND_ADDRESS_NO_PORT = 24
PATIENCE_SECONDS = 20.0


def main(port: int, count: int) -> None:
    """Connect, report, wait."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with contextlib.ExitStack() as clients:
        for number in range(count):
            clients.enter_context(connected(port, f"127.0.0.{2 + number // CLIENTS_A_SOURCE}"))
        print("connected", flush=True)
        sys.stdin.read()


def connected(port: int, source: str) -> socket.socket:
    """Return a client. One source address has some 28,000 ports."""
    client = socket.socket()
    client.settimeout(PATIENCE_SECONDS)
    # The port is chosen at connect, so that it needs to be free only for this server.
    client.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    client.bind((source, 0))
    client.connect(("127.0.0.1", port))
    return client


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
