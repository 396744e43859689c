"""Requests that fail while a server replaces its workers: on a new connection for each, and on persistent ones.

A request has failed when its connection is refused or reset, or ends before the answer. A client that is sent
`Connection: close`, or whose idle connection is closed, connects anew. A request that was sent on a connection while
the server was closing it counts as lost.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from dataclasses import dataclass, field

from servers import Server

_CLIENTS = 4
_SECONDS_BETWEEN = 1.0
_PATIENCE_SECONDS = 10.0
_REQUEST = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: {}\r\n\r\n"


@dataclass(slots=True)
class Losses:
    """The number of all requests, and of those that failed on `new` and on `persistent` connections."""

    requests: int = 0
    lost: dict[str, int] = field(default_factory=lambda: {"new": 0, "persistent": 0})
    lock: threading.Lock = field(default_factory=threading.Lock)


def lost_in_reloads(server: Server, reload: signal.Signals, times: int) -> Losses:
    """Request all the time while a signal replaces the workers so many times; returns what was lost."""
    losses = Losses()
    done = threading.Event()
    clients = [
        threading.Thread(target=_request_until, args=(done, server.port, losses, persistent))
        for persistent in (False, True)
        for _ in range(_CLIENTS)
    ]
    for client in clients:
        client.start()
    try:
        for _ in range(times):
            os.kill(server.pid, reload)
            time.sleep(_SECONDS_BETWEEN)
    finally:
        done.set()
        for client in clients:
            client.join()
    return losses


def _request_until(done: threading.Event, port: int, losses: Losses, persistent: bool) -> None:
    request = _REQUEST.format("keep-alive" if persistent else "close").encode()
    sock: socket.socket | None = None
    while not done.is_set():
        lost = False
        try:
            if sock is not None and _is_closed(sock):
                sock.close()
                sock = None
            if sock is None:
                sock = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_SECONDS)
            goes_on = _answered(sock, request)
        except OSError:
            lost, goes_on = True, False
        if sock is not None and not (goes_on and persistent):
            sock.close()
            sock = None
        with losses.lock:
            losses.requests += 1
            losses.lost["persistent" if persistent else "new"] += lost
    if sock is not None:
        sock.close()


def _is_closed(sock: socket.socket) -> bool:
    """Return whether the server has closed a connection, as far as is known here."""
    # Asked first: a read of a socket with a timeout would wait.
    return bool(select.select([sock], [], [], 0)[0]) and not sock.recv(1, socket.MSG_PEEK)


def _answered(sock: socket.socket, request: bytes) -> bool:
    """Make a request; returns whether the connection stays.

    Raises:
        OSError: there is no complete answer.
    """
    sock.sendall(request)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _received(sock)
    head, _, body = answer.partition(b"\r\n\r\n")
    fields = {
        name.strip().lower(): value.strip().lower()
        for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
    }
    while len(body) < int(fields[b"content-length"]):
        body += _received(sock)
    if not head.startswith(b"HTTP/1.1 200"):
        raise ConnectionError(head)
    return fields.get(b"connection") != b"close"


def _received(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise ConnectionError("the server closed the connection")
    return data
