"""Code of a plugin that holds the loop is named with its line while it does, and nothing else is."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from clients import answers, read_exactly
from reactorhost.testing import LiveHost
from waiting import until

Hosts = Callable[..., LiveHost]
Write = Callable[..., str]

HOLDS = """
import os, select

def hold(path):
    # Until the file is there.
    while not os.path.exists(path):
        select.select((), (), (), 0.01)  # here

@hookimpl
def receive(connection, data):
    if data.startswith(b"/"):
        hold(data.decode())
    connection.send(data)
"""


def line_of(plugin: str, text: str = "# here") -> str:
    lines = Path(plugin).read_text().splitlines()
    return f"{plugin}:{next(number for number, line in enumerate(lines, 1) if text in line)}"


def test_a_hook_that_holds_the_loop_is_named_while_it_does_and_again_when_it_returns(
    live_host: Hosts, write_plugin: Write, tmp_path: Path
) -> None:
    plugin = write_plugin(HOLDS)
    host = live_host("--plugin", "echo", "--plugin", plugin, "--workers", "1", "--slow-hook", "50ms")
    # Echo consumes nothing: both answer.
    with host.connect() as client:
        release = tmp_path / "release"
        word = str(release).encode()
        client.sendall(word)
        log = host.wait_for_log("slow_hook ")
        assert "slow_hook_ended" not in log
        (line,) = [line for line in log.splitlines() if " slow_hook " in line]
        assert f"plugin=made hook=receive where={line_of(plugin)} seconds=0." in line
        release.touch()
        assert read_exactly(client, 2 * len(word)) == 2 * word
        log = host.wait_for_log("slow_hook_ended")
    assert re.search(r" warning slow_hook_ended .* plugin=made hook=receive seconds=\d", log)
    assert log.count("slow_hook ") == 1


def test_a_hook_that_runs_a_loop_of_its_own_is_named(live_host: Hosts, write_plugin: Write) -> None:
    plugin = write_plugin(
        """
import asyncio

@hookimpl
def receive(connection, data):
    asyncio.run(asyncio.sleep(0.5))  # here
    connection.send(data)
"""
    )
    host = live_host("--plugin", plugin, "--workers", "1", "--slow-hook", "50ms")
    with host.connect() as client:
        assert answers(client, b"x")
    assert f"plugin=made hook=receive where={line_of(plugin)}" in host.wait_for_log("slow_hook_ended")


def test_one_that_never_returns_is_named_and_an_idle_worker_is_not(
    live_host: Hosts, write_plugin: Write, expected_errors: list[str]
) -> None:
    expected_errors.extend(("worker_killed", "worker_crashed"))
    plugin = write_plugin(
        """
import select

def forever():
    while True:
        select.select((), (), (), 60)  # here

@hookimpl
def worker_start(worker):
    worker.call_later(0.5, forever)

@hookimpl
def receive(connection, data):
    connection.send(data)
"""
    )
    host = live_host("--plugin", plugin, "--workers", "1", "--slow-hook", "20ms", "--stall-timeout", "1s")
    log = host.wait_for_log("slow_hook ")
    (line,) = [line for line in log.splitlines() if " slow_hook " in line]
    assert f"plugin=made hook=timer where={line_of(plugin)}" in line
    # The master ends it. What it was doing is told, and not what the watching thread did.
    crash = host.wait_for_log("worker_crashed").partition("worker_crashed")[2]
    file, _, number = line_of(plugin).rpartition(":")
    assert f'File "{file}", line {number} in forever' in crash
    assert "watchdog.py" not in crash
    assert log.count("slow_hook ") == 1


def test_what_is_called_after_a_thread_is_watched_too(live_host: Hosts, write_plugin: Write, tmp_path: Path) -> None:
    source = HOLDS.replace("hold(data.decode())", "worker.run_in_thread(str, data.decode(), then=hold)")
    plugin = write_plugin(
        source
        + """
@hookimpl
def worker_start(worker):
    globals()["worker"] = worker
"""
    )
    host = live_host("--plugin", plugin, "--workers", "1", "--slow-hook", "50ms")
    with host.connect() as client:
        client.sendall(str(tmp_path / "release").encode())
        log = host.wait_for_log("slow_hook ")
        assert f"plugin=made hook=then where={line_of(plugin)}" in log
        (tmp_path / "release").touch()
        host.wait_for_log("slow_hook_ended")


def test_a_worker_that_has_much_to_do_in_one_turn_is_not_slow(live_host: Hosts, write_plugin: Write) -> None:
    plugin = write_plugin(
        """
import time

@hookimpl
def receive(connection, data):
    time.sleep(0.1)
    connection.send(data)
"""
    )
    host = live_host("--plugin", plugin, "--workers", "1", "--slow-hook", "500ms")
    (worker,) = host.workers()
    with ExitStack() as stack:
        clients = [stack.enter_context(host.connect()) for _ in range(12)]
        host.until(lambda found: found["totals"]["connections"] == 12)
        # All of them are ready when it goes on.
        os.kill(worker["pid"], signal.SIGSTOP)
        for client in clients:
            client.sendall(b"x")
        os.kill(worker["pid"], signal.SIGCONT)
        assert [client.recv(1) for client in clients] == [b"x"] * 12
        host.until(lambda found: found["workers"][0]["lag_max_seconds"] > 0.5, "a turn with all of them")
    assert "slow_hook" not in host.log()


@pytest.mark.parametrize("limit", ["0", "50ms"])
def test_the_watchdog_is_a_thread_that_ends_before_a_plugin_forks_and_none_without_a_limit(
    live_host: Hosts, write_plugin: Write, limit: str
) -> None:
    plugin = write_plugin(
        """
import os, warnings

@hookimpl
def receive(connection, data):
    if data == b"fork":
        with warnings.catch_warnings():
            # CPython says so when a process with threads forks.
            warnings.simplefilter("error")
            pid = os.fork()
        if pid == 0:
            os.write(1, b"%d\\n" % len(os.listdir("/proc/self/task")))
            os._exit(0)
        os.waitpid(pid, 0)
    connection.send(data)
"""
    )
    host = live_host("--plugin", plugin, "--workers", "1", "--slow-hook", limit)
    (worker,) = host.workers()

    def threads() -> int:
        return len(os.listdir(f"/proc/{worker['pid']}/task"))

    wanted = 1 if limit == "0" else 2
    with host.connect() as client:
        assert answers(client, b"x")
        until(lambda: threads() == wanted, f"{wanted} threads")
        assert answers(client, b"fork")
        assert host.read_line() == "1"
        until(lambda: threads() == wanted, f"{wanted} threads after the fork")
    assert "Traceback" not in host.log()
