"""Conversations through a relay, and what each side sees of them.

The test plays both sides with plain sockets, and each conversation is one that ends by itself.
"""

from __future__ import annotations

import hashlib
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import NamedTuple

from reactorhost.testing import DEADLINE_SECONDS

_BYTES = 4 * 1024 * 1024
DATA = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(_BYTES // 32))


class Relay(NamedTuple):
    """Where a relay listens, and the listener of its server.

    Attributes:
        main: leads to `server`.
        second: leads to a server that refuses, and then to `server`.
        nowhere: leads to a server that refuses.
    """

    main: tuple[str, int]
    second: tuple[str, int]
    nowhere: tuple[str, int]
    server: socket.socket


def listener() -> socket.socket:
    """Return a listening socket; what it accepts times out."""
    sock = socket.create_server(("127.0.0.1", 0))
    sock.settimeout(DEADLINE_SECONDS)
    return sock


def dial(address: tuple[str, int]) -> socket.socket:
    """Return a connected client."""
    return socket.create_connection(address, timeout=DEADLINE_SECONDS)


def accept(server: socket.socket) -> socket.socket:
    """Return the next connection of a listener."""
    sock, _ = server.accept()
    sock.settimeout(DEADLINE_SECONDS)
    return sock


def read_all(sock: socket.socket) -> tuple[bytes, str]:
    """Return everything up to the end, and how it ends: `end` or `reset`."""
    received = bytearray()
    try:
        while data := sock.recv(65536):
            received += data
    except ConnectionResetError:
        return bytes(received), "reset"
    return bytes(received), "end"


def reset(sock: socket.socket) -> None:
    """Close a socket with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def client_ends_first(relay: Relay) -> object:
    """A client sends its request and its end, and then gets the answer."""
    with dial(relay.main) as client, accept(relay.server) as server:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        asked = read_all(server)
        server.sendall(b"answer")
        server.shutdown(socket.SHUT_WR)
        return asked, read_all(client)


def server_ends_first(relay: Relay) -> object:
    """A server sends its end, and then gets what the client sends."""
    with dial(relay.main) as client, accept(relay.server) as server:
        server.sendall(b"greeting")
        server.shutdown(socket.SHUT_WR)
        greeted = read_all(client)
        client.sendall(b"upload")
        client.shutdown(socket.SHUT_WR)
        return greeted, read_all(server)


def server_resets(relay: Relay) -> object:
    """A server breaks its connection after a part of its answer has arrived."""
    with dial(relay.main) as client:
        server = accept(relay.server)
        server.sendall(b"part")
        part = client.recv(4, socket.MSG_WAITALL)
        reset(server)
        return part, read_all(client)


def client_resets(relay: Relay) -> object:
    """A client breaks its connection after a part of its request has arrived."""
    client = dial(relay.main)
    with accept(relay.server) as server:
        client.sendall(b"part")
        part = server.recv(4, socket.MSG_WAITALL)
        reset(client)
        return part, read_all(server)


def all_is_written_before_anything_is_read(relay: Relay) -> object:
    """A client writes 4 MiB and reads nothing before it is done, while the server sends 4 MiB to it."""
    with dial(relay.main) as client, accept(relay.server) as server, ThreadPoolExecutor() as threads:

        def send(sock: socket.socket) -> None:
            sock.sendall(DATA)
            sock.shutdown(socket.SHUT_WR)

        answering, reading = threads.submit(send, server), threads.submit(read_all, server)
        send(client)
        received = read_all(client)
        answering.result(DEADLINE_SECONDS)
        return received == (DATA, "end"), reading.result(DEADLINE_SECONDS) == (DATA, "end")


def first_server_refuses(relay: Relay) -> object:
    """The first of two servers refuses the connection."""
    with dial(relay.second) as client, accept(relay.server) as server:
        client.sendall(b"hello")
        return server.recv(5, socket.MSG_WAITALL)


def every_server_refuses(relay: Relay) -> object:
    """The only server refuses the connection."""
    with closing(dial(relay.nowhere)) as client:
        return read_all(client)


CONVERSATIONS: dict[Callable[[Relay], object], object] = {
    client_ends_first: ((b"question", "end"), (b"answer", "end")),
    server_ends_first: ((b"greeting", "end"), (b"upload", "end")),
    server_resets: (b"part", (b"", "end")),
    client_resets: (b"part", (b"", "end")),
    all_is_written_before_anything_is_read: (True, True),
    first_server_refuses: b"hello",
    every_server_refuses: (b"", "end"),
}
"""Each with what is seen of it through the plugin."""

OF_HAPROXY = CONVERSATIONS | {client_resets: (b"part", (b"", "reset"))}
"""The same through HAProxy, which passes on the reset of a client."""
