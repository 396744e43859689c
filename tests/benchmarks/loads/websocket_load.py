"""Load for a WebSocket server: `websocket_load.py PORT JOB CLIENTS SECONDS`.

Prints `begin` and `end COUNT` around the measured time, then waits for a line on standard input. The job is `echo`:
each client sends 64 bytes and reads them back, over and over; or `broadcast`: one client sends 64 bytes, and all
clients read them. The count is that of the messages that the clients have received. Nothing is compressed.
"""

from __future__ import annotations

import socket
import struct
import sys
import time

_WARM_UP_SECONDS = 0.3
_SIZE = 64
_MASK = b"\x12\x34\x56\x78"
# A mask of the same four bytes: masking text of one letter gives the mask's bytes under that letter, over and over.
_MESSAGE = struct.pack("!BB", 0x81, 0x80 | _SIZE) + _MASK + bytes(byte ^ ord("x") for byte in _MASK) * (_SIZE // 4)
_ANSWER = struct.pack("!BB", 0x81, _SIZE) + b"x" * _SIZE
_IN_FLIGHT = 8
"""Messages that the sender of a broadcast sends at once."""


def main(port: int, job: str, count: int, seconds: float) -> None:
    """Do the job, and report the count."""
    clients = [connected(port) for _ in range(count)]
    run = broadcast if job == "broadcast" else echo
    run(clients, _WARM_UP_SECONDS)
    report("begin")
    report(f"end {run(clients, seconds)}")


def connected(port: int) -> socket.socket:
    """Return a client after its handshake."""
    client = socket.create_connection(("127.0.0.1", port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\n\r\n"
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += client.recv(1) or ended()
    if not answer.startswith(b"HTTP/1.1 101 "):
        ended()
    return client


def echo(clients: list[socket.socket], seconds: float) -> int:
    """Let all clients send a message, then let all read it back, repeatedly."""
    count, deadline = 0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        for client in clients:
            client.sendall(_MESSAGE)
        for client in clients:
            read(client, _ANSWER)
        count += len(clients)
    return count


def broadcast(clients: list[socket.socket], seconds: float) -> int:
    """Let the first client send some messages, then let all read them, repeatedly."""
    count, deadline = 0, time.monotonic() + seconds
    while time.monotonic() < deadline:
        for _ in range(_IN_FLIGHT):
            clients[0].sendall(_MESSAGE)
        for client in clients:
            read(client, _ANSWER * _IN_FLIGHT)
        count += _IN_FLIGHT * len(clients)
    return count


def read(client: socket.socket, expected: bytes) -> None:
    """Read what a client has to get."""
    received = b""
    while len(received) < len(expected):
        received += client.recv(len(expected) - len(received)) or ended()
    if received != expected:
        raise SystemExit("failed: the server sent something else")


def ended() -> bytes:
    """Exit, because the measurement is over."""
    raise SystemExit("failed: the server closed a connection, or refused it")


def report(words: str) -> None:
    """Print a line and wait for the caller's."""
    print(words, flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
