"""Clients of every kind are served, with bounded memory and descriptors, and `close` is called once for each."""

from __future__ import annotations

import hashlib
import os
import resource
import select
import signal
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clients import ended
from kernel import cpu_seconds, descriptors, leave_descriptors, resident_bytes
from plugin_files import ECHO, WITNESS, plugin_file, told, told_until
from reactorhost.testing import DEADLINE_SECONDS, LiveHost
from waiting import until

Hosts = Callable[..., LiveHost]

MIB = 1024 * 1024
RESET = struct.pack("ii", 1, 0)

COUNTING = """
import os
from pathlib import Path

NOTES = os.open(Path(__file__).with_name("notes"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)

@hookimpl
def connect(connection):
    os.write(NOTES, b"connect %d\\n" % connection.id)

@hookimpl
def close(connection, reason):
    os.write(NOTES, b"close %d\\n" % connection.id)
"""
"""Writes every `connect` and `close` to a file beside it: there are more than a pipe would hold."""


def noted(directory: Path, word: str) -> Counter[str]:
    """Return how often each connection was written with a word."""
    lines = (directory / "notes").read_text().splitlines()
    return Counter(line.partition(" ")[2] for line in lines if line.startswith(f"{word} "))


def wait_for_closes(directory: Path, count: int) -> None:
    """Wait until a number of connections have ended, each exactly once and after its `connect`."""
    until(lambda: noted(directory, "close").total() >= count, f"the close of {count} connections")
    begun = noted(directory, "connect")
    assert noted(directory, "close") == begun
    assert begun.total() == len(begun) == count


def worker_pid(host: LiveHost) -> int:
    return int(host.workers()[0]["pid"])


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()


def everything(client: socket.socket) -> bytes:
    """Receive until the end of file."""
    parts = []
    while part := client.recv(MIB):
        parts.append(part)
    return b"".join(parts)


def test_stream_to_a_slow_reader_is_echoed_whole_in_bounded_memory(
    live_host: Hosts, soak: bool, measurement: Callable[[str], None]
) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    total = (1024 if soak else 64) * MIB
    pid = worker_pid(host)
    block = os.urandom(MIB)
    before = most = resident_bytes(pid)
    sent = received = 0
    digest_sent, digest_received = hashlib.sha256(), hashlib.sha256()
    with host.connect() as client:
        client.setblocking(False)
        while received < total:
            # Reads only when nothing more can be sent: everything that can be full on the way is full.
            if sent < total and select.select((), [client], (), 0)[1]:
                start = sent % MIB
                count = client.send(block[start : start + min(MIB - start, total - sent)])
                digest_sent.update(block[start : start + count])
                sent += count
                continue
            assert select.select([client], (), (), DEADLINE_SECONDS)[0], f"{received} of {total} bytes came back"
            data = client.recv(MIB)
            assert data
            digest_received.update(data)
            received += len(data)
            most = max(most, resident_bytes(pid))
        assert digest_received.digest() == digest_sent.digest()
    measurement(
        f"echo of {total // MIB} MiB to a slow reader: {before / MIB:.1f} MiB before, {most / MIB:.1f} MiB at most"
    )
    assert most - before < 32 * MIB


def test_client_that_never_reads_is_not_read(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    pid = worker_pid(host)
    before = resident_bytes(pid)
    sent = 0
    with host.connect() as client, host.connect() as other:
        client.setblocking(False)
        # Until the kernel's buffers are full too, and still full after the worker has served another client.
        while select.select((), [client], (), 0.2)[1]:
            sent += client.send(b"x" * MIB)
            assert sent < 256 * MIB, "the worker reads on, though its answers are not read"
        other.sendall(b"x")
        assert other.recv(1) == b"x"
        assert resident_bytes(pid) - before < 32 * MIB
        client.settimeout(DEADLINE_SECONDS)
        client.shutdown(socket.SHUT_WR)
        assert len(everything(client)) == sent


@pytest.mark.parametrize("size", [1, 1000, 8 * MIB])
def test_client_that_half_closes_gets_all_its_answers(live_host: Hosts, size: int) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    message = os.urandom(size)
    with host.connect() as client:
        client.setblocking(False)
        answer = bytearray()
        view = memoryview(message)
        while view:
            readable, writable, _ = select.select([client], [client], (), DEADLINE_SECONDS)
            assert readable or writable
            if writable:
                view = view[client.send(view) :]
            elif readable:
                answer += client.recv(1000)
        client.shutdown(socket.SHUT_WR)
        client.settimeout(DEADLINE_SECONDS)
        answer += everything(client)
    assert bytes(answer) == message


def test_half_close_gets_a_large_answer_that_is_read_later(live_host: Hosts, tmp_path: Path) -> None:
    plugin = plugin_file(
        tmp_path,
        "large",
        WITNESS,
        """
        @hookimpl
        def receive(connection, data):
            connection.send(b"a" * 8 * 1024 * 1024)
        """,
    )
    host = live_host("--plugin", plugin, "--workers", "1")
    with host.connect() as client:
        client.sendall(b"x")
        client.shutdown(socket.SHUT_WR)
        assert told(host)["event"] == "connect"
        assert everything(client) == b"a" * 8 * MIB
    assert told(host) == {"event": "close", "id": 1, "reason": "peer", "read": 1, "sent": 8 * MIB}


def test_half_close_gets_the_last_bytes_that_the_kernel_did_not_accept(live_host: Hosts, tmp_path: Path) -> None:
    plugin = plugin_file(
        tmp_path,
        "full",
        """
        answered = 0

        @hookimpl
        def receive(connection, data):
            global answered
            if data == b"fill":
                while not connection.queued:
                    connection.send(bytes(4096))
                    answered += 4096
                tell("filled", bytes=answered)
            else:
                connection.send(data)
        """,
    )
    host = live_host("--plugin", plugin, "--workers", "1")
    with host.connect() as client, host.connect() as other:
        client.sendall(b"fill")
        filled = told(host)["bytes"]
        client.shutdown(socket.SHUT_WR)
        # The end has been handled for certain when another client was served twice after it.
        for _ in range(2):
            other.sendall(b"x")
            assert other.recv(1) == b"x"
        assert len(everything(client)) == filled


def test_reset_ends_only_its_own_connection(live_host: Hosts, tmp_path: Path) -> None:
    host = live_host("--plugin", plugin_file(tmp_path, "witness", WITNESS, ECHO), "--workers", "1")
    pid = worker_pid(host)
    with host.connect() as other:
        assert told(host)["event"] == "connect"
        before = descriptors(pid)
        for unread in (b"", b"x", b"x" * 65536):
            client = host.connect()
            assert told(host)["event"] == "connect"
            client.sendall(b"hello")
            assert client.recv(5) == b"hello"
            client.sendall(unread)
            reset(client)
            closed = told(host)
            assert (closed["event"], closed["reason"]) == ("close", "peer")
        other.sendall(b"x")
        assert other.recv(1) == b"x"
        assert descriptors(pid) == before


def test_reset_while_an_answer_is_queued_ends_only_its_own_connection(live_host: Hosts, tmp_path: Path) -> None:
    # More than any kernel's buffers take.
    plugin = plugin_file(
        tmp_path,
        "large",
        WITNESS,
        """
        @hookimpl
        def receive(connection, data):
            connection.send(b"a" * 64 * 1024 * 1024)
        """,
    )
    host = live_host("--plugin", plugin, "--workers", "1")
    client = host.connect()
    client.sendall(b"x")
    assert client.recv(1) == b"a"
    reset(client)
    *_, closed = told_until(host, "close")
    assert closed["reason"] == "peer"
    assert closed["sent"] < 64 * MIB


def test_clients_that_connect_and_close_leave_nothing_behind(live_host: Hosts, tmp_path: Path, soak: bool) -> None:
    host = live_host("--plugin", plugin_file(tmp_path, "counting", COUNTING, ECHO), "--workers", "1")
    address, pid = host.address(), worker_pid(host)
    before = descriptors(pid)
    count = 5000 if soak else 300
    for number in range(count):
        client = socket.create_connection(address, timeout=DEADLINE_SECONDS)
        if number % 3 == 0:
            client.close()
        elif number % 3 == 1:
            reset(client)
        else:
            client.send(b"x")
            reset(client)
    with host.connect() as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    until(lambda: descriptors(pid) == before, "the close of every socket")
    closed = noted(tmp_path, "close")
    # The kernel may take back a connection that was reset before it was accepted.
    assert closed == noted(tmp_path, "connect")
    assert set(closed.values()) == {1}
    assert worker_pid(host) == pid


@pytest.fixture
def many_descriptors() -> Iterator[int]:
    """Raise this process's limit of descriptors, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_many_idle_clients_stay_connected_and_delay_no_other(
    live_host: Hosts, tmp_path: Path, soak: bool, many_descriptors: int
) -> None:
    host = live_host("--plugin", plugin_file(tmp_path, "counting", COUNTING, ECHO), "--workers", "1")
    address, pid = host.address(), worker_pid(host)
    before = descriptors(pid)
    count = min(5000 if soak else 500, many_descriptors - 200)
    idle = [socket.create_connection(address, timeout=DEADLINE_SECONDS) for _ in range(count)]
    try:
        until(lambda: noted(tmp_path, "connect").total() == count, f"{count} clients")
        spent = cpu_seconds(pid)
        # Nothing comes, so this waits in full.
        assert select.select(idle[:100], (), (), 1.0) == ([], [], [])
        assert cpu_seconds(pid) - spent < 0.5, "idle clients keep the worker busy"
        host.until(lambda status: status["totals"]["connections"] == count)
        for client in idle[:: max(1, count // 50)]:
            client.sendall(b"still here")
            assert client.recv(10) == b"still here"
        assert noted(tmp_path, "close").total() == 0
    finally:
        for client in idle:
            client.close()
    wait_for_closes(tmp_path, count)
    until(lambda: descriptors(pid) == before, "the close of every socket")


def test_worker_out_of_descriptors_waits_without_spinning_and_resumes(live_host: Hosts, tmp_path: Path) -> None:
    host = live_host("--plugin", plugin_file(tmp_path, "counting", COUNTING, ECHO), "--workers", "1")
    address, pid = host.address(), worker_pid(host)
    before = descriptors(pid)
    leave_descriptors(pid, 10)
    clients = [socket.create_connection(address, timeout=DEADLINE_SECONDS) for _ in range(30)]
    try:
        for client in clients:
            client.sendall(b"x")
        host.wait_for_log("accepting_paused")
        until(lambda: len(select.select(clients, (), (), 0)[0]) == 10, "the answers to those within the limit")
        spent = cpu_seconds(pid)
        # Nothing else comes, so this waits in full.
        assert select.select(clients[10:], (), (), 1.5) == ([], [], [])
        assert cpu_seconds(pid) - spent < 0.5, "the worker spins"
        for client in clients:
            assert client.recv(1) == b"x"
            client.close()
    finally:
        for client in clients:
            client.close()
    wait_for_closes(tmp_path, 30)
    until(lambda: descriptors(pid) == before, "the close of every socket")
    assert host.log().count("accepting_paused") == 1


def test_worker_out_of_descriptors_can_still_be_ordered_to_adopt_a_slot(
    live_host: Hosts, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors += ["worker_crashed", "worker_not_booted"]
    plugin = plugin_file(
        tmp_path,
        "breakable",
        ECHO,
        """
        from pathlib import Path

        @hookimpl
        def worker_start(worker):
            if worker.slot and Path(__file__).with_name("broken").exists():
                raise RuntimeError("broken on purpose")
        """,
    )
    host = live_host("--plugin", plugin, "--workers", "2")
    first, second = (int(worker["pid"]) for worker in host.workers())
    with host.connect() as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        leave_descriptors(first, 0)
        (tmp_path / "broken").touch()
        os.kill(second, signal.SIGKILL)
        # Tried again after a second.
        host.wait_for_log("adoption_failed", 2)
        host.wait_for_log("worker_not_booted", 3)
        (tmp_path / "broken").unlink()
        host.until(lambda status: status["workers_ready"] == 2)
    assert [worker["pid"] for worker in host.workers() if worker["slot"] == 0] == [first]


@pytest.mark.parametrize("when_full", ["wait", "refuse"])
def test_clients_get_the_room_of_every_worker_and_then_wait_or_are_refused(live_host: Hosts, when_full: str) -> None:
    host = live_host("--plugin", "echo", "--workers", "3", "--max-connections", "10", "--when-full", when_full)
    address = host.address()
    clients = [socket.create_connection(address, timeout=DEADLINE_SECONDS) for _ in range(30)]
    try:
        for client in clients:
            client.sendall(b"x")
        assert [client.recv(1) for client in clients] == [b"x"] * 30
        host.until(lambda status: all(worker["full"] for worker in status["workers"]))
        with socket.create_connection(address, timeout=DEADLINE_SECONDS) as late:
            if when_full == "refuse":
                assert ended(late)
                return
            late.sendall(b"y")
            # The worker with room is most likely not the one in whose queue the client is.
            clients.pop().close()
            assert late.recv(1) == b"y"
    finally:
        for client in clients:
            client.close()


def test_worker_at_max_connections_leaves_the_next_client_in_the_queue(live_host: Hosts, tmp_path: Path) -> None:
    host = live_host(
        "--plugin", plugin_file(tmp_path, "counting", COUNTING, ECHO), "--workers", "1", "--max-connections", "5"
    )
    address = host.address()
    clients = [socket.create_connection(address, timeout=DEADLINE_SECONDS) for _ in range(12)]
    try:
        for client in clients:
            client.sendall(b"x")
        waiting = list(clients)
        host.wait_for_log("accepting_paused")
        until(lambda: len(select.select(waiting, (), (), 0)[0]) == 5, "the answers to those within the limit")
        spent = cpu_seconds(worker_pid(host))
        while waiting:
            # One leaves, one comes in; never more.
            ready = select.select(waiting, (), (), DEADLINE_SECONDS)[0]
            assert 0 < len(ready) <= 5
            assert ready[0].recv(1) == b"x"
            ready[0].close()
            waiting.remove(ready[0])
        assert cpu_seconds(worker_pid(host)) - spent < 1
    finally:
        for client in clients:
            client.close()
    wait_for_closes(tmp_path, 12)
    assert host.log().count("accepting_paused") == 1


def test_load_leaves_no_descriptor_and_calls_close_once_for_each_connection(live_host: Hosts, tmp_path: Path) -> None:
    host = live_host("--plugin", plugin_file(tmp_path, "counting", COUNTING, ECHO), "--workers", "1")
    address, pid = host.address(), worker_pid(host)
    before = descriptors(pid)
    deadline = time.monotonic() + DEADLINE_SECONDS
    for _ in range(20):
        batch = [socket.create_connection(address, timeout=DEADLINE_SECONDS) for _ in range(20)]
        for client in batch:
            client.sendall(b"x")
        for client in batch:
            assert client.recv(1) == b"x"
            client.close()
        assert time.monotonic() < deadline
    wait_for_closes(tmp_path, 400)
    until(lambda: descriptors(pid) == before, "the close of every socket")
