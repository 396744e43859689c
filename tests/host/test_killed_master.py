"""kill -9 of the master: workers finish their connections and leave, and the next start succeeds at once."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import started
from clients import answers, ended
from daemons import Daemon
from kernel import free_port, is_stopped, sleeps
from reactorhost.config.resolve import resolve
from reactorhost.logs import EventLog
from reactorhost.master.leftovers import Leftovers
from reactorhost.master.listen.listeners import Listeners
from reactorhost.system import procfs
from reactorhost.system.fork import ForkRegistry
from reactorhost.testing import LiveHost
from waiting import all_end, until

Hosts = Callable[..., LiveHost]

SOON_SECONDS = 10.0
"""Documented are 2 s; a loaded machine gets more time, and all timeouts in these tests are far longer."""


def kill(host: LiveHost) -> list[int]:
    """Kill the master; returns the process ids of its workers."""
    workers = [worker["pid"] for worker in host.status()["workers"]]
    host.signal(signal.SIGKILL)
    host.process.wait()
    assert host.process.stdout is not None
    host.process.stdout.close()
    return workers


def test_workers_without_connections_leave(live_host: Hosts, killed_masters: list[LiveHost]) -> None:
    host = live_host("--plugin", "echo", "--workers", "4", "--stop-timeout", "600")
    killed_masters.append(host)
    assert all_end(kill(host), SOON_SECONDS)
    assert host.log().count("master_gone") == 4


def test_open_connections_are_served_until_they_end(live_host: Hosts, killed_masters: list[LiveHost]) -> None:
    host = live_host("--plugin", "echo", "--workers", "2", "--stop-timeout", "600")
    killed_masters.append(host)
    with host.connect() as client:
        assert answers(client)
        workers = kill(host)
        host.wait_for_log("master_gone", 2)
        assert answers(client)
        serving = [pid for pid in workers if started.lives(pid)]
        assert serving
    assert all_end(workers, SOON_SECONDS)


def test_open_connections_are_closed_after_stop_timeout(live_host: Hosts, killed_masters: list[LiveHost]) -> None:
    host = live_host("--plugin", "echo", "--workers", "2", "--stop-timeout", "0.2")
    killed_masters.append(host)
    with host.connect() as client:
        assert answers(client)
        workers = kill(host)
        assert ended(client)
    assert all_end(workers, SOON_SECONDS)


def test_workers_that_drain_after_a_reload_leave(live_host: Hosts, killed_masters: list[LiveHost]) -> None:
    host = live_host("--plugin", "echo", "--workers", "1", "--stop-timeout", "600")
    killed_masters.append(host)
    with host.connect() as client:
        assert answers(client)
        assert host.command("reload").returncode == 0
        workers = kill(host)
        assert len(workers) == 2
        assert answers(client)
    assert all_end(workers, SOON_SECONDS)


STUCK = {
    "in a loop": "while True: pass",
    "in a sleep": "import time; time.sleep(600)",
    "in a read": "import os; os.read(os.pipe()[0], 1)",
}


@pytest.mark.parametrize("where", STUCK)
def test_a_stuck_worker_leaves(
    live_host: Hosts, write_plugin: Callable[..., str], killed_masters: list[LiveHost], where: str
) -> None:
    stuck = f"@hookimpl\ndef receive(connection, data):\n    connection.send(data)\n    {STUCK[where]}\n"
    host = live_host("--plugin", write_plugin(stuck), "--workers", "1", "--stop-timeout", "600")
    killed_masters.append(host)
    with host.connect() as client:
        assert answers(client)
        if where != "in a loop":
            # A signal just before the call would not interrupt it.
            until(lambda: sleeps(host.workers()[0]["pid"]), "the call")
        assert all_end(kill(host), SOON_SECONDS), "stop_timeout does not apply to it"
        assert ended(client)


def test_a_worker_leaves_whose_system_call_an_alarm_of_the_watchdog_would_continue(
    live_host: Hosts, write_plugin: Callable[..., str], killed_masters: list[LiveHost]
) -> None:
    stuck = f"@hookimpl\ndef receive(connection, data):\n    connection.send(data)\n    {STUCK['in a read']}\n"
    host = live_host("--plugin", write_plugin(stuck), "--workers", "1", "--stop-timeout", "600")
    killed_masters.append(host)
    (worker,) = host.workers()
    with host.connect() as client:
        assert answers(client)
        until(lambda: sleeps(worker["pid"]), "the call")
        os.kill(worker["pid"], signal.SIGSTOP)
        until(lambda: is_stopped(worker["pid"]), "the stop")
        # Both are pending when it goes on.
        os.kill(worker["pid"], signal.SIGALRM)
        workers = kill(host)
        os.kill(worker["pid"], signal.SIGCONT)
        assert all_end(workers, SOON_SECONDS)


def test_a_worker_that_responds_keeps_its_connections_for_the_whole_stop_timeout(
    live_host: Hosts, write_plugin: Callable[..., str], killed_masters: list[LiveHost]
) -> None:
    late = "@hookimpl\ndef receive(connection, data):\n    connection.call_later(3, connection.send, data)\n"
    host = live_host("--plugin", write_plugin(late), "--workers", "1", "--stop-timeout", "600")
    killed_masters.append(host)
    with host.connect() as client:
        client.sendall(b"x")
        host.until(lambda found: found["totals"]["messages"] == 1)
        workers = kill(host)
        assert client.recv(1) == b"x"
    assert all_end(workers, SOON_SECONDS)


def test_a_worker_that_boots_leaves(
    live_host: Hosts, write_plugin: Callable[..., str], killed_masters: list[LiveHost]
) -> None:
    waits = (
        # Not signal.pause(): it would miss a signal that arrives just before it.
        "import time\n@hookimpl\ndef worker_start(worker):\n"
        "    if worker.generation > 1:\n        print('waits', flush=True)\n        while True: time.sleep(0.05)\n"
    )
    host = live_host("--plugin", write_plugin(waits), "--plugin", "echo", "--workers", "1", "--stop-timeout", "0")
    killed_masters.append(host)
    host.signal(signal.SIGUSR1)
    assert host.read_line() == "waits"
    workers = kill(host)
    assert len(workers) == 2
    assert all_end(workers, SOON_SECONDS)


def test_the_next_start_binds_the_same_port_at_once(live_host: Hosts) -> None:
    port = free_port()
    host = live_host("--plugin", "echo", "--workers", "4", "--listen", f"tcp://127.0.0.1:{port}")
    workers = kill(host)
    host.start()
    with host.connect() as client:
        assert answers(client)
    assert all_end(workers)


def test_the_next_start_succeeds_while_old_workers_serve_their_connections(live_host: Hosts) -> None:
    port = free_port()
    host = live_host(
        "--plugin", "echo", "--workers", "2", "--listen", f"tcp://127.0.0.1:{port}", "--stop-timeout", "600"
    )
    with host.connect() as old:
        assert answers(old)
        workers = kill(host)
        host.start()
        with host.connect() as new:
            assert answers(new)
            assert answers(old)
        assert not set(workers) & {worker["pid"] for worker in host.workers()}
    assert all_end(workers)


def test_the_next_start_of_a_daemon_succeeds(daemon: Callable[..., Daemon]) -> None:
    host = daemon("--plugin", "echo", "--workers", "2")
    workers = [worker["pid"] for worker in host.workers()]
    host.signal(signal.SIGKILL)
    host.wait()
    host.start()
    with host.connect() as client:
        assert answers(client)
    assert all_end(workers, SOON_SECONDS)
    assert host.command("stop").returncode == 0


UNREACHABLE = {
    # Locked twice by one thread: a signal does not end this wait, as it would end a sleep.
    "in C with the interpreter's lock": "import ctypes; c = ctypes.PyDLL(None); "
    "mutex = ctypes.create_string_buffer(64); c.pthread_mutex_lock(mutex); c.pthread_mutex_lock(mutex)",
    "with blocked signals": "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()); "
    "signal.sigwait({signal.SIGUSR1})",
    "stopped": "import os; os.kill(os.getpid(), 19)",
}


@pytest.mark.parametrize("where", UNREACHABLE)
def test_the_next_start_ends_a_worker_that_cannot_leave(
    live_host: Hosts, write_plugin: Callable[..., str], where: str
) -> None:
    stuck = (
        "@hookimpl\ndef receive(connection, data):\n    connection.send(data)\n"
        f"    if data == b'stuck':\n        {UNREACHABLE[where]}\n"
    )
    port = free_port()
    listen = ("--listen", f"tcp://127.0.0.1:{port}")
    host = live_host("--plugin", write_plugin(stuck), "--workers", "1", *listen, "--stop-timeout", "600")
    with host.connect() as client:
        client.sendall(b"stuck")
        assert client.recv(5) == b"stuck"
        (worker,) = kill(host)
        host.start()
        assert all_end([worker]), "it could not leave by itself"
        with host.connect() as served:
            assert answers(served)
    assert host.log().count(f"leftover_killed master={host.pid} pid={worker}") == 1


def test_a_leftover_that_does_not_hold_the_addresses_is_ended_after_its_time(
    live_host: Hosts, write_plugin: Callable[..., str]
) -> None:
    stops = "import os\n@hookimpl\ndef receive(connection, data):\n    os.kill(os.getpid(), 19)\n"
    host = live_host("--plugin", write_plugin(stops), "--workers", "1", "--stop-timeout", "0")
    with host.connect() as client:
        client.sendall(b"x")
        host.until(lambda status: is_stopped(status["workers"][0]["pid"]))
        (worker,) = kill(host)
        host.start()
        assert all_end([worker])


def test_a_start_that_fails_leaves_what_is_known_of_the_workers(
    live_host: Hosts, killed_masters: list[LiveHost], tmp_path: Path
) -> None:
    host = live_host("--plugin", "echo", "--workers", "1", "--stop-timeout", "600")
    killed_masters.append(host)
    with host.connect() as client:
        assert answers(client)
        workers = kill(host)
        known = [(host.run_dir / name).read_text() for name in ("workers.pid", "lock")]
        refused = host.command("start", "--plugin", "echo", "--listen", f"unix://{tmp_path}/none/a.sock")
        assert refused.returncode == 1
        assert [(host.run_dir / name).read_text() for name in ("workers.pid", "lock")] == known
        assert answers(client)
    assert all_end(workers)


def test_a_process_that_only_has_the_id_of_a_worker_is_left_alone() -> None:
    with subprocess.Popen(["sleep", "600"]) as stranger:
        began = procfs.start_time(stranger.pid)
        assert began is not None
        others = Leftovers([(stranger.pid, began - 1)], EventLog(logging.getLogger("test")))
        assert others.running() == []
        same = Leftovers([(stranger.pid, began)], EventLog(logging.getLogger("test")))
        assert same.running() == [stranger.pid]
        assert not same.end_listening(), "it has no listener"
        assert same.end_all()
        assert stranger.wait() == -signal.SIGKILL
        assert same.running() == []


def test_addresses_that_are_bound_at_a_second_try_are_listed_once(tmp_path: Path) -> None:
    listen = ("tcp://127.0.0.1:0", f"unix://{tmp_path}/a.sock")
    listeners = Listeners(resolve({"plugins": ("echo",), "listen": listen}, {}, tmp_path), ForkRegistry())
    for _ in range(2):
        listeners.bind()
        assert len(listeners.groups) == 2
        listeners.close()
