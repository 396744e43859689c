"""A worker that starts in a host that uses the bus knows the members of the other workers before it has a client."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from daemons import COMMAND
from installations import Installation
from kernel import descriptors, is_stopped
from line_clients import LineClient, on_each_worker, pid_of
from reactorhost.testing import LiveHost
from waiting import until

Hosts = Callable[..., LiveHost]
Write = Callable[..., str]
StartHost = Callable[..., LiveHost]

# It uses the bus for its clients only.
ROOM = """
from reactorhost import Lines

workers = []

@hookimpl
def framing(service):
    return Lines()

@hookimpl
ASYNC def worker_start(worker):
    workers.append(worker)

@hookimpl
ASYNC def receive(connection, data):
    command, _, name = data.partition(b" ")
    if command == b"join":
        connection.join("room", name)
        connection.send_message(b"ok")
    elif command == b"fill":
        for number in range(int(name)):
            connection.join(f"room{number}", bytes(1000))
        connection.send_message(b"ok")
    else:
        members = sorted(member.info for member in workers[0].presence("room"))
        connection.send_message(b" ".join(members) or b"-")
"""

KINDS = {"plain": ("", ()), "asyncio": ("async ", ()), "uvloop": ("async ", ("--event-loop", "uvloop"))}


@pytest.fixture
def start(live_host: Hosts, write_plugin: Write) -> StartHost:
    """Return a function that starts a host of this many workers, whose clients join a room."""

    def start(workers: int, *arguments: str, kind: str = "plain") -> LiveHost:
        if kind == "uvloop":
            pytest.importorskip("uvloop")
        word, event_loop = KINDS[kind]
        plugin = write_plugin(ROOM.replace("ASYNC ", word))
        return live_host("--plugin", plugin, "--workers", str(workers), *event_loop, *arguments)

    return start


def joined(host: LiveHost, stack: ExitStack) -> list[LineClient]:
    """Return a client of each worker, by slot, that has joined the room: `a`, `b` and so on."""
    clients = on_each_worker(host, stack)
    for client, name in zip(clients, "abcdef", strict=False):
        assert client.request(f"join {name}") == "ok"
    return clients


def finds(host: LiveHost, client: LineClient, members: str) -> bool:
    """Return whether a client finds these members, or its worker has waited as long as it may: a busy machine."""
    return client.request("who") == members or "bus_members_missing" in host.log()


def pids_of(host: LiveHost) -> set[int]:
    return {worker["pid"] for worker in host.workers()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_reloaded_worker_knows_the_members_of_those_that_drain(start: StartHost, kind: str) -> None:
    host = start(2, kind=kind)
    with ExitStack() as stack:
        joined(host, stack)
        for _ in range(2):
            assert host.command("reload").returncode == 0
            assert all(finds(host, client, "a b") for client in on_each_worker(host, stack))


def test_no_client_of_a_reload_misses_a_member(start: StartHost) -> None:
    host = start(1)
    with ExitStack() as stack:
        (member,) = on_each_worker(host, stack)
        # So that what the old worker sends of its members takes a while; the one that is looked for is the last.
        assert member.request("fill 500") == "ok"
        assert member.request("join a") == "ok"
        before = pids_of(host)
        with subprocess.Popen([*COMMAND, "reload", "--run-dir", str(host.run_dir)]) as reload:
            while reload.poll() is None:
                # It may wait for the new worker, which serves it in its first turns.
                with LineClient(host.connect()) as client:
                    assert finds(host, client, "a")
        assert not pids_of(host) & before


def test_the_successor_of_a_crashed_worker_knows_the_members(start: StartHost, expected_errors: list[str]) -> None:
    expected_errors.append("worker_crashed")
    host = start(2)
    with ExitStack() as stack:
        _, second = joined(host, stack)
        pid = pid_of(host, second)
        os.kill(pid, signal.SIGKILL)
        until(lambda: len(pids_of(host) - {pid}) == 2, "the next worker")
        assert finds(host, on_each_worker(host, stack)[1], "a")


def test_a_worker_of_a_new_slot_knows_the_members(start: StartHost) -> None:
    host = start(2)
    with ExitStack() as stack:
        joined(host, stack)
        assert host.command("scale", "3").returncode == 0
        assert finds(host, on_each_worker(host, stack)[2], "a b")


def test_a_worker_of_an_upgraded_host_knows_the_members(start: StartHost, tmp_path: Path) -> None:
    host = start(1)
    with ExitStack() as stack:
        joined(host, stack)
        upgraded = Installation(tmp_path / "installation", "0.1.7").upgrade(host)
        assert upgraded.returncode == 0, upgraded.stderr
        assert all(finds(host, client, "a") for client in on_each_worker(host, stack))


def test_all_workers_begin_when_one_uses_the_bus(start: StartHost) -> None:
    host = start(3)
    with ExitStack() as stack:
        first, second, third = on_each_worker(host, stack)
        pids = [worker["pid"] for worker in host.workers()]
        before = [descriptors(pid) for pid in pids]
        assert first.request("join a") == "ok"
        # One for each pair, and none in the master.
        until(lambda: [descriptors(pid) for pid in pids] == [count + 2 for count in before], "a link between each two")
        for client in (second, third):
            until(lambda client=client: client.request("who") == "a", "the member")  # type: ignore[misc]


def test_a_host_that_does_not_use_the_bus_has_no_links(start: StartHost) -> None:
    host = start(2)
    with ExitStack() as stack:
        on_each_worker(host, stack)
        before = sorted(descriptors(pid) for pid in pids_of(host))
        assert host.command("reload").returncode == 0
        on_each_worker(host, stack)
        until(lambda: sorted(descriptors(pid) for pid in pids_of(host)) == before, "no link")


def test_a_stopped_worker_does_not_keep_a_new_one_from_serving(start: StartHost, expected_errors: list[str]) -> None:
    expected_errors.append("worker_crashed")
    host = start(3)
    with ExitStack() as stack:
        _, second, third = joined(host, stack)
        stopped, killed = pid_of(host, second), pid_of(host, third)
        os.kill(stopped, signal.SIGSTOP)
        try:
            until(lambda: is_stopped(stopped), "the stop")
            os.kill(killed, signal.SIGKILL)
            log = host.wait_for_log("worker_ready", 4)
        finally:
            os.kill(stopped, signal.SIGCONT)
        assert re.search(r"bus_members_missing .*\bseconds=1\.0\b(.|\n)* worker_ready ", log)
        fresh = on_each_worker(host, stack)[2]
        until(lambda: fresh.request("who") == "a b", "the member of the stopped one")
