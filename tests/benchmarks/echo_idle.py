"""Idle clients: `echo_idle.py PORT COUNT` connects so many, prints `connected`, and stays until its input ends."""

from __future__ import annotations

import resource
import socket
import sys

CLIENTS_A_SOURCE = 20_000
IP_BIND_ADDRESS_NO_PORT = 24


def main(port: int, count: int) -> None:
    """Connect, tell, wait."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    clients = []
    for number in range(count):
        # One source address has some 28,000 ports.
        source = f"127.0.0.{2 + number // CLIENTS_A_SOURCE}"
        client = socket.socket()
        # The port is chosen when it connects, so that it has to be free for this server only.
        client.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        client.bind((source, 0))
        client.connect(("127.0.0.1", port))
        clients.append(client)
    print("connected", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
