"""What a plugin leaves behind in a worker that ends: exit functions run, and its processes end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from reactorhost.testing import HostFailedError, LiveHost
from started import lives
from waiting import all_end

Hosts = Callable[..., LiveHost]
Write = Callable[..., str]

STARTS = """
import atexit, multiprocessing, subprocess, time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

context = multiprocessing.get_context("fork")
kept = []

def process(daemon):
    kept.append(context.Process(target=time.sleep, args=[3600], daemon=daemon))
    kept[-1].start()
    return [kept[-1].pid]

def pool():
    kept.append(context.Pool(2))
    kept[-1].apply_async(time.sleep, [3600])
    return [each.pid for each in kept[-1]._pool]

def executor():
    kept.append(ProcessPoolExecutor(2, mp_context=context))
    kept[-1].submit(time.sleep, 3600)
    return list(kept[-1]._processes)

def program(**options):
    kept.append(subprocess.Popen(["sleep", "3600"], **options))
    return [kept[-1].pid]

def nested():
    kept.append(subprocess.Popen(["sh", "-c", "sleep 3600 & echo $!; wait"], stdout=subprocess.PIPE))
    return [kept[-1].pid, int(kept[-1].stdout.readline())]

def note():
    (Path(__file__).parent / "noted").touch()

@hookimpl
def receive(connection, data):
    atexit.register(note)
    connection.send(" ".join(map(str, eval(data))).encode())
"""


def started_by(host: LiveHost, call: str) -> list[int]:
    with host.connect() as client:
        client.sendall(call.encode())
        return [int(pid) for pid in client.recv(1000).split()]


@pytest.mark.parametrize("end", ["stop", "reload"])
def test_exit_functions_run_and_processes_end_with_their_worker(
    live_host: Hosts, write_plugin: Write, tmp_path: Path, end: str
) -> None:
    host = live_host("--plugin", write_plugin(STARTS), "--workers", "1")
    children = started_by(host, "process(True) + pool() + program() + nested()")
    (worker,) = host.workers()
    if end == "stop":
        assert host.stop() == 0
    else:
        host.ask("reload")
        assert all_end([worker["pid"]])
    assert all_end(children)
    assert (tmp_path / "noted").exists()
    assert "children_ended" in host.log()


# What Python would wait for without an end.
@pytest.mark.parametrize("call", ["process(False)", "executor()", "atexit.register(time.sleep, 3600) and program()"])
def test_a_worker_ends_in_time_whatever_exit_functions_wait_for(
    live_host: Hosts, write_plugin: Write, call: str
) -> None:
    host = live_host("--plugin", write_plugin(STARTS), "--workers", "1")
    children = started_by(host, call)
    assert host.stop() == 0
    assert all_end(children)
    assert 'how="exit status 0"' in host.log()


HOARDS = """
import os, resource

resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
try:
    while True:
        os.open("/dev/null", os.O_RDONLY)
except OSError:
    pass
"""


@pytest.mark.parametrize("before", ["", HOARDS], ids=["with descriptors", "without descriptors"])
def test_processes_of_a_plugin_that_fails_to_load_end(
    live_host: Hosts, write_plugin: Write, tmp_path: Path, before: str
) -> None:
    plugin = write_plugin(
        f"{STARTS}\n(Path(__file__).parent / 'pids').write_text(str(program()[0]))\n{before}raise ValueError('wrong')"
    )
    with pytest.raises(HostFailedError) as failed:
        live_host("--plugin", plugin)
    assert failed.value.status == 4
    assert "Too many open files" not in failed.value.text
    assert all_end([int((tmp_path / "pids").read_text())])


def test_a_process_in_a_session_of_its_own_stays(live_host: Hosts, write_plugin: Write) -> None:
    host = live_host("--plugin", write_plugin(STARTS), "--workers", "1")
    (child,) = started_by(host, "program(start_new_session=True)")
    try:
        assert host.stop() == 0
        assert lives(child)
    finally:
        os.kill(child, signal.SIGKILL)
