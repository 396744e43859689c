"""A connection that is being closed has time as long as its bytes arrive: `close_timeout` counts from the last one."""

from __future__ import annotations

import re
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pki import Pki
from plugin_files import WITNESS, plugin_file, told_until
from reactorhost.testing import DEADLINE_SECONDS, LiveHost

Hosts = Callable[..., LiveHost]

Answering = Callable[[str], LiveHost]

MIB = 1024 * 1024
# Longer than a busy machine lets a reader wait, and much shorter than a transfer takes.
CLOSE_TIMEOUT = "1s"
# More than both kernels' buffers hold.
SIZE = 24 * MIB
BYTES_A_SECOND = 8 * MIB

ANSWERING = f"""
@hookimpl
def receive(connection, data):
    connection.send(b"HTTP/1.0 200 OK\\r\\n\\r\\n" if data.startswith(b"GET") else b"")
    connection.send(bytes({SIZE}))
    connection.close()
"""


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    pki = Pki(tmp_path_factory.mktemp("pki"))
    pki.issue("server", "localhost")
    return pki


@pytest.fixture
def answering(live_host: Hosts, tmp_path: Path, pki: Pki, scheme: str) -> Callable[[str], LiveHost]:
    """Start a host with some `close_timeout`, whose plugin sends `SIZE` bytes and closes."""

    def start(close_timeout: str) -> LiveHost:
        listen = ("--listen", f"{scheme}://127.0.0.1:0", *(pki.arguments("server") if scheme == "tls" else ()))
        plugin = plugin_file(tmp_path, "answering", WITNESS, ANSWERING)
        return live_host("--plugin", plugin, "--workers", "1", "--close-timeout", close_timeout, *listen)

    return start


def connected(host: LiveHost, pki: Pki, scheme: str) -> socket.socket:
    client = socket.create_connection(host.address(), timeout=DEADLINE_SECONDS)
    return pki.wrap(client) if scheme == "tls" else client


def read_slowly(client: socket.socket, bytes_a_second: int) -> int:
    """Read until the end, never faster than that on average; return how many bytes came."""
    begun, count = time.monotonic(), 0
    while data := client.recv(64 * 1024):
        count += len(data)
        ahead = begun + count / bytes_a_second - time.monotonic()
        if ahead > 0:
            select.select((), (), (), ahead)
    return count


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_a_slow_reader_gets_everything_in_longer_than_the_close_timeout(
    answering: Answering, pki: Pki, scheme: str
) -> None:
    host = answering(CLOSE_TIMEOUT)
    with connected(host, pki, scheme) as client:
        client.sendall(b"x")
        assert read_slowly(client, BYTES_A_SECOND) == SIZE
    closed = told_until(host, "close")[-1]
    assert (closed["reason"], closed["sent"]) == ("local", SIZE)
    assert "close_timed_out" not in host.log()


@pytest.mark.parametrize("scheme", ["tcp"])
def test_what_the_kernel_has_taken_has_time_too(live_host: Hosts, tmp_path: Path, scheme: str) -> None:
    # It all fits into the buffers of the kernel; there it leaves slowly.
    size = 2 * MIB
    source = f"@hookimpl\ndef receive(connection, data):\n    connection.send(bytes({size}))\n    connection.close()\n"
    plugin = plugin_file(tmp_path, "answering", WITNESS, source)
    host = live_host("--plugin", plugin, "--workers", "1", "--close-timeout", CLOSE_TIMEOUT)
    with socket.socket() as client:
        client.settimeout(DEADLINE_SECONDS)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        client.connect(host.address())
        client.sendall(b"x")
        assert read_slowly(client, MIB) == size
    assert told_until(host, "close")[-1]["reason"] == "local"


@pytest.mark.parametrize("scheme", ["tcp"])
def test_a_slow_reader_with_a_small_buffer_is_not_taken_for_a_dead_peer(
    live_host: Hosts, tmp_path: Path, scheme: str
) -> None:
    # The window never has room for a segment of the loopback device, so the kernel probes it all the time.
    size, peer_timeout = 256 * 1024, "1s"
    source = f"@hookimpl\ndef receive(connection, data):\n    connection.send(bytes({size}))\n    connection.close()\n"
    plugin = plugin_file(tmp_path, "answering", WITNESS, source)
    times = ("--close-timeout", "2s", "--peer-timeout", peer_timeout)
    host = live_host("--plugin", plugin, "--workers", "1", *times)
    with socket.socket() as client:
        client.settimeout(DEADLINE_SECONDS)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        client.connect(host.address())
        client.sendall(b"x")
        assert read_slowly(client, 64 * 1024) == size
    assert told_until(host, "close")[-1]["reason"] == "local"


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_curl_with_a_limited_rate_gets_everything(answering: Answering, scheme: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    # curl holds its rate by pauses, which may be longer than a second.
    host = answering("3s")
    url = "{}://{}:{}/".format("https" if scheme == "tls" else "http", *host.address())
    command = ["curl", "--silent", "--show-error", "--insecure", "--limit-rate", "4m", url]
    finished = subprocess.run(command, capture_output=True, timeout=3 * DEADLINE_SECONDS, check=False)
    assert (finished.returncode, finished.stderr, len(finished.stdout)) == (0, b"", SIZE)


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_a_client_that_takes_nothing_is_cut_with_a_reason_of_its_own(
    answering: Answering, pki: Pki, scheme: str
) -> None:
    host = answering(CLOSE_TIMEOUT)
    with connected(host, pki, scheme) as client:
        client.sendall(b"x")
        closed: dict[str, Any] = told_until(host, "close")[-1]
    assert closed["reason"] == "timeout"
    assert closed["sent"] < SIZE
    log = host.wait_for_log("close_timed_out")
    assert re.search(r" warning close_timed_out .*service=default peer=127\.0\.0\.1:\d+ connection=1 ", log)


@pytest.mark.parametrize("scheme", ["tcp"])
def test_a_client_that_has_everything_keeps_it_when_its_time_is_over(
    live_host: Hosts, tmp_path: Path, scheme: str
) -> None:
    source = "@hookimpl\ndef receive(connection, data):\n    connection.send(bytes(100_000))\n    connection.close()\n"
    plugin = plugin_file(tmp_path, "answering", WITNESS, source)
    host = live_host("--plugin", plugin, "--workers", "1", "--close-timeout", CLOSE_TIMEOUT)
    with socket.socket() as client:
        client.settimeout(DEADLINE_SECONDS)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024 * 1024)
        client.connect(host.address())
        client.sendall(b"x")
        assert told_until(host, "close")[-1]["reason"] == "local"
        # It was closed by a FIN and not by a reset: what the client has not read yet is not lost, nor is its end.
        assert len(b"".join(iter(lambda: client.recv(4096), b""))) == 100_000
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
