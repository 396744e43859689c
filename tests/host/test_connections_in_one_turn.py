"""A hook acts on other connections that have events in the same turn."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clients import ended
from kernel import is_stopped
from plugin_files import told
from reactorhost.testing import LiveHost
from waiting import until

Hosts = Callable[..., LiveHost]

KNOWN = """
known = []

@hookimpl
def connect(connection):
    known.append(connection)
    tell("connect")

@hookimpl
def close(connection, reason):
    known.remove(connection)
    tell("close", id=connection.id, reason=reason.value)
"""


def received_in_one_turn(host: LiveHost, clients: list[socket.socket]) -> int:
    """Make the worker receive from all clients in one turn; returns the id of the first connection."""
    assert [told(host)["event"] for _ in clients] == ["connect"] * len(clients)
    pid = host.workers()[0]["pid"]
    os.kill(pid, signal.SIGSTOP)
    until(lambda: is_stopped(pid), "the worker's stop")
    for client in clients:
        client.sendall(b"x")
    os.kill(pid, signal.SIGCONT)
    first = told(host)
    assert first["event"] == "receive"
    return int(first["id"])


def acting_on_others(action: str) -> tuple[str, str]:
    return (
        KNOWN,
        f"""
        @hookimpl
        def receive(connection, data):
            tell("receive", id=connection.id)
            for other in list(known):
                if other is not connection:
                    other.{action}()
        """,
    )


@pytest.fixture
def clients() -> Iterator[list[socket.socket]]:
    """Return a list whose sockets are closed after the test."""
    opened: list[socket.socket] = []
    yield opened
    for client in opened:
        client.close()


@pytest.mark.parametrize("action", ["abort", "close"])
def test_a_connection_that_another_one_closes_receives_nothing_more_in_the_same_turn(
    host_with: Hosts, clients: list[socket.socket], action: str
) -> None:
    host = host_with(*acting_on_others(action))
    pid = host.workers()[0]["pid"]
    clients += [host.connect() for _ in range(5)]
    first = received_in_one_turn(host, clients)
    for number, client in enumerate(clients, 1):
        if number == first:
            client.close()
        else:
            assert ended(client)
            client.close()
    facts = [told(host) for _ in range(5)]
    assert {fact["event"] for fact in facts} == {"close"}
    reasons = {fact["id"]: fact["reason"] for fact in facts}
    assert reasons == {number: "peer" if number == first else "local" for number in range(1, 6)}
    assert host.workers()[0]["pid"] == pid


def test_a_connection_that_another_one_pauses_receives_nothing_more_in_the_same_turn(
    host_with: Hosts, clients: list[socket.socket]
) -> None:
    host = host_with(*acting_on_others("pause"))
    clients += [host.connect() for _ in range(5)]
    first = received_in_one_turn(host, clients)
    # Only the first is still read, so only its end is noticed.
    for client in clients:
        client.close()
    assert told(host) == {"event": "close", "id": first, "reason": "peer"}


def test_a_connection_that_another_one_half_closes_goes_on_receiving(
    host_with: Hosts, clients: list[socket.socket]
) -> None:
    host = host_with(*acting_on_others("send_eof"))
    clients += [host.connect() for _ in range(5)]
    first = received_in_one_turn(host, clients)
    others = {told(host)["id"] for _ in range(4)}
    assert others == set(range(1, 6)) - {first}


def test_a_hook_may_send_to_other_connections(host_with: Hosts) -> None:
    host = host_with(
        KNOWN,
        """
        @hookimpl
        def receive(connection, data):
            for other in known:
                other.send(data)
        """,
    )
    with host.connect() as one, host.connect() as two:
        assert [told(host)["event"] for _ in range(2)] == ["connect"] * 2
        one.sendall(b"to all")
        assert one.recv(10) == two.recv(10) == b"to all"


def test_a_late_answer_reaches_a_half_closed_client_that_was_paused(
    live_host: Callable[..., LiveHost], tmp_path: Path
) -> None:
    (tmp_path / "later.py").write_text(
        "from reactorhost import hookimpl\n"
        "def answer(connection, data):\n    connection.send(data)\n    connection.resume()\n"
        "@hookimpl\ndef receive(connection, data):\n"
        "    connection.pause()\n    connection.call_later(0.2, answer, connection, data)\n"
    )
    host = live_host("--plugin", str(tmp_path / "later.py"))
    with host.connect() as client:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b"question"
        assert client.recv(100) == b""
