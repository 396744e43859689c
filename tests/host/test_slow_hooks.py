"""Slow hooks: plugin code that blocks the loop is logged with its line, and nothing else is."""

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

Hosts = Callable[..., LiveHost]
Write = Callable[..., str]

HOLDS = """
import os, select

def hold(path):
    # Until the file exists; on one line, so that the line number is known.
    while not os.path.exists(path): select.select((), (), (), 0.01)  # here

@hookimpl
def receive(connection, data):
    if data.startswith(b"/"):
        hold(data.decode())
    connection.send(data)
"""


def line_of(plugin: str, text: str = "# here") -> str:
    lines = Path(plugin).read_text().splitlines()
    return f"{plugin}:{next(number for number, line in enumerate(lines, 1) if text in line)}"


def test_a_blocking_hook_is_logged_while_it_blocks_and_when_it_returns(
    live_host: Hosts, write_plugin: Write, tmp_path: Path
) -> None:
    plugin = write_plugin(HOLDS)
    host = live_host("--plugin", "echo", "--plugin", plugin, "--workers", "1", "--slow-hook", "50ms")
    # Echo does not consume the data: both plugins answer.
    with host.connect() as client:
        release = tmp_path / "release"
        word = str(release).encode()
        client.sendall(word)
        log = host.wait_for_log("slow_hook ")
        assert "slow_hook_ended" not in log
        (line,) = [line for line in log.splitlines() if " slow_hook " in line]
        peer = "{}:{}".format(*client.getsockname())
        assert f"plugin=made hook=receive where={line_of(plugin)} peer={peer} seconds=0." in line
        release.touch()
        assert read_exactly(client, 2 * len(word)) == 2 * word
        log = host.wait_for_log("slow_hook_ended")
    assert re.search(rf" warning slow_hook_ended .* plugin=made hook=receive peer={peer} seconds=\d", log)
    assert log.count("slow_hook ") == 1


def test_a_hook_that_runs_an_event_loop_of_its_own_is_logged(live_host: Hosts, write_plugin: Write) -> None:
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


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_an_async_hook_that_blocks_is_logged_on_either_loop(live_host: Hosts, write_plugin: Write, loop: str) -> None:
    pytest.importorskip(loop)
    plugin = write_plugin(
        """
import select

@hookimpl
async def receive(connection, data):
    select.select((), (), (), 0.4)  # here
    connection.send(data)
"""
    )
    host = live_host("--plugin", plugin, "--workers", "1", "--slow-hook", "50ms", "--event-loop", loop)
    with host.connect() as client:
        for _ in range(2):
            assert answers(client, b"x")
    log = host.wait_for_log("slow_hook_ended")
    assert f"plugin=made hook=receive where={line_of(plugin)}" in log


def test_a_plugin_may_use_sigalrm_itself(live_host: Hosts, write_plugin: Write) -> None:
    plugin = write_plugin(
        """
import select, signal

rings = []

@hookimpl
def worker_start(worker):
    # After the host, which sets its handler when all plugins have started.
    worker.call_later(0, signal.signal, signal.SIGALRM, lambda number, frame: rings.append(number))

@hookimpl
def receive(connection, data):
    # The alarm of the host may have gone off once before.
    rings.clear()
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    select.select((), (), (), 0.4)
    connection.send(b"%d" % len(rings))
"""
    )
    host = live_host("--plugin", plugin, "--workers", "1", "--slow-hook", "50ms")
    with host.connect() as client:
        client.sendall(b"x")
        assert read_exactly(client, 1) == b"1"
    assert "slow_hook" not in host.log()


def test_a_function_that_never_returns_is_logged_and_an_idle_worker_is_not(
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
    line = next(line for line in log.splitlines() if " slow_hook " in line)
    assert f"plugin=made hook=timer where={line_of(plugin)}" in line
    # The master kills it, and logs the stack of the plugin without that of the watchdog.
    crash = host.wait_for_log("worker_crashed").partition("worker_crashed")[2]
    file, _, number = line_of(plugin).rpartition(":")
    assert f'File "{file}", line {number} in forever' in crash
    assert "watchdog.py" not in crash
    assert re.search(r' reason="its loop did not turn for \d+\.\d s \(stall_timeout\), in made\.timer at ', crash)
    # The next worker has a line of its own.
    (worker,) = re.findall(r" slow_hook (worker=\d+) ", line)
    assert log.count(f" slow_hook {worker} ") == 1


@pytest.mark.parametrize(
    ("hook", "call"),
    [
        ("on_result", "worker.run_in_thread(str, data.decode(), on_result=hold)"),
        ("on_error", "worker.run_in_thread(open, data, on_error=lambda error: hold(data.decode()))"),
    ],
)
def test_callbacks_of_threads_are_watched_too(
    live_host: Hosts, write_plugin: Write, tmp_path: Path, hook: str, call: str
) -> None:
    source = HOLDS.replace("hold(data.decode())", call)
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
        # On a busy machine `receive` may be slow as well: it starts a thread.
        host.wait_for_log(f"plugin=made hook={hook} where={line_of(plugin)}")
        (tmp_path / "release").touch()
        host.wait_for_log(f"slow_hook_ended worker={host.workers()[0]['pid']} slot=0 plugin=made hook={hook}")


def test_a_turn_of_many_short_hooks_is_not_slow(live_host: Hosts, write_plugin: Write) -> None:
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
        # All of them are ready when it continues.
        os.kill(worker["pid"], signal.SIGSTOP)
        for client in clients:
            client.sendall(b"x")
        os.kill(worker["pid"], signal.SIGCONT)
        assert [client.recv(1) for client in clients] == [b"x"] * 12
        host.until(lambda found: found["workers"][0]["lag_max_seconds"] > 0.5, "a turn with all of them")
    assert "slow_hook" not in host.log()


def test_c_code_that_defers_signals_is_logged_when_it_returns(live_host: Hosts, write_plugin: Write) -> None:
    plugin = write_plugin(
        """
@hookimpl
def receive(connection, data):
    sum(range(20_000_000))  # here
    connection.send(data)
"""
    )
    host = live_host("--plugin", plugin, "--workers", "1", "--slow-hook", "20ms")
    with host.connect() as client:
        assert answers(client, b"x")
    assert f"plugin=made hook=receive where={line_of(plugin)}" in host.wait_for_log("slow_hook_ended")


def test_a_blocking_call_of_a_c_library_is_not_cut_short(live_host: Hosts, write_plugin: Write) -> None:
    plugin = write_plugin(
        """
import ctypes, os, threading

@hookimpl
def receive(connection, data):
    reader, writer = os.pipe()
    threading.Timer(0.4, os.write, (writer, b"x")).start()
    length = ctypes.CDLL(None).read(reader, ctypes.create_string_buffer(1), 1)  # here
    connection.send(b"%d" % length)
"""
    )
    host = live_host("--plugin", plugin, "--workers", "1", "--slow-hook", "20ms")
    with host.connect() as client:
        client.sendall(b"x")
        assert client.recv(10) == b"1"
    assert f"plugin=made hook=receive where={line_of(plugin)}" in host.wait_for_log("slow_hook_ended")


def test_a_sigterm_after_many_alarms_is_not_lost(live_host: Hosts, write_plugin: Write) -> None:
    plugin = write_plugin(
        """
import os, select

@hookimpl
def receive(connection, data):
    select.select((), (), (), 1)
    os.write(1, b"long enough\\n")
    select.select((), (), (), 0.5)
    connection.send(data)
"""
    )
    host = live_host("--plugin", plugin, "--workers", "1", "--slow-hook", "4ms")
    (worker,) = host.workers()
    with host.connect() as client:
        client.sendall(b"x")
        assert host.read_line() == "long enough"
        os.kill(worker["pid"], signal.SIGTERM)
        assert client.recv(1) == b"x"
    assert "worker_draining" in host.wait_for_log("worker_exited")


def test_a_worker_that_got_sigterm_is_ended_by_its_alarm_and_not_watched_any_more(
    live_host: Hosts, write_plugin: Write, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors.append("worker_crashed")
    plugin = write_plugin(HOLDS)
    host = live_host("--plugin", plugin, "--workers", "1", "--slow-hook", "50ms", "--stop-timeout", "100ms")
    (worker,) = host.workers()
    with host.connect() as client:
        client.sendall(str(tmp_path / "never").encode())
        host.wait_for_log("slow_hook ")
        os.kill(worker["pid"], signal.SIGTERM)
        assert "(SIGALRM)" in host.wait_for_log("worker_crashed")


@pytest.mark.parametrize("limit", ["0", "50ms"])
def test_watching_needs_no_thread_and_a_child_of_a_plugin_has_its_own_alarm(
    live_host: Hosts, write_plugin: Write, limit: str
) -> None:
    plugin = write_plugin(
        """
import os, signal

@hookimpl
def receive(connection, data):
    if data == b"fork":
        pid = os.fork()
        if pid == 0:
            signal.alarm(1)
            signal.pause()
            os._exit(0)
        os.write(1, b"%d\\n" % os.WTERMSIG(os.waitpid(pid, 0)[1]))
    connection.send(data)
"""
    )
    host = live_host("--plugin", plugin, "--workers", "1", "--slow-hook", limit)
    (worker,) = host.workers()
    with host.connect() as client:
        assert answers(client, b"x")
        assert len(os.listdir(f"/proc/{worker['pid']}/task")) == 1
        assert answers(client, b"fork")
        assert host.read_line() == str(int(signal.SIGALRM))
    assert "Traceback" not in host.log()
