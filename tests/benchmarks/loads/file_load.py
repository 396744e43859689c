"""Load for a server that answers each byte with a file.

`file_load.py PORT SIZE CLIENTS SECONDS` prints `begin` and `end BYTES` around the measured time, then waits for a line
on standard input. All clients ask at once, and read one after the other.
"""

from __future__ import annotations

import socket
import sys
import time

_WARM_UP_SECONDS = 0.3
_PIECE_BYTES = 1024 * 1024


def main(port: int, size: int, count: int, seconds: float) -> None:
    """Do the job, and report the bytes that were received."""
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
    exchange(clients, size, _WARM_UP_SECONDS)
    report("begin")
    report(f"end {exchange(clients, size, seconds)}")


def exchange(clients: list[socket.socket], size: int, seconds: float) -> int:
    """Let all clients ask, then let all read the file, repeatedly; return the number of bytes."""
    buffer = bytearray(_PIECE_BYTES)
    received, deadline = 0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        for client in clients:
            client.sendall(b"x")
        for client in clients:
            missing = size
            while missing:
                read = client.recv_into(buffer, min(missing, _PIECE_BYTES))
                if not read:
                    raise SystemExit("the server closed a connection")
                missing -= read
        received += size * len(clients)
    return received


def report(words: str) -> None:
    """Print a line and wait for the caller's."""
    print(words, flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
