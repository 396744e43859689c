"""Processes that a plugin forks keep nothing of the host open and share no signal with it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from reactorhost.testing import HostFailedError, LiveHost
from waiting import all_end

FORKS = """
import os, signal
from pathlib import Path
from reactorhost import hookimpl

def fork(name):
    pid = os.fork()
    if pid == 0:
        signal.pause()
    (Path(__file__).parent / name).write_text(str(pid))

fork("at_import")

@hookimpl
def receive(connection, data):
    fork("in_receive")
    connection.send(data)
"""


def test_children_of_a_plugin_do_not_keep_the_address_in_use(
    live_host: Callable[..., LiveHost], tmp_path: Path
) -> None:
    (tmp_path / "forks.py").write_text(FORKS)
    host = live_host("--plugin", str(tmp_path / "forks.py"), "--workers", "1")
    address = host.address()
    try:
        with host.connect() as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
        assert host.stop() == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=5)
    finally:
        for name in ("at_import", "in_receive"):
            os.kill(int((tmp_path / name).read_text()), signal.SIGKILL)


FORKS_A_CHILD = """
import os, select, signal
from reactorhost import hookimpl

@hookimpl
def receive(connection, data):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGQUIT, lambda number, frame: os._exit(0))
        os.write(writer, b"x")
        while True:
            # Not signal.pause(): it would miss a signal that arrives just before it.
            select.select((), (), (), 0.05)
    os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    connection.send(str(pid).encode())
"""


def test_a_signal_to_a_child_of_a_plugin_is_not_delivered_to_the_worker(
    live_host: Callable[..., LiveHost], tmp_path: Path
) -> None:
    (tmp_path / "forks.py").write_text(FORKS_A_CHILD)
    host = live_host("--plugin", str(tmp_path / "forks.py"), "--workers", "1")
    (worker,) = host.workers()
    with host.connect() as client:
        client.sendall(b"x")
        child = int(client.recv(100))
        os.kill(child, signal.SIGQUIT)
        # Then a byte in the worker's wake-up socket, if there was one, is there before the second request.
        assert all_end([child])
        client.sendall(b"x")
        os.kill(int(client.recv(100)), signal.SIGKILL)
    assert [each["pid"] for each in host.workers()] == [worker["pid"]]


CHILD_FACTS = """
import json, multiprocessing, os, signal, subprocess, sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

context = multiprocessing.get_context("fork")

def facts():
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    held = [os.readlink(link) for link in links if os.path.exists(link)]
    masks = dict(line.split(":\\t") for line in Path("/proc/self/status").read_text().splitlines() if "Sig" in line)
    return {
        "held": [name for name in held if name.startswith(("socket:", "anon_inode:", "/memfd:"))],
        "wake_up": signal.set_wakeup_fd(-1),
        "handled": [each for each in range(1, 32) if int(masks["SigCgt"], 16) >> (each - 1) & 1],
        "ignored": [each for each in range(1, 32) if int(masks["SigIgn"], 16) >> (each - 1) & 1],
        "blocked": int(masks["SigBlk"], 16),
    }

def send_facts(pipe):
    pipe.send(facts())

def process():
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=send_facts, args=[theirs])
    child.start()
    child.join()
    return ours.recv()

def pool():
    with context.Pool(1) as workers:
        return workers.apply(facts)

def executor():
    with ProcessPoolExecutor(1, mp_context=context) as workers:
        return workers.submit(facts).result()

def fork():
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, json.dumps(facts()).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    try:
        return json.loads(os.read(reader, 65536))
    finally:
        os.close(reader)
        os.close(writer)

@hookimpl
def receive(connection, data):
    connection.send(json.dumps(globals()[data.decode()]()).encode())
"""


@pytest.mark.parametrize("way", ["process", "pool", "executor", "fork"])
def test_a_child_of_a_plugin_has_python_defaults_of_signals_and_no_descriptor_of_the_worker(
    live_host: Callable[..., LiveHost], write_plugin: Callable[..., str], way: str
) -> None:
    host = live_host("--plugin", write_plugin(CHILD_FACTS), "--workers", "1")
    with host.connect() as client:
        client.sendall(way.encode())
        facts = json.loads(client.recv(65536))
    # An executor handles TERM too from Python 3.14 on.
    assert set(facts.pop("handled")) <= {signal.SIGINT, signal.SIGTERM}
    assert facts == {"held": [], "wake_up": -1, "ignored": [signal.SIGPIPE, signal.SIGXFSZ], "blocked": 0}


def test_a_program_that_a_plugin_starts_ignores_no_signal(
    live_host: Callable[..., LiveHost], write_plugin: Callable[..., str]
) -> None:
    plugin = write_plugin(
        """
import subprocess

@hookimpl
def receive(connection, data):
    connection.send(subprocess.check_output(["grep", "SigIgn", "/proc/self/status"]))
"""
    )
    host = live_host("--plugin", plugin, "--workers", "1")
    with host.connect() as client:
        client.sendall(b"x")
        # Of those with a name: posix_spawn of glibc ignores two more of its own.
        assert int(client.recv(100).split()[1], 16) & 0x7FFFFFFF == 0


RETURNS = """
import os, time

seen = []

def fork(connection, data):
    seen.append(data)
    if data.startswith(b"fork"):
        pid = os.fork()
        if pid:
            connection.send(b"%d\\n" % pid)
            # The child must not answer in its place.
            return
    connection.send(b"seen %d\\n" % len(seen))

"""
PLAIN = "@hookimpl\ndef receive(connection, data):\n    fork(connection, data)\n"
ASYNC = "@hookimpl\nasync def receive(connection, data):\n    fork(connection, data)\n"
TIMER = "@hookimpl\ndef receive(connection, data):\n    connection.call_later(0, fork, connection, data)\n"
FRAMED = "from reactorhost import framing as f\n@hookimpl\ndef framing(service):\n    return f.Lines()\n" + PLAIN
THREAD = """
@hookimpl
def worker_start(worker):
    globals()["worker"] = worker

@hookimpl
def receive(connection, data):
    def call():
        return os.fork() if data.startswith(b"fork") else 0
    worker.run_in_thread(call, on_result=lambda pid: connection.send(b"%d\\n" % pid if pid else b"seen 2\\n"))
"""


@pytest.mark.parametrize(
    ("hook", "loop"),
    [
        (PLAIN, "asyncio"),
        (FRAMED, "asyncio"),
        (TIMER, "asyncio"),
        (THREAD, "asyncio"),
        (ASYNC, "asyncio"),
        (ASYNC, "uvloop"),
    ],
    ids=["plain", "framed", "timer", "thread", "asyncio", "uvloop"],
)
def test_a_child_that_returns_into_the_host_ends_there(
    live_host: Callable[..., LiveHost], write_plugin: Callable[..., str], hook: str, loop: str
) -> None:
    pytest.importorskip(loop)
    host = live_host("--plugin", write_plugin(RETURNS + hook), "--workers", "1", "--event-loop", loop)
    (worker,) = host.workers()
    with host.connect() as client, client.makefile("rb") as lines:
        client.sendall(b"fork\n")
        child = int(lines.readline())
        assert all_end([child])
        assert f"pid={child}" in host.wait_for_log("forked_child_ended")
        client.sendall(b"x\n")
        assert lines.readline() == b"seen 2\n"
    assert [each["pid"] for each in host.workers()] == [worker["pid"]]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("action", ["loop.remove_reader(ours)", "loop.add_writer(ours, print)"])
def test_what_a_child_does_with_the_loop_does_not_concern_the_worker(
    live_host: Callable[..., LiveHost], write_plugin: Callable[..., str], loop: str, action: str
) -> None:
    pytest.importorskip(loop)
    plugin = write_plugin(
        f"""
import asyncio, os, socket

@hookimpl
async def receive(connection, data):
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    readable = asyncio.Event()
    loop.add_reader(ours, readable.set)
    await asyncio.sleep(0)
    child = os.fork()
    if child == 0:
        {action}
        return
    _, status = os.waitpid(child, 0)
    theirs.sendall(data)
    await readable.wait()
    loop.remove_reader(ours)
    connection.send(b"%d" % status)
"""
    )
    host = live_host("--plugin", plugin, "--workers", "1", "--event-loop", loop)
    with host.connect() as client:
        client.sendall(b"x")
        assert client.recv(1) == b"0"


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_hooks_of_other_clients_do_not_run_in_a_child(
    live_host: Callable[..., LiveHost], write_plugin: Callable[..., str], kind: str
) -> None:
    plugin = write_plugin(
        f"""
import os

@hookimpl
{kind} receive(connection, data):
    os.write(1, b"%d\\n" % os.getpid())
    os.fork()
    connection.send(data)
"""
    )
    host = live_host("--plugin", plugin, "--workers", "1")
    (worker,) = host.workers()
    with ExitStack() as stack:
        clients = [stack.enter_context(host.connect()) for _ in range(3)]
        host.until(lambda found: found["totals"]["connections"] == 3)
        # All of them are ready when it continues.
        os.kill(worker["pid"], signal.SIGSTOP)
        for client in clients:
            client.sendall(b"x")
        os.kill(worker["pid"], signal.SIGCONT)
        assert [client.recv(1) for client in clients] == [b"x"] * 3
        host.wait_for_log("forked_child_ended", 3)
    assert all_end(map(int, re.findall(r"forked_child_ended .* pid=(\d+)", host.log())))
    assert {host.read_line() for _ in range(3)} == {str(worker["pid"])}
    assert host.stop() == 0
    with pytest.raises(EOFError):
        host.read_line()
    assert "children_ended" not in host.log(), "they had ended before the worker"


AT_IMPORT = """
child = os.fork()

@hookimpl
def worker_start(worker):
    worker.log.info("started")
"""
AT_START = """
@hookimpl
async def worker_start(worker):
    global child
    worker.log.info("started")
    child = os.fork()
"""


@pytest.mark.parametrize(
    ("source", "loop"),
    [(AT_IMPORT, "asyncio"), (AT_START, "asyncio"), (AT_START, "uvloop")],
    ids=["import", "asyncio", "uvloop"],
)
def test_a_child_that_is_forked_while_a_worker_boots_does_not_become_a_second_worker(
    live_host: Callable[..., LiveHost], write_plugin: Callable[..., str], source: str, loop: str
) -> None:
    pytest.importorskip(loop)
    receive = "@hookimpl\ndef receive(connection, data):\n    connection.send(b'%d' % child)\n"
    plugin = write_plugin(f"import os\n{source}\n{receive}")
    host = live_host("--plugin", plugin, "--workers", "1", "--event-loop", loop)
    with host.connect() as client:
        client.sendall(b"x")
        assert all_end([int(client.recv(100))])
    assert host.log().count("forked_child_ended") == 1
    assert host.log().count("started") == 1


def test_a_very_long_error_of_a_plugin_is_reported_with_its_place(
    live_host: Callable[..., LiveHost], tmp_path: Path
) -> None:
    (tmp_path / "long.py").write_text("raise ValueError('x' * 5_000_000)")
    with pytest.raises(HostFailedError) as caught:
        live_host("--plugin", str(tmp_path / "long.py"))
    assert caught.value.status == 4
    assert f"where: {tmp_path / 'long.py'}:1" in caught.value.text
    assert len(caught.value.text) < 100_000
