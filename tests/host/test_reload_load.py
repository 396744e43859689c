"""The load of the reload table counts every request that a server does not answer, and no other."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from reactorhost.testing import DEADLINE_SECONDS
from reload_load import Client, failure_of
from reload_table import spread

Answering = Callable[[socket.socket], None]


def head(status: str, *fields: str, pid: int = 0) -> bytes:
    body = str(pid or os.getpid()).encode()
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", ""]).encode() + body


def answer(sock: socket.socket) -> None:
    sock.sendall(head("200 OK"))


def answer_and_close(sock: socket.socket) -> None:
    sock.sendall(head("200 OK", "Connection: close"))
    sock.close()


def close(sock: socket.socket) -> None:
    sock.close()


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def half_an_answer(sock: socket.socket) -> None:
    sock.sendall(head("200 OK")[:-1])
    sock.close()


def error(sock: socket.socket) -> None:
    sock.sendall(head("503 Service Unavailable"))


@contextlib.contextmanager
def served(*answerings: Answering) -> Iterator[int]:
    """Answer one request after the other, each on the open connection or, when that is closed, on the next one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE_SECONDS)
        thread = threading.Thread(target=serve, args=(listener, answerings))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join()


def accept(listener: socket.socket) -> socket.socket:
    sock, _ = listener.accept()
    sock.settimeout(DEADLINE_SECONDS)
    return sock


def serve(listener: socket.socket, answerings: tuple[Answering, ...]) -> None:
    sock = None
    for answering in answerings:
        if sock is None or sock.fileno() < 0:
            sock = accept(listener)
        while not sock.recv(65536):
            sock.close()
            sock = accept(listener)
        answering(sock)
    if sock is not None:
        sock.close()


def outcomes(port: int, count: int, *, stays: bool) -> list[str]:
    client = Client(port, "/", stays=stays)
    found = []
    for _ in range(count):
        try:
            found.append("answered" if client.request() == os.getpid() else "by another process")
        except Exception as failure:  # noqa: BLE001  # every failure has a name
            found.append(failure_of(failure))
    client.close()
    return found


@pytest.mark.parametrize(
    ("answering", "outcome"),
    [(close, "unanswered"), (reset, "reset"), (half_an_answer, "unanswered"), (error, "error answer")],
)
@pytest.mark.parametrize("stays", [False, True])
def test_a_request_without_an_answer_is_lost_and_the_next_one_is_not(
    answering: Answering, outcome: str, stays: bool
) -> None:
    with served(answer, answering, answer) as port:
        assert outcomes(port, 3, stays=stays) == ["answered", outcome, "answered"]


def test_a_connection_that_the_server_ends_between_requests_loses_none() -> None:
    with served(answer_and_close, answer, answer) as port:
        assert outcomes(port, 3, stays=True) == ["answered"] * 3


def test_a_refused_connection_is_lost() -> None:
    # Bound and not listening: no other process gets the port.
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        assert outcomes(reserved.getsockname()[1], 1, stays=True) == ["refused"]


@pytest.mark.parametrize("at_once", [False, True])
def test_the_spread_is_what_the_busiest_worker_has_divided_by_the_mean(at_once: bool) -> None:
    kept = []

    def answer_as(pid: int) -> Answering:
        def answering(sock: socket.socket) -> None:
            sock.sendall(head("200 OK", pid=pid))
            kept.append(sock.dup())
            sock.close()

        return answering

    with served(*map(answer_as, (1, 2, 1, 1))) as port:
        assert spread(port, 4, 2, at_once=at_once) == 1.5
    for sock in kept:
        assert sock.recv(1) == b"", "the connections are closed"
        sock.close()
