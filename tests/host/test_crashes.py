"""Workers that crash: only the connections that they had accepted are lost, and they are replaced."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import time
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from clients import ended
from kernel import is_stopped, queues
from load import IN_FLIGHT, Load
from plugin_files import ECHO, plugin_file
from reactorhost.testing import DEADLINE_SECONDS, LiveHost
from waiting import until

Hosts = Callable[..., LiveHost]

BREAKABLE = """
import os, signal, threading
from pathlib import Path

@hookimpl
def worker_start(worker):
    how = Path(__file__).with_name(f"break-{worker.slot}")
    if how.exists():
        match how.read_text():
            case "exit": os._exit(9)
            case "raise": raise RuntimeError("broken on purpose")
            case "die": os.kill(os.getpid(), signal.SIGKILL)
            case "hang": threading.Event().wait()
"""
"""Runs the code of the file `break-SLOT` beside the plugin when it boots in that slot, if the file exists."""


def pid_of(host: LiveHost, slot: int) -> int:
    return int(next(worker["pid"] for worker in host.workers() if worker["slot"] == slot))


def clients(address: tuple[str, int], count: int) -> list[socket.socket]:
    """Open connections without waiting for them."""
    opened = []
    for _ in range(count):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(address)
        opened.append(client)
    return opened


class EchoClients:
    """Clients that each send a line once they are connected, and wait for its echo."""

    def __init__(self, address: tuple[str, int], count: int) -> None:
        self.waiting = dict.fromkeys(clients(address, count), False)
        self.answered: list[socket.socket] = []

    def turn(self, seconds: float) -> None:
        """Continue with the clients that are ready; an error of any of them is raised."""
        unsent = [client for client, sent in self.waiting.items() if not sent]
        readable, writable, _ = select.select(list(self.waiting), unsent, (), seconds)
        for client in writable:
            client.send(b"hello\n")
            self.waiting[client] = True
        for client in readable:
            if self.waiting[client]:
                assert client.recv(6) == b"hello\n"
                del self.waiting[client]
                self.answered.append(client)

    def finish(self) -> None:
        """Wait until each has its echo."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self.waiting:
            assert time.monotonic() < deadline, f"{len(self.waiting)} clients have no answer"
            self.turn(0.5)

    def close(self) -> None:
        for client in (*self.waiting, *self.answered):
            client.close()


def test_a_killed_worker_loses_only_the_connections_that_it_had_accepted(
    live_host: Hosts, expected_errors: list[str], soak: bool, measurement: Callable[[str], None]
) -> None:
    expected_errors.append("worker_crashed")
    # The back-off of a slot grows with each kill, so many kills need many slots.
    workers, kills = (8, 48) if soak else (2, 6)
    host = live_host("--plugin", "echo", "--workers", str(workers))
    with Load(host.address()) as load:
        lost = load.more(100).failed
        assert lost == 0
        for number in range(kills):
            os.kill(pid_of(host, number % workers), signal.SIGKILL)
            host.wait_for_log("worker_crashed", number + 1)
            host.until(lambda status: status["workers_ready"] == len(status["workers"]) == workers)
            count = load.more(100)
            assert count.failed - lost <= IN_FLIGHT
            lost = count.failed
        after = load.more(500)
        assert after.failed == lost, "connections failed without a kill"
        count = load.stop()
    measurement(f"{kills} workers killed: {count.answered} connections answered, failures {count.failures}")
    assert set(count.failures) <= {"reset", "eof"}, count


def test_a_crash_is_logged_with_the_memory_that_the_worker_had_at_its_end(
    live_host: Hosts, write_plugin: Callable[..., str], expected_errors: list[str]
) -> None:
    expected_errors.append("worker_crashed")
    plugin = write_plugin(
        """
import os

@hookimpl
def receive(connection, data):
    filled = b"x" * 200_000_000
    os._exit(len(filled) % 7)
"""
    )
    host = live_host("--plugin", plugin, "--workers", "1")
    with host.connect() as client:
        client.sendall(b"x")
        log = host.wait_for_log("worker_crashed")
    found = re.search(r"rss_peak_bytes=(\d+)", log)
    assert found is not None
    assert int(found[1]) > 200_000_000


def test_the_kernel_prefers_a_worker_to_the_master_when_memory_is_short(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    scores = [int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in (host.pid, pid_of(host, 0))]
    assert scores[1] == min(1000, scores[0] + 100)


def test_all_workers_killed_at_once_are_all_replaced(live_host: Hosts, expected_errors: list[str]) -> None:
    expected_errors.append("worker_crashed")
    host = live_host("--plugin", "echo", "--workers", "4")
    with Load(host.address()) as load:
        load.more(100)
        for worker in host.workers():
            os.kill(worker["pid"], signal.SIGKILL)
        host.wait_for_log("worker_crashed", 4)
        host.until(lambda status: status["workers_ready"] == 4)
        lost = load.more(100)
        assert lost.failed <= IN_FLIGHT
        assert set(lost.failures) <= {"reset", "eof"}
        assert load.more(500).failed == lost.failed
        assert load.stop().failed == lost.failed


def test_connections_in_the_queue_of_a_killed_worker_are_answered(live_host: Hosts, expected_errors: list[str]) -> None:
    expected_errors.append("worker_crashed")
    # A second worker would adopt the queue.
    host = live_host("--plugin", "echo", "--workers", "1")
    address = host.address()
    victim = pid_of(host, 0)
    os.kill(victim, signal.SIGSTOP)
    until(lambda: is_stopped(victim), "the worker's stop")
    asking = EchoClients(address, 64)
    try:
        while sum(queues(address[1])) < 64:
            asking.turn(0.02)
        os.kill(victim, signal.SIGKILL)
        asking.finish()
    finally:
        asking.close()


def test_a_full_queue_of_a_killed_worker_is_answered(live_host: Hosts, expected_errors: list[str]) -> None:
    expected_errors.append("worker_crashed")
    host = live_host("--plugin", "echo", "--workers", "1", "--backlog", "4")
    address = host.address()
    victim = pid_of(host, 0)
    os.kill(victim, signal.SIGSTOP)
    until(lambda: is_stopped(victim), "the worker's stop")
    asking = EchoClients(address, 12)
    try:
        # Connections that do not fit into the queue are not refused: TCP retransmits their SYN.
        while max(queues(address[1])) < 5:
            asking.turn(0.02)
        os.kill(victim, signal.SIGKILL)
        asking.finish()
    finally:
        asking.close()


def test_the_queue_of_a_worker_that_stands_still_is_served_by_another_until_it_turns_again(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "3")
    stopped, *others = (pid_of(host, slot) for slot in (1, 2, 0))
    # The neighbour that would adopt it stands still too.
    for pid in (stopped, others[0]):
        os.kill(pid, signal.SIGSTOP)
    asking = EchoClients(host.address(), 64)
    try:
        host.until(lambda status: [slot["adopted_by"] for slot in status["slots"]] == [None, others[1], others[1]])
        asking.finish()
        for pid in (stopped, others[0]):
            os.kill(pid, signal.SIGCONT)
        host.until(lambda status: not any(slot["adopted_by"] for slot in status["slots"]))
        assert sorted(worker["pid"] for worker in host.workers()) == sorted((stopped, *others))
    finally:
        asking.close()


@pytest.mark.parametrize("how", ["exit", "raise", "die", "hang"])
def test_connections_are_answered_while_a_slot_has_no_worker(
    live_host: Hosts,
    tmp_path: Path,
    expected_errors: list[str],
    how: str,
    soak: bool,
    measurement: Callable[[str], None],
) -> None:
    expected_errors += ["worker_not_booted", "worker_killed"]
    plugin = plugin_file(tmp_path, "breakable", BREAKABLE, ECHO)
    # Short only where it must pass: a loaded machine needs time to boot.
    boot_timeout = "3" if how == "hang" else "30"
    host = live_host("--plugin", plugin, "--workers", "2", "--boot-timeout", boot_timeout)
    cause = tmp_path / "break-1"
    with Load(host.address(), in_flight=8) as load:
        load.more(50)
        cause.write_text(how)
        # TERM and not KILL, so that no connection at all may be lost.
        os.kill(pid_of(host, 1), signal.SIGTERM)
        host.wait_for_log("worker_not_booted", 1 if how == "hang" else 8 if soak else 3)
        load.more(200)
        status = host.status()
        assert status["workers_ready"] == 1
        assert status["slots"][1]["adopted_by"] == pid_of(host, 0)
        cause.unlink()
        document = host.until(lambda status: status["workers_ready"] == 2)
        assert document["slots"][1]["adopted_by"] is None
        load.more(200)
        count = load.stop()
    measurement(f"longest wait for an answer while a slot had no worker: {count.slowest_seconds} s ({how})")
    assert count.failures == {}, count
    assert count.slowest_seconds < 5
    fresh = pid_of(host, 1)
    host.until(lambda status: any(w["pid"] == fresh and w["accepted"] > 10 for w in status["workers"]))


def test_a_crash_loop_slows_down_is_logged_and_recovers(
    live_host: Hosts, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors += ["worker_not_booted", "worker_crashed"]
    plugin = plugin_file(tmp_path, "breakable", BREAKABLE, ECHO)
    host = live_host("--plugin", plugin, "--workers", "2")
    cause = tmp_path / "break-0"
    cause.write_text("exit")
    os.kill(pid_of(host, 0), signal.SIGKILL)
    document = host.until(
        lambda status: status["slots"][0]["state"] == "backoff" and status["slots"][0]["restarts"] >= 5,
        "a slot that waits before the next try",
    )
    assert document["slots"][0]["retry_seconds"] > 0
    assert document["slots"][0]["last_exit"] == "exit status 9"
    assert document["workers_ready"] == 1
    log = host.wait_for_log("worker_not_booted", 6)
    # One line for each try.
    lines = re.findall(r"^(\S+) \S+ (\S+) .* slot=0 ", log[log.index("worker_not_booted") :], re.MULTILINE)
    assert {event for _, event in lines} == {"worker_not_booted"}
    times = [datetime.fromisoformat(moment) for moment, _ in lines]
    waits = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    # 0.1 s doubling, each spread by a quarter; a busy machine only makes it longer.
    assert all(wait >= 0.075 * 2**number - 0.002 for number, wait in enumerate(waits)), waits
    cause.unlink()
    host.until(lambda status: status["workers_ready"] == 2)
    assert host.process.poll() is None


def test_connections_that_wait_while_all_workers_crash_are_answered_later(
    live_host: Hosts, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors += ["worker_not_booted", "worker_crashed"]
    plugin = plugin_file(tmp_path, "breakable", BREAKABLE, ECHO)
    host = live_host("--plugin", plugin, "--workers", "2")
    address = host.address()
    for slot in (0, 1):
        (tmp_path / f"break-{slot}").write_text("raise")
    for worker in host.workers():
        os.kill(worker["pid"], signal.SIGKILL)
    host.wait_for_log("worker_not_booted", 4)
    asking = EchoClients(address, 16)
    try:
        until(lambda: sum(queues(address[1])) == 16, "all clients in the queues")
        assert host.status()["workers_ready"] == 0
        for slot in (0, 1):
            (tmp_path / f"break-{slot}").unlink()
        asking.finish()
    finally:
        asking.close()


def test_a_crash_keeps_the_connections_of_other_workers(live_host: Hosts, expected_errors: list[str]) -> None:
    expected_errors.append("worker_crashed")
    host = live_host("--plugin", "echo", "--workers", "2")
    asking = EchoClients(host.address(), 40)
    try:
        asking.finish()
        rows = json.loads(host.command("connections", "--json").stdout)["connections"]
        victim = pid_of(host, 0)
        theirs = {row["peer"] for row in rows if row["pid"] == victim}
        assert 0 < len(theirs) < 40
        os.kill(victim, signal.SIGKILL)
        for client in asking.answered:
            client.settimeout(DEADLINE_SECONDS)
            if "{}:{}".format(*client.getsockname()) in theirs:
                assert ended(client)
            else:
                client.sendall(b"again")
                assert client.recv(5) == b"again"
    finally:
        asking.close()


def test_a_segmentation_fault_is_logged_with_the_signal_and_the_line_of_the_plugin(
    live_host: Hosts, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors.append("worker_crashed")
    plugin = plugin_file(
        tmp_path,
        "crasher",
        """
        import ctypes

        @hookimpl
        def receive(connection, data):
            ctypes.string_at(0)
        """,
    )
    host = live_host("--plugin", plugin, "--workers", "1")
    with host.connect() as client:
        client.sendall(b"x")
        assert ended(client)
    log = host.wait_for_log("worker_crashed")
    assert "signal 11 (SIGSEGV)" in log
    assert re.search(r'^ +File ".*crasher\.py", line \d+ in receive', log, re.MULTILINE)
    host.until(lambda status: status["workers_ready"] == 1)
