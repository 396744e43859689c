"""The status document: traffic, latency, errors and queues of running, stalled and ended workers."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reactorhost.testing import DEADLINE_SECONDS, LiveHost

PLUGIN = """
import time
from reactorhost import hookimpl

@hookimpl
def connect(connection):
    pass

@hookimpl
def receive(connection, data):
    if data == b"raise":
        raise ValueError("bad data")
    if data == b"slow":
        time.sleep(0.05)
    if data == b"stuck":
        time.sleep(1000)
    connection.send(data)
"""
GUARD = """
from reactorhost import hookimpl

@hookimpl
def connect(connection):
    connection.abort()
"""


@pytest.fixture
def plugin(tmp_path: Path) -> str:
    (tmp_path / "made.py").write_text(PLUGIN)
    return str(tmp_path / "made.py")


def exchange(host: LiveHost, data: bytes) -> bytes:
    with host.connect() as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        return client.recv(100)


def plugin_stats(document: dict[str, Any], name: str = "made") -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in document["plugins"] if each["name"] == name)
    return found


def test_messages_bytes_and_latency_are_counted(live_host: Callable[..., LiveHost], plugin: str) -> None:
    host = live_host("--plugin", plugin, "--workers", "2")
    for _ in range(20):
        assert exchange(host, b"x" * 50) == b"x" * 50
    totals = host.until(lambda found: found["totals"]["messages"] == 20)["totals"]
    assert (totals["accepted"], totals["bytes_in"], totals["bytes_out"]) == (20, 1000, 1000)

    assert exchange(host, b"slow") == b"slow"
    document = host.until(lambda found: (found["latency"]["max_seconds"] or 0) > 0.04)
    assert max(each["lag_max_seconds"] for each in document["workers"]) >= 0 < document["master"]["descriptors"]
    assert all(each["rss_bytes"] > each["pss_bytes"] > 0 for each in document["workers"])


def test_rates_and_history_show_the_traffic(live_host: Callable[..., LiveHost], plugin: str) -> None:
    host = live_host("--plugin", plugin)

    def busy(found: dict[str, Any]) -> bool:
        exchange(host, b"x")
        return bool(found["rates"]["messages"] and plugin_stats(found)["receive_per_second"])

    document = host.until(busy)
    assert document["history"] is None
    assert plugin_stats(document)["connect_per_second"] == document["rates"]["accepted"] > 0
    assert plugin_stats(document)["time_share"] == 1.0
    history = host.ask("status", history=True)["document"]["history"]
    assert sum(history["messages"]) > 0
    assert len({len(values) for values in history.values() if isinstance(values, list)}) == 1


def test_errors_are_shown_with_plugin_text_and_age(
    live_host: Callable[..., LiveHost], plugin: str, expected_errors: list[str]
) -> None:
    expected_errors.append("hook_failed")
    host = live_host("--plugin", "accesslog", "--plugin", plugin)
    assert exchange(host, b"raise") == b""
    document = host.until(lambda found: plugin_stats(found)["errors"] == 1)
    made = plugin_stats(document)
    error = made["last_error"]
    assert (error["message"], error["hook"]) == ("ValueError: bad data", "receive")
    assert error["where"] == f"{plugin}:12"
    assert error["peer"].startswith("127.0.0.1:")
    assert 0 <= error["age_seconds"] < DEADLINE_SECONDS
    assert plugin_stats(document, "accesslog")["errors"] == 0
    assert document["totals"]["hook_errors"] == 1
    event = next(each for each in document["events"] if each["event"] == "hook_failed")
    assert (event["level"], event["fields"]["plugin"]) == ("error", "made")
    assert (event["fields"]["where"], event["fields"]["peer"]) == (error["where"], error["peer"])


def test_a_connection_aborted_in_connect_is_counted_as_refused(
    live_host: Callable[..., LiveHost], tmp_path: Path
) -> None:
    (tmp_path / "guard.py").write_text(GUARD)
    host = live_host("--plugin", str(tmp_path / "guard.py"), "--plugin", "echo")
    with pytest.raises(ConnectionResetError), host.connect() as client:
        client.recv(1)
    host.until(lambda found: found["totals"]["refused"] == 1)


def test_totals_include_crashed_workers(
    live_host: Callable[..., LiveHost], plugin: str, expected_errors: list[str]
) -> None:
    expected_errors.append("worker_crashed")
    host = live_host("--plugin", plugin, "--workers", "1")
    assert exchange(host, b"x") == b"x"
    (worker,) = host.until(lambda found: found["totals"]["messages"] == 1)["workers"]
    os.kill(worker["pid"], signal.SIGKILL)
    document = host.until(
        lambda found: found["workers_ready"] == 1 and found["workers"][0]["pid"] != worker["pid"], "a new worker"
    )
    assert document["totals"]["messages"] == 1
    assert document["workers"][0]["messages"] == 0
    assert (document["workers"][0]["restarts"], document["workers"][0]["last_exit"]) == (1, "signal 9 (SIGKILL)")


def test_the_accept_queue_of_a_stopped_worker_is_shown(live_host: Callable[..., LiveHost], plugin: str) -> None:
    host = live_host("--plugin", plugin, "--workers", "1", "--backlog", "16")
    (worker,) = host.workers()
    os.kill(worker["pid"], signal.SIGSTOP)
    clients = [host.connect() for _ in range(5)]
    document = host.until(lambda found: found["listeners"][0]["depth"] == 5, "a queue of five")
    assert document["listeners"][0]["limit"] == 16
    assert document["listeners"][0]["fullest_slot"] == 0
    os.kill(worker["pid"], signal.SIGCONT)
    host.until(lambda found: found["listeners"][0]["depth"] == 0 and found["totals"]["connections"] == 5)
    for client in clients:
        client.close()


def test_a_stalled_worker_is_replaced_and_its_stack_is_logged(
    live_host: Callable[..., LiveHost], plugin: str, expected_errors: list[str]
) -> None:
    expected_errors += ["worker_killed", "worker_crashed"]
    host = live_host("--plugin", plugin, "--workers", "2", "--stall-timeout", "2s")
    with host.connect() as victim:
        victim.sendall(b"stuck")
        # A connection accepted earlier in the stalled turn would be lost with the worker.
        host.wait_for_log("slow_hook ")
        for _ in range(10):
            # Connections in the accept queue of the stalled worker are answered too, before or after it is killed.
            assert exchange(host, b"x") == b"x"
        assert victim.recv(1) == b"" if not _was_reset(victim) else True
    host.until(lambda found: found["workers_ready"] == 2)
    # The replacement can be ready before the stack is logged.
    log = host.wait_for_log(f'File "{plugin}", line 16 in receive')
    assert "stall_timeout" in log


def _was_reset(client: socket.socket) -> bool:
    try:
        client.recv(1, socket.MSG_PEEK)
    except ConnectionResetError:
        return True
    return False


def test_many_slow_and_vanished_clients_of_the_control_socket_do_no_harm(
    live_host: Callable[..., LiveHost], plugin: str
) -> None:
    host = live_host("--plugin", plugin)
    path = str(host.run_dir / "control.sock")
    readers = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(8)]
    for number, reader in enumerate(readers):
        reader.connect(path)
        reader.sendall(b'{"verb":"status","history":true}\n' * 40)
        if number % 2:
            reader.close()
    assert exchange(host, b"x") == b"x"
    with readers[0].makefile("rb") as lines:
        assert json.loads(lines.readline())["document"]["schema"] == 2
    for reader in readers:
        reader.close()
    assert host.status()["state"] == "running"


def test_a_worker_is_recycled_by_its_pid(live_host: Callable[..., LiveHost], plugin: str) -> None:
    host = live_host("--plugin", plugin, "--workers", "2")
    first, second = (each["pid"] for each in host.workers())
    with host.connect() as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        ended = host.ask("recycle", pid=first)
        assert (ended["status"], ended["slot"], ended["old"]) == (0, 0, first)
        client.sendall(b"y")
        assert client.recv(1) == b"y", "the old worker still serves its connection"
    document = host.until(lambda found: first not in [each["pid"] for each in found["workers"]])
    assert {each["pid"] for each in document["workers"]} == {ended["new"], second}
    assert document["slots"][0]["restarts"] == 0
    assert host.ask("recycle", pid=first)["status"] == 2
    assert host.ask("recycle", pid="x")["status"] == 2


def test_recycling_with_a_broken_plugin_keeps_the_old_worker(
    live_host: Callable[..., LiveHost], plugin: str, expected_errors: list[str]
) -> None:
    expected_errors.append("worker_not_booted")
    host = live_host("--plugin", plugin, "--workers", "1")
    (worker,) = host.workers()
    Path(plugin).write_text("import nothing_of_that_name")
    assert host.ask("recycle", pid=worker["pid"])["status"] == 4
    assert [each["pid"] for each in host.workers()] == [worker["pid"]]
    assert exchange(host, b"x") == b"x"


def test_the_status_is_available_while_the_host_stops(live_host: Callable[..., LiveHost], plugin: str) -> None:
    host = live_host("--plugin", plugin, "--stop-timeout", "20s")
    with host.connect() as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        host.signal(signal.SIGTERM)
        document = host.until(lambda found: found["state"] == "stopping")
        assert document["listeners"] == []
    assert host.wait() == 0


WAITING = """
import asyncio
from reactorhost import hookimpl

@hookimpl
async def receive(connection, data):
    await asyncio.sleep(0.05)
    connection.send(data)
"""


def test_each_service_has_figures_of_its_own_and_waiting_is_not_work(
    live_host: Callable[..., LiveHost], tmp_path: Path
) -> None:
    (tmp_path / "waiting.py").write_text(WAITING)
    (tmp_path / "host.toml").write_text(
        f"[service.plain]\nlisten = 'tcp://127.0.0.1:0'\nplugins = ['accesslog', 'echo']\n"
        f"[service.async]\nlisten = 'tcp://127.0.0.1:0'\nplugins = '{tmp_path / 'waiting.py'}'\n"
    )
    host = live_host("--config", str(tmp_path / "host.toml"))
    plain, waiting = (each["addresses"][0].rpartition(":")[2] for each in host.status()["services"])
    with (
        socket.create_connection(("127.0.0.1", int(plain)), DEADLINE_SECONDS) as client,
        socket.create_connection(("127.0.0.1", int(waiting)), DEADLINE_SECONDS) as other,
    ):
        sent = [0, 0]

        def talk() -> None:
            for position, (sock, data) in enumerate(((client, b"hello"), (other, b"hi"))):
                sock.sendall(data)
                assert sock.recv(100) == data
                sent[position] += 1

        def timed(document: dict[str, Any]) -> bool:
            # Timings are of the last seconds: there are messages until they are known.
            talk()
            found = [plugin_stats(document, name)["waiting_share"] for name in ("waiting", "echo")]
            return None not in (*found, *(each["plugins"][0]["time_share"] for each in document["services"]))

        document = host.until(timed)
        first, second = document["services"]
        assert [plugin_stats(document, name)["waiting_share"] > 0.9 for name in ("waiting", "echo")] == [True, False]
        assert sum(plugin["time_share"] for plugin in first["plugins"]) == pytest.approx(1.0, abs=1e-3)
        assert second["latency"]["p50_seconds"] >= 0.04
        document = host.until(lambda found: [each["totals"]["messages"] for each in found["services"]] == sent)
        assert [each["connections"] for each in document["services"]] == [1, 1]
        assert [each["totals"]["bytes_out"] for each in document["services"]] == [5 * sent[0], 2 * sent[1]]
    # What workers have counted stays when they end.
    assert host.command("reload").returncode == 0
    host.until(lambda found: [each["connections"] for each in found["services"]] == [0, 0])
    host.until(lambda found: [each["totals"]["messages"] for each in found["services"]] == sent)
