"""A load of HTTP requests that counts those that fail: on a new connection for each, and on persistent ones.

A request has failed when its connection is refused or reset, when there is no complete answer, or when the answer is an
error. A client that is sent `Connection: close`, or that finds its idle connection closed, connects anew. A request
that was sent on a persistent connection while the server was closing it counts as failed: HTTP/1.1 permits both sides
to do that, and a client that cannot repeat the request has lost it.

Answers contain the process that served, which shows the workers of any server from outside.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

FAST_CLIENTS = 4
SLOW_CLIENTS = 1
CONNECTIONS = ("new", "persistent")
_PATIENCE_SECONDS = 10.0
# All servers get about the same number of requests a second, whatever they could do.
_PAUSE_SECONDS = 0.002
_REQUEST = "GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: {}\r\n\r\n"


class ErrorAnswerError(Exception):
    """The answer has a status other than 200."""


@dataclass(slots=True)
class Load:
    """What was requested until now.

    Attributes:
        requests: their number by the kind of connection.
        lost: the number of failures by kind of connection and of failure.
        answered_at: the monotonic time of the last answer, by process.
    """

    port: int
    requests: Counter[str] = field(default_factory=Counter)
    lost: dict[str, Counter[str]] = field(default_factory=lambda: {kind: Counter() for kind in CONNECTIONS})
    answered_at: dict[int, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _done: threading.Event = field(default_factory=threading.Event)

    def workers(self, since: float = 0.0) -> set[int]:
        """Return the processes that have answered since a time and that run."""
        with self._lock:
            return {pid for pid, at in self.answered_at.items() if at >= since and is_alive(pid)}

    def request_until_done(self, connections: str, path: str) -> None:
        """Request again and again, each time a moment after the answer."""
        client = Client(self.port, path, stays=connections == "persistent")
        while not self._done.wait(_PAUSE_SECONDS):
            try:
                pid, failure = client.request(), None
            except (OSError, ErrorAnswerError) as error:
                pid, failure = None, failure_of(error)
            with self._lock:
                self.requests[connections] += 1
                if failure:
                    self.lost[connections][failure] += 1
                if pid is not None:
                    self.answered_at[pid] = time.monotonic()
        client.close()

    def end(self) -> None:
        """Let the clients end after their current request."""
        self._done.set()


@contextlib.contextmanager
def running_load(port: int) -> Iterator[Load]:
    """Run the clients of both kinds: some whose requests are answered at once, and one whose requests take a while."""
    load = Load(port)
    paths = ["/"] * FAST_CLIENTS + ["/slow"] * SLOW_CLIENTS
    clients = [
        threading.Thread(target=load.request_until_done, args=(kind, path)) for kind in CONNECTIONS for path in paths
    ]
    for client in clients:
        client.start()
    try:
        yield load
    finally:
        load.end()
        for client in clients:
            client.join()


def failure_of(error: Exception) -> str:
    """Return how a request failed."""
    match error:
        case ErrorAnswerError():
            return "error answer"
        case ConnectionRefusedError():
            return "refused"
        case ConnectionResetError() | BrokenPipeError():
            return "reset"
        case _:
            return "unanswered"


class Client:
    """A client with at most one connection, which it keeps if it may."""

    def __init__(self, port: int, path: str, *, stays: bool) -> None:
        self._port = port
        self._stays = stays
        self._request = _REQUEST.format(path, "keep-alive" if stays else "close").encode()
        self._sock: socket.socket | None = None

    def request(self) -> int:
        """Make a request; returns the process that answered.

        Raises:
            OSError: the request was refused or reset, or there is no complete answer.
            ErrorAnswerError: the answer is an error.
        """
        if self._sock is not None and _is_closed(self._sock):
            self.close()
        goes_on = False
        try:
            sock = self._sock or self.connect()
            sock.settimeout(_PATIENCE_SECONDS)
            body, goes_on = _answered(sock, self._request)
            return int(body)
        finally:
            if not (goes_on and self._stays):
                self.close()

    def connect(self, *, waits: bool = True) -> socket.socket:
        """Connect, or only begin to connect, which the next request completes."""
        self._sock = socket.socket()
        self._sock.settimeout(_PATIENCE_SECONDS if waits else 0)
        with contextlib.suppress(BlockingIOError):
            self._sock.connect(("127.0.0.1", self._port))
        return self._sock

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None


def is_alive(pid: int) -> bool:
    """Return whether a process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _is_closed(sock: socket.socket) -> bool:
    """Return whether the server has closed a connection, as far as is known here."""
    # Select first: a read of a socket with a timeout would wait.
    if not select.select([sock], [], [], 0)[0]:
        return False
    try:
        return not sock.recv(1, socket.MSG_PEEK)
    except ConnectionResetError:
        return True


def _answered(sock: socket.socket, request: bytes) -> tuple[bytes, bool]:
    """Make a request; returns the body of the answer, and whether the connection stays.

    Raises:
        OSError: there is no complete answer.
        ErrorAnswerError: the status is not 200.
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
    while len(body) < int(fields.get(b"content-length", 0)):
        body += _received(sock)
    if not head.startswith(b"HTTP/1.1 200"):
        raise ErrorAnswerError(head)
    return body, fields.get(b"connection") != b"close"


def _received(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise ConnectionError("the server closed the connection")
    return data
