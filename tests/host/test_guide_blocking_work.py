"""The guide to blocking work: its examples are files that run, and failures are logged as the guide says."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from clients import answers, ended, read_exactly
from event_loops import LOOPS
from reactorhost.testing import LiveHost
from waiting import until

Hosts = Callable[..., LiveHost]
Write = Callable[..., str]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
PATH = {"PYTHONPATH": str(EXAMPLES)}


@pytest.mark.parametrize(("number", "name"), [(0, "digest"), (1, "digest_async"), (2, "busy"), (3, "shouts")])
def test_the_examples_of_the_page_are_the_files(number: int, name: str) -> None:
    page = (ROOT / "docs" / "guide" / "blocking-work.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert blocks[number] == (EXAMPLES / f"{name}.py").read_text()


@pytest.mark.parametrize("name", ["digest", "digest_async"])
def test_the_first_example_answers_in_order_and_a_half_closed_client_too(live_host: Hosts, name: str) -> None:
    host = live_host("--plugin", f"{name}:Digest", "--workers", "1", environment=PATH)
    wanted = {word: hashlib.pbkdf2_hmac("sha256", word, b"salt", 100_000).hex().encode() for word in (b"one", b"two")}
    with host.connect() as client:
        client.sendall(b"one\n")
        assert read_exactly(client, 65) == wanted[b"one"] + b"\n"
        client.sendall(b"two\n")
        client.shutdown(1)
        assert b"".join(iter(lambda: client.recv(100), b"")) == wanted[b"two"] + b"\n"


def test_a_thread_of_the_plugin_answers_and_ends_with_the_worker(live_host: Hosts) -> None:
    host = live_host("--plugin", "shouts:Shouts", "--workers", "1", environment=PATH)
    with host.connect() as client:
        for word in (b"one", b"two"):
            client.sendall(word)
            assert read_exactly(client, 3) == word.upper()
    assert host.stop() == 0


# Functions that run until a file exists, and print when they begin.
HOLDING = """
import os, time

def hold(path):
    print("begun", flush=True)
    while not os.path.exists(path):
        time.sleep(0.01)
    return path.encode()

@hookimpl
def worker_start(worker):
    globals()["worker"] = worker

@hookimpl
def receive(connection, data):
    if data.startswith(b"/"):
        worker.run_in_thread(hold, data.decode(), on_result=connection.send)
        connection.send(b"+")
    else:
        connection.send(data)
"""


def held(client: socket.socket, path: Path) -> bytes:
    """Start a function that runs until a file exists; returns its result."""
    word = str(path).encode()
    client.sendall(word)
    assert read_exactly(client, 1) == b"+"
    return word


def test_the_second_example_answers_failures_and_a_full_queue(
    live_host: Hosts, write_plugin: Write, tmp_path: Path
) -> None:
    holding = write_plugin(HOLDING)
    config = tmp_path / "host.toml"
    config.write_text(
        "[host]\nworkers = 1\nthreads = 1\nthread_queue = 1\n"
        f'[service.holding]\nlisten = "tcp://127.0.0.1:0"\nplugins = ["{holding}"]\n'
        '[service.reports]\nlisten = "tcp://127.0.0.1:0"\nplugins = ["busy:Reports"]\n'
    )
    report = tmp_path / "report.json"
    report.write_text("[1, 2, 3]")
    host = live_host("--config", str(config), environment=PATH)
    with host.connect("reports") as client:
        client.sendall(str(report).encode())
        assert read_exactly(client, 2) == b"3\n"
        client.sendall(b"/no/such/file")
        assert client.recv(100) == b"error: FileNotFoundError\n"
        with host.connect("holding") as holder, host.connect("reports") as other:
            release = tmp_path / "release"
            held(holder, release)
            assert host.read_line() == "begun"
            # One runs, one waits, and the third exceeds the queue.
            client.sendall(str(report).encode())
            holder.sendall(b"x")
            assert holder.recv(1) == b"x"
            other.sendall(str(report).encode())
            assert other.recv(100) == b"error: busy\n"
            release.touch()
            assert read_exactly(client, 2) == b"3\n"


def test_an_unhandled_exception_is_logged_with_its_line_and_closes_nothing(
    live_host: Hosts, write_plugin: Write, expected_errors: list[str]
) -> None:
    expected_errors.append("hook_failed")
    plugin = write_plugin(
        """
def fail(data):
    raise OSError(5, "no disk")  # line 4

def spoil(result):
    raise ValueError(result)  # line 7

@hookimpl
def worker_start(worker):
    globals()["worker"] = worker

@hookimpl
def receive(connection, data):
    if data == b"fail":
        worker.run_in_thread(fail, data)
    if data == b"on_result":
        worker.run_in_thread(str, on_result=spoil)
    if data == b"async":
        async def wrong(): ...
        worker.run_in_thread(wrong)
    connection.send(data)
"""
    )
    host = live_host("--plugin", plugin, "--workers", "1")
    with host.connect() as client, host.connect() as other:
        assert answers(client, b"fail")
        log = host.wait_for_log("hook_failed")
        assert f'plugin=made hook=thread error="OSError: [Errno 5] no disk" where={plugin}:4' in log
        assert answers(client, b"on_result")
        log = host.wait_for_log("hook_failed", 2)
        assert f'plugin=made hook=on_result error="ValueError: " where={plugin}:7' in log
        host.until(lambda found: found["totals"]["hook_errors"] == 2)
        other.sendall(b"async")
        assert ended(other)
        log = host.wait_for_log("hook_failed", 3)
        assert "hook=receive" in log
        assert "TypeError: run_in_thread takes a plain function" in log
        assert answers(client)


def test_results_are_delivered_while_the_worker_drains_and_hanging_functions_are_abandoned(
    live_host: Hosts, write_plugin: Write, tmp_path: Path
) -> None:
    host = live_host("--plugin", write_plugin(HOLDING), "--workers", "1", "--threads", "1")
    release, never = tmp_path / "release", tmp_path / "never"
    with host.connect() as client:
        word = held(client, release)
        assert host.read_line() == "begun"
        (old,) = host.workers()
        assert host.command("reload").returncode == 0
        release.touch()
        assert read_exactly(client, len(word)) == word
        for _ in range(3):
            held(client, never)
        assert host.read_line() == "begun"
    # After its last client the worker exits, whatever its threads do.
    log = host.wait_for_log("threads_abandoned")
    assert re.search(rf" warning threads_abandoned worker={old['pid']} .*running=1 cancelled=2 functions=hold\n", log)
    host.until(lambda found: old["pid"] not in [each["pid"] for each in found["workers"]])
    assert host.log().count("threads_abandoned") == 1


def test_a_function_that_never_returns_does_not_delay_a_stop(
    live_host: Hosts, write_plugin: Write, tmp_path: Path
) -> None:
    host = live_host("--plugin", write_plugin(HOLDING), "--workers", "1")
    with host.connect() as client:
        held(client, tmp_path / "never")
        assert host.read_line() == "begun"
        assert host.command("stop", "--now").returncode == 0
    assert "threads_abandoned" in host.log()
    assert "worker_killed" not in host.log()


ASYNC = """
import asyncio, os, time

def fail():
    raise OSError(5, "no disk")  # line 6

def hold(path):
    print("begun", flush=True)
    while not os.path.exists(path):
        time.sleep(0.01)

@hookimpl
async def worker_start(worker):
    globals()["worker"] = worker
    # An exception here would fail the boot.
    [await worker.run_in_thread(int, "5")].index(5)

@hookimpl
async def worker_stop(worker):
    # Longer than anything that the stopped reactor still had to do.
    await asyncio.sleep(0.3)
    await worker.run_in_thread(int)
    print(await worker.run_in_thread(str, "stopped"), flush=True)

@hookimpl
async def receive(connection, data):
    if data.startswith(b"/"):
        await worker.run_in_thread(hold, data.decode())
    elif data == b"caught":
        try:
            await worker.run_in_thread(fail)
        except OSError:
            pass
    elif data == b"raised":
        await worker.run_in_thread(fail)
    elif data == b"lost":
        worker.run_in_thread(fail)
    connection.send(data)
"""


@pytest.mark.parametrize("loop", LOOPS)
def test_an_async_hook_awaits_a_thread_and_only_uncaught_exceptions_are_logged(
    live_host: Hosts, write_plugin: Write, tmp_path: Path, expected_errors: list[str], loop: str
) -> None:
    expected_errors.append("hook_failed")
    plugin = write_plugin(ASYNC)
    host = live_host("--plugin", plugin, "--workers", "1", "--event-loop", loop)
    with host.connect() as client, host.connect() as other:
        assert answers(client, b"caught")
        assert answers(client, b"lost")
        assert f'hook=thread error="OSError: [Errno 5] no disk" where={plugin}:6' in host.wait_for_log("hook_failed")
        other.sendall(b"raised")
        assert ended(other)
        log = host.wait_for_log("hook_failed", 2)
        assert f'error="OSError: [Errno 5] no disk" where={plugin}:6' in log.partition("hook=receive")[2]
        client.sendall(b"/never")
        assert host.read_line() == "begun"
        assert host.command("stop", "--now").returncode == 0
    assert host.read_line() == "stopped"
    assert host.log().count("hook_failed") == 2
    assert "threads_abandoned" in host.log()
    assert "worker_killed" not in host.log()


def test_a_child_forked_by_a_plugin_with_threads_does_not_disturb_the_worker(
    live_host: Hosts, write_plugin: Write, tmp_path: Path
) -> None:
    plugin = write_plugin(
        HOLDING.replace(
            "    else:\n",
            """    elif data == b"fork":
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        worker.run_in_thread(bytes, data, on_result=connection.send)
    else:
""",
        )
    )
    host = live_host("--plugin", plugin, "--workers", "1")
    with host.connect() as client:
        release = tmp_path / "release"
        word = held(client, release)
        assert host.read_line() == "begun"
        client.sendall(b"fork")
        assert read_exactly(client, 4) == b"fork"
        release.touch()
        assert read_exactly(client, len(word)) == word


def test_clients_are_served_between_thousands_of_results(live_host: Hosts, write_plugin: Write) -> None:
    plugin = write_plugin(
        """
@hookimpl
def worker_start(worker):
    globals()["worker"] = worker

@hookimpl
def receive(connection, data):
    if data == b"many":
        for _ in range(3000):
            worker.run_in_thread(bytes, b".", on_result=connection.send)
    else:
        connection.send(data)
"""
    )
    host = live_host("--plugin", plugin, "--workers", "1", "--thread-queue", "5000")
    with host.connect() as client, host.connect() as other:
        client.sendall(b"many")
        assert answers(other)
        assert read_exactly(client, 3000) == b"." * 3000
        (worker,) = host.workers()
        until(lambda: len(list(Path(f"/proc/{worker['pid']}/task").iterdir())) <= 6, "no more than its threads")
