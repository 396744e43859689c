"""Async hooks in a real host: the guide's examples work, and failures are logged as the guide says."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from clients import ended, read_exactly
from event_loops import LOOPS
from plugin_files import WITNESS, plugin_file, told, told_until
from reactorhost.testing import HostFailedError, LiveHost

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "guide" / "async.md"
EXAMPLES = sorted((DOCS / "examples").glob("async_*.py"))

Hosts = Callable[..., LiveHost]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_file_is_in_the_page(path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert path.read_text(encoding="utf-8") in blocks
    assert sum("hookimpl" in block for block in blocks) == len(EXAMPLES)


@pytest.mark.parametrize("loop", LOOPS)
def test_the_countdown_serves_many_half_closed_clients_at_once(live_host: Hosts, loop: str) -> None:
    host = live_host("--plugin", str(DOCS / "examples" / "async_countdown.py"), "--workers", "1", "--event-loop", loop)
    clients = [host.connect() for _ in range(10)]
    for client in clients:
        client.sendall(b"3\n2\n")
        client.shutdown(socket.SHUT_WR)
    for client in clients:
        with client:
            assert read_exactly(client, 100) == b"3\n2\n1\n2\n1\n"


def asked(client: socket.socket, line: bytes) -> bytes:
    """Send a line, and return the line that answers it."""
    client.sendall(line + b"\n")
    with client.makefile("rb") as answers:
        return answers.readline().rstrip(b"\n")


@pytest.mark.parametrize("loop", LOOPS)
def test_a_plugin_that_uses_an_asyncio_library_keeps_data_across_reloads(
    live_host: Hosts, tmp_path: Path, loop: str
) -> None:
    host = live_host(
        "--plugin", "async_store:Store", "--set", f"async_store:Store.file={tmp_path / 'words.db'}",
        "--workers", "2", "--event-loop", loop,
        environment={"PYTHONPATH": str(DOCS / "examples")},
    )  # fmt: skip
    with host.connect() as client:
        assert asked(client, b"put colour dark green") == b"ok"
        assert asked(client, b"get size") == b"nothing"
    assert host.command("reload").returncode == 0
    with host.connect() as client:
        assert asked(client, b"get colour") == b"dark green"
        assert asked(client, b"forget") == b"put NAME VALUE, or get NAME"


FAILS = """
import asyncio

@hookimpl
async def receive(connection, data):
    await asyncio.sleep(0)
    if data == b"fail":
        raise ValueError("after a wait")
    connection.send(data)
"""


@pytest.mark.parametrize("loop", LOOPS)
def test_an_exception_after_an_await_closes_only_its_connection(
    live_host: Hosts, tmp_path: Path, expected_errors: list[str], loop: str
) -> None:
    expected_errors.append("hook_failed")
    plugins = [plugin_file(tmp_path, "fails", FAILS), plugin_file(tmp_path, "witness", WITNESS)]
    host = live_host("--plugin", plugins[0], "--plugin", plugins[1], "--workers", "1", "--event-loop", loop)
    with host.connect() as other, host.connect() as client:
        client.sendall(b"fail")
        assert ended(client)
        client.close()
        assert told_until(host, "close")[-1]["reason"] == "error"
        other.sendall(b"fine")
        assert read_exactly(other, 4) == b"fine"
    line = host.wait_for_log("hook_failed")
    assert "plugin=fails hook=receive" in line
    assert "after a wait" in line


HANGS = """
import asyncio

@hookimpl
async def receive(connection, data):
    tell("begins")
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        tell("cancelled")
        raise

@hookimpl
def worker_stop():
    tell("stop")
"""


@pytest.mark.parametrize("loop", LOOPS)
def test_a_hook_that_never_returns_is_cancelled_at_the_deadline(live_host: Hosts, tmp_path: Path, loop: str) -> None:
    hangs = plugin_file(tmp_path, "hangs", HANGS, WITNESS)
    host = live_host("--plugin", hangs, "--workers", "1", "--stop-timeout", "200ms", "--event-loop", loop)
    with host.connect() as client:
        client.sendall(b"x")
        assert [each["event"] for each in told_until(host, "begins")] == ["connect", "begins"]
        stopping = threading.Thread(target=host.stop)
        stopping.start()
        events = told_until(host, "stop")
        assert [each["event"] for each in events] == ["cancelled", "close", "stop"]
        assert events[1]["reason"] == "shutdown"
        stopping.join()


@pytest.mark.parametrize("loop", LOOPS)
def test_a_hook_is_cancelled_when_its_client_disconnects(live_host: Hosts, tmp_path: Path, loop: str) -> None:
    host = live_host("--plugin", plugin_file(tmp_path, "hangs", HANGS), "--workers", "1", "--event-loop", loop)
    with host.connect() as client:
        client.sendall(b"x")
        assert told(host)["event"] == "begins"
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    assert told(host)["event"] == "cancelled"


@pytest.mark.parametrize("loop", LOOPS)
def test_sigterm_drains_an_async_worker(live_host: Hosts, tmp_path: Path, loop: str) -> None:
    host = live_host("--plugin", plugin_file(tmp_path, "hangs", FAILS), "--workers", "1", "--event-loop", loop)
    (worker,) = host.workers()
    with host.connect() as client:
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"x"
        os.kill(worker["pid"], signal.SIGTERM)
        host.wait_for_log("worker_draining")
        client.sendall(b"y")
        assert read_exactly(client, 1) == b"y"
    host.wait_for_log("worker_exited")


SOON = """
@hookimpl
async def connect(connection):
    connection.send(b"hello")

@hookimpl
def receive(connection, data):
    connection.call_later(0.0003, connection.send, data)
"""


@pytest.mark.parametrize("loop", LOOPS)
def test_timers_that_are_due_at_once_are_called(live_host: Hosts, tmp_path: Path, loop: str) -> None:
    host = live_host("--plugin", plugin_file(tmp_path, "soon", SOON), "--workers", "1", "--event-loop", loop)
    with host.connect() as client:
        assert read_exactly(client, 5) == b"hello"
        for _ in range(200):
            client.sendall(b"x")
            assert read_exactly(client, 1) == b"x"
    assert "Exception in callback" not in host.log()


STOPS = """
import asyncio

@hookimpl
async def receive(connection, data):
    asyncio.get_running_loop().stop()
    connection.send(data)
"""


def test_a_plugin_that_stops_the_loop_does_not_stop_the_worker(live_host: Hosts, tmp_path: Path) -> None:
    host = live_host("--plugin", plugin_file(tmp_path, "stops", STOPS), "--workers", "1")
    with host.connect() as client:
        for _ in range(3):
            client.sendall(b"x")
            assert read_exactly(client, 1) == b"x"
    assert [worker["generation"] for worker in host.workers()] == [1]


def test_an_event_loop_that_is_not_installed_fails_the_start(live_host: Hosts, tmp_path: Path) -> None:
    (tmp_path / "uvloop.py").write_text("raise ImportError('hidden')\n")
    plugin = plugin_file(tmp_path, "waits", FAILS)
    with pytest.raises(HostFailedError) as failed:
        live_host("--plugin", plugin, "--event-loop", "uvloop", environment={"PYTHONPATH": str(tmp_path)})
    assert "uvloop is not installed" in failed.value.text
    assert "pip install uvloop" in failed.value.text


def test_a_worker_with_plain_hooks_does_not_import_asyncio(live_host: Hosts, tmp_path: Path) -> None:
    plain = """
import sys

@hookimpl
def receive(connection, data):
    connection.send(b"yes" if "asyncio" in sys.modules else b"no")
"""
    host = live_host("--plugin", plugin_file(tmp_path, "plain", plain), "--workers", "1")
    with host.connect() as client:
        client.sendall(b"?")
        assert client.recv(10) == b"no"
