"""Shared counters: the sum over all workers is exact, however workers come and go."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, Self

from clients import read_exactly
from reactorhost.testing import DEADLINE_SECONDS, LiveHost

Hosts = Callable[..., LiveHost]
Write = Callable[..., str]

PLUGIN = """
import os

@hookimpl
def worker_start(worker):
    global hits
    hits = worker.shared_counter("hits")

@hookimpl
def receive(connection, data):
    if data == b"?":
        connection.send(b"%d %d\\n" % (os.getpid(), hits.value))
        return
    for _ in data:
        hits.add()
    connection.send(data)
"""


def shown(host: LiveHost) -> Any:
    return host.status()["plugins"][0]["stats"]["hits"]


def sums(host: LiveHost) -> set[int]:
    """Return what the workers answer to their first or next client, once each of them has answered."""
    missing = {worker["pid"] for worker in host.workers()}
    answers = set()
    deadline = time.monotonic() + DEADLINE_SECONDS
    while missing and time.monotonic() < deadline:
        with host.connect() as client, client.makefile("rb") as lines:
            client.sendall(b"?")
            pid, value = lines.readline().split()
        missing.discard(int(pid))
        answers.add(int(value))
    assert not missing
    return answers


def add(host: LiveHost, clients: int, count: int) -> None:
    """Let many clients add at the same time."""
    open_ones = [host.connect() for _ in range(clients)]
    for client in open_ones:
        client.sendall(b"x" * count)
    for client in open_ones:
        read_exactly(client, count)
        client.close()


class Adder:
    """A client in a thread that connects and adds 10, again and again."""

    def __init__(self, host: LiveHost) -> None:
        self.added = 0
        self._host = host
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stopped.set()
        self._thread.join(DEADLINE_SECONDS)

    def _run(self) -> None:
        while not self._stopped.is_set():
            with self._host.connect() as client:
                client.sendall(b"x" * 10)
                read_exactly(client, 10)
                self.added += 10


def test_a_sum_is_exact_over_many_clients_reloads_and_scaling(live_host: Hosts, write_plugin: Write) -> None:
    host = live_host("--plugin", write_plugin(PLUGIN), "--workers", "4")
    add(host, 32, 500)
    assert shown(host) == 16000
    assert sums(host) == {16000}
    with Adder(host) as adder:
        for command in (["reload"], ["scale", "1"], ["scale", "4"], ["reload"]):
            assert host.command(*command).returncode == 0
    assert adder.added
    assert shown(host) == 16000 + adder.added
    assert sums(host) == {16000 + adder.added}
    assert "\nmade:  hits " in host.command("status").stdout


def test_what_was_added_before_a_kill_is_kept(
    live_host: Hosts, write_plugin: Write, expected_errors: list[str]
) -> None:
    expected_errors.append("worker_crashed")
    host = live_host("--plugin", write_plugin(PLUGIN), "--workers", "2")
    expected = 0
    for _ in range(3):
        add(host, 8, 100)
        expected += 800
        (first, second) = (worker["pid"] for worker in host.workers())
        os.kill(first, signal.SIGKILL)
        os.kill(second, signal.SIGKILL)

        def replaced(found: dict[str, Any], ended: tuple[int, int] = (first, second)) -> bool:
            return found["workers_ready"] == 2 and not {each["pid"] for each in found["workers"]} & {*ended}

        # The new workers have the pages of the killed ones, and continue in their cells.
        host.until(replaced, "two new workers")
        assert sums(host) == {expected}
        assert shown(host) == expected
