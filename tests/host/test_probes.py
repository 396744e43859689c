"""The HTTP endpoint and the command `health` of a real host, through its start, its life and its stop."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clients import answers
from gates import Gate
from reactorhost.testing import DEADLINE_SECONDS, HostFailedError, LiveHost
from waiting import until

Hosts = Callable[..., LiveHost]

LOCAL = ("--admin", "tcp://127.0.0.1:0")


def get(host: LiveHost, path: str) -> tuple[int, str]:
    """Return status and body of a response of the endpoint."""
    (address,) = host.status()["admin"]
    connection = http.client.HTTPConnection(address.partition("://")[2], timeout=DEADLINE_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def test_a_host_that_serves_is_alive_and_ready(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2", *LOCAL)
    assert get(host, "/livez")[0] == 200
    assert get(host, "/readyz") == (200, "the host is ready\n")
    status, body = get(host, "/status")
    assert (status, json.loads(body)["ready"]) == (200, True)


def test_the_endpoint_ends_with_the_master_whatever_drains(live_host: Hosts, killed_masters: list[LiveHost]) -> None:
    host = live_host("--plugin", "echo", "--workers", "1", *LOCAL)
    killed_masters.append(host)
    (address,) = host.status()["admin"]
    with host.connect() as client:
        assert answers(client)
        host.signal(signal.SIGKILL)
        host.wait()
        # The worker serves its client, and has no copy of the listener.
        assert answers(client)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), timeout=DEADLINE_SECONDS)


def test_a_stop_is_announced_before_it_begins(live_host: Hosts, tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    host = live_host("--plugin", "echo", "--workers", "1", "--admin", f"unix://{path}", "--drain-delay", "1h")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(DEADLINE_SECONDS)
        probe.connect(str(path))
        host.signal(signal.SIGTERM)
        assert host.until(lambda document: document["state"] == "leaving")["ready"] is False
        probe.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"503 Service Unavailable" in probe.recv(65536)
        assert host.command("health").returncode == 1
        assert host.command("health", "--live").returncode == 0
        with host.connect() as client:
            assert answers(client)
        host.signal(signal.SIGTERM)
        # The endpoint is there until the very end.
        assert probe.recv(65536) == b""
    assert host.wait() == 0
    assert not path.exists()


def test_probes_are_answered_while_the_host_starts(
    live_host: Hosts, write_plugin: Callable[..., str], tmp_path: Path
) -> None:
    gate, path = Gate(tmp_path), tmp_path / "admin.sock"
    gate.shut()
    plugin = write_plugin(f"@hookimpl\ndef worker_start(worker):\n    {gate.code}\n")
    with ThreadPoolExecutor(1) as threads:
        host = threads.submit(live_host, "--plugin", plugin, "--workers", "1", "--admin", f"unix://{path}")
        try:
            until(path.exists, "the socket of the endpoint")
            assert requested(path, "/livez").startswith(b"HTTP/1.1 200")
            response = requested(path, "/readyz")
            assert response.startswith(b"HTTP/1.1 503")
            assert b"the host is starting\n" in response
        finally:
            gate.open()
        host.result()
    assert requested(path, "/readyz").startswith(b"HTTP/1.1 200")


def requested(path: Path, target: str) -> bytes:
    """Return the response of the endpoint at a path, to the end of the connection."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(DEADLINE_SECONDS)
        # Between its bind and its listen a connection is refused.
        until(lambda: probe.connect_ex(str(path)) == 0, "a connection to the endpoint")
        probe.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: probe.recv(65536), b""))


def test_term_to_all_processes_is_announced_too(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2", "--drain-delay", "1h")
    before = {worker["pid"] for worker in host.workers()}
    for pid in (*before, host.pid):
        os.kill(pid, signal.SIGTERM)
    # The workers have replacements, which serve until the stop begins.
    host.until(lambda document: before.isdisjoint(worker["pid"] for worker in document["workers"]))
    assert host.until(lambda document: document["workers_ready"] == 2)["state"] == "leaving"
    with host.connect() as client:
        assert answers(client)
    host.signal(signal.SIGTERM)
    assert host.wait() == 0


def test_health_of_a_host_that_serves_and_of_none(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    done = host.command("health")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ready\n", "")
    assert host.stop() == 0
    done = host.command("health")
    assert (done.returncode, done.stdout) == (1, "")
    assert "is not running" in done.stderr
    done = host.command("health", "--json", "--live")
    assert done.returncode == 1
    assert json.loads(done.stdout)["live"] is False


def test_a_start_fails_in_words_if_the_address_is_in_use(live_host: Hosts) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(HostFailedError, match=f"{address} is in use by another process"):
            live_host("--plugin", "echo", "--workers", "1", "--admin", address)


def test_a_removed_file_of_the_endpoint_is_made_again(live_host: Hosts, tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    host = live_host("--plugin", "echo", "--workers", "1", "--admin", f"unix://{path}")
    path.unlink()
    host.wait_for_log("file_restored")
    assert requested(path, "/livez").startswith(b"HTTP/1.1 200")
