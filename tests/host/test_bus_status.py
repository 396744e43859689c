"""The bus in `status` and `top`: what two workers exchange is counted exactly."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from socket import socket

from clients import read_exactly
from reactorhost.testing import LiveHost
from waiting import until

Hosts = Callable[..., LiveHost]
Write = Callable[..., str]

PLUGIN = """
@hookimpl
def worker_start(worker):
    global own
    own = worker

@hookimpl
def connect(connection):
    connection.join("room", b"member")
    connection.send(b"%07d\\n" % own.pid)

@hookimpl
def receive(connection, data):
    if data == b"?":
        connection.send(b"%07d\\n" % len(own.presence("room")))
        return
    for letter in data:
        own.send_to("room", b"%c" % letter)
"""


def members(host: LiveHost, stack: ExitStack, wanted: int) -> dict[int, list[socket]]:
    """Connect clients until so many workers have some; returns them by the process id of their worker."""
    found: dict[int, list[socket]] = {}
    while len(found) < wanted:
        client = stack.enter_context(host.connect())
        found.setdefault(int(read_exactly(client, 8)), []).append(client)
    return found


def counted(client: socket) -> int:
    """Return how many members the worker of a client knows."""
    client.sendall(b"?")
    return int(read_exactly(client, 8))


def test_a_host_whose_plugins_do_not_use_the_bus_has_none(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    document = host.status()
    assert [document["bus"], *(each["bus"] for each in document["workers"])] == [None] * 3
    assert "bus" not in host.command("status").stdout


def test_messages_and_members_are_counted_by_worker_and_kept_when_one_ends(
    live_host: Hosts, write_plugin: Write, expected_errors: list[str]
) -> None:
    expected_errors.append("worker_crashed")
    host = live_host("--plugin", write_plugin(PLUGIN), "--workers", "2")
    with ExitStack() as stack:
        first, second = members(host, stack, 2).items()
        everyone = [*first[1], *second[1]]
        # A worker of which the other one does not know yet would miss what that one sends.
        for client in everyone:
            until(lambda client=client: counted(client) == len(everyone), "all members")  # type: ignore[misc]
        for count, (_, (client, *_)) in zip((30, 12), (first, second), strict=True):
            client.sendall(b"x" * count)
        for client in everyone:
            assert read_exactly(client, 42) == b"x" * 42
        # Each worker stores its figures at a time of its own.
        document = host.until(
            lambda found: found["bus"] is not None and found["bus"]["messages_in"] == found["bus"]["messages_out"] == 42
        )
        bus = document["bus"]
        assert (bus["groups"], bus["members"], bus["messages_out"], bus["dropped"]) == (2, len(everyone), 42, 0)
        assert bus["backend"] is None
        by_worker = {each["pid"]: each["bus"] for each in document["workers"]}
        for (pid, clients), sent in ((first, 30), (second, 12)):
            own = by_worker[pid]
            assert (own["groups"], own["members"]) == (1, len(clients))
            assert (own["messages_out"], own["messages_in"]) == (sent, 42 - sent)
        shown = host.command("status").stdout
        assert f"\nbus: 2 groups  {len(everyone)} members  in " in shown
        os.kill(second[0], signal.SIGKILL)
        left = len(first[1])
        host.until(lambda found: found["bus"]["members"] == left and found["workers_ready"] == 2)
        once = json.loads(host.command("top", "--once", "--json").stdout)
        assert (once["bus"]["messages_out"], once["bus"]["messages_in"]) == (42, 42)
