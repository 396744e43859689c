"""A draining worker serves its clients until they end or until a deadline, in a stop and in a reload."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clients import answers, ended
from kernel import is_stopped, queues
from plugin_files import ECHO, WITNESS, plugin_file, told, told_until
from reactorhost.testing import DEADLINE_SECONDS, LiveHost
from waiting import until

Hosts = Callable[..., LiveHost]


def refused(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=DEADLINE_SECONDS).close()
    except ConnectionRefusedError:
        return True
    return False


# Stop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_serves_open_connections_to_their_end(live_host: Hosts, number: signal.Signals) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    address = host.address()
    clients = [host.connect() for _ in range(10)]
    try:
        assert all(answers(client) for client in clients)
        host.signal(number)
        host.wait_for_log("worker_draining", 2)
        assert all(answers(client) for client in clients)
        assert refused(address)
        for client in clients[1:]:
            client.close()
        assert answers(clients[0])
        assert host.process.poll() is None
    finally:
        for client in clients:
            client.close()
    assert host.wait() == 0


def test_stop_closes_open_connections_at_the_timeout(live_host: Hosts, tmp_path: Path) -> None:
    plugin = plugin_file(tmp_path, "witness", WITNESS, ECHO)
    host = live_host("--plugin", plugin, "--workers", "1", "--stop-timeout", "0.5")
    with host.connect() as client:
        assert answers(client)
        assert told(host)["event"] == "connect"
        begun = time.monotonic()
        host.signal(signal.SIGTERM)
        assert ended(client)
        # Of the half second a part is for closing.
        assert time.monotonic() - begun >= 0.35
        # What the client does not know yet: it may go on sending for as long as the farewell lasts.
        assert told(host)["reason"] == "shutdown"
    assert host.wait() == 0


def test_stop_sends_queued_data_before_it_closes(live_host: Hosts, tmp_path: Path) -> None:
    large = """
        @hookimpl
        def receive(connection, data):
            connection.send(bytes(8 * 1024 * 1024))

        @hookimpl
        def drain(connection):
            connection.close()
        """
    host = live_host("--plugin", plugin_file(tmp_path, "large", WITNESS, large), "--workers", "1")
    with host.connect() as client:
        client.sendall(b"x")
        assert client.recv(1) == b"\0"
        host.signal(signal.SIGTERM)
        host.wait_for_log("worker_draining")
        assert len(b"".join(iter(lambda: client.recv(100_000), b""))) == 8 * 1024 * 1024 - 1
    assert told_until(host, "close")[-1]["reason"] == "local"
    assert host.wait() == 0


def test_stop_answers_clients_in_the_accept_queues(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    address = host.address()
    pids = [worker["pid"] for worker in host.workers()]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    until(lambda: all(is_stopped(pid) for pid in pids), "the workers' stop")
    host.signal(signal.SIGTERM)
    # The order to drain is in the worker's line before a client connects: it will be handled first.
    host.until(lambda status: all(worker["state"] == "stopping" for worker in status["workers"]))
    clients = [socket.create_connection(address, timeout=DEADLINE_SECONDS) for _ in range(20)]
    try:
        for client in clients:
            client.sendall(b"hello")
        until(lambda: sum(queues(address[1])) == 20, "everybody in a queue")
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        for client in clients:
            assert client.recv(10) == b"hello"
    finally:
        for client in clients:
            client.close()
    assert host.wait() == 0


def test_second_signal_ends_a_waiting_stop(live_host: Hosts, tmp_path: Path) -> None:
    plugin = plugin_file(tmp_path, "witness", WITNESS, ECHO)
    host = live_host("--plugin", plugin, "--workers", "1", "--stop-timeout", "300")
    with host.connect() as client:
        assert answers(client)
        host.signal(signal.SIGTERM)
        host.wait_for_log("worker_draining")
        assert answers(client)
        host.signal(signal.SIGTERM)
        assert ended(client)
    assert told_until(host, "close")[-1]["reason"] == "shutdown"
    assert host.wait() == 0


def test_stop_calls_close_once_for_each_connection(live_host: Hosts, tmp_path: Path) -> None:
    plugin = plugin_file(tmp_path, "witness", WITNESS, ECHO)
    host = live_host("--plugin", plugin, "--workers", "1", "--stop-timeout", "0.2")
    clients = [host.connect() for _ in range(20)]
    try:
        assert all(answers(client) for client in clients)
        host.signal(signal.SIGTERM)
        assert host.wait() == 0
    finally:
        for client in clients:
            client.close()
    closes = [fact for fact in (told(host) for _ in range(40)) if fact["event"] == "close"]
    assert sorted(fact["id"] for fact in closes) == list(range(1, 21))
    assert {fact["reason"] for fact in closes} == {"shutdown"}
    with pytest.raises(EOFError):
        told(host)


# Reload


def test_open_connection_stays_with_the_old_worker_after_a_reload(live_host: Hosts, tmp_path: Path) -> None:
    plugin = plugin_file(
        tmp_path, "which", "import os\n@hookimpl\ndef receive(connection):\n    connection.send(b'%d' % os.getpid())\n"
    )
    host = live_host("--plugin", plugin, "--workers", "1")
    old = host.workers()[0]["pid"]
    with host.connect() as client:
        client.sendall(b"x")
        assert client.recv(20) == b"%d" % old
        assert host.command("reload").returncode == 0
        new = host.workers()[0]["pid"]
        assert new != old
        # Workers count for themselves, and tell a few times a second.
        document = host.until(lambda status: status["totals"]["connections"] == 1)
        (draining,) = (worker for worker in document["workers"] if worker["state"] == "draining")
        assert (draining["pid"], draining["generation"], draining["connections"]) == (old, 1, 1)
        assert 0 < draining["deadline_seconds"] <= 3610
        for _ in range(3):
            client.sendall(b"x")
            assert client.recv(20) == b"%d" % old
            with host.connect() as fresh:
                fresh.sendall(b"x")
                assert fresh.recv(20) == b"%d" % new
        rows = host.command("connections")
        assert str(old) in rows.stdout
    document = host.until(lambda status: len(status["workers"]) == 1, "the leaving of the old worker")
    assert document["workers"][0]["pid"] == new
    assert f"pid={old} how=" in host.wait_for_log("worker_exited")


def test_old_worker_closes_its_connections_at_the_drain_timeout(live_host: Hosts, tmp_path: Path) -> None:
    plugin = plugin_file(tmp_path, "witness", WITNESS, ECHO)
    host = live_host("--plugin", plugin, "--workers", "1", "--drain-timeout", "0.5")
    old = host.workers()[0]["pid"]
    with host.connect() as client:
        assert answers(client)
        assert told(host)["event"] == "connect"
        host.signal(signal.SIGUSR1)
        assert ended(client)
        assert told(host)["reason"] == "shutdown"
        host.until(lambda status: old not in [worker["pid"] for worker in status["workers"]])


def test_number_of_draining_workers_is_limited(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1", "--stop-timeout", "0.5")
    clients = []
    try:
        for number in range(6):
            clients.append(host.connect())
            assert answers(clients[-1])
            assert host.command("reload").returncode == 0
            assert host.status()["generation"] == number + 2
        # The oldest are sent away in `stop_timeout`, though they have an hour.
        assert ended(clients[0])
        assert ended(clients[1])
        host.until(lambda status: len(status["workers"]) == 5)
        assert all(answers(client) for client in clients[2:])
    finally:
        for client in clients:
            client.close()
    host.until(lambda status: len(status["workers"]) == 1)


def test_stop_waits_for_draining_workers(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    with host.connect() as client:
        assert answers(client)
        assert host.command("reload").returncode == 0
        host.signal(signal.SIGTERM)
        host.wait_for_log("worker_exited")
        assert answers(client)
        assert host.process.poll() is None
    assert host.wait() == 0


def test_connection_of_a_retired_slot_is_served_until_it_ends(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "4")
    clients = [host.connect() for _ in range(40)]
    try:
        assert all(answers(client) for client in clients)
        assert host.ask("scale", workers=1)["status"] == 0
        assert len(host.workers("draining")) == 3
        assert all(answers(client) for client in clients)
    finally:
        for client in clients:
            client.close()
    host.until(lambda status: len(status["workers"]) == 1)
    assert "worker_crashed" not in host.log()
