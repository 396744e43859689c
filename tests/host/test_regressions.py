"""Known bugs of pre-forking servers, one test for each."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

import started
from clients import answers, ended
from daemons import run
from reactorhost.testing import DEADLINE_SECONDS, HostFailedError, LiveHost
from terminals import CTRL_C, on_a_terminal
from waiting import all_end, until

Hosts = Callable[..., LiveHost]

LEAVES_ITS_LOOP = {
    "sys.exit in receive": "import sys\n@hookimpl\ndef receive(connection, data):\n    sys.exit(0)\n",
    "KeyboardInterrupt in receive": "@hookimpl\ndef receive(connection, data):\n    raise KeyboardInterrupt\n",
    "worker_stop raises": "@hookimpl\ndef worker_stop(worker):\n    raise ValueError('at the end')\n",
    "worker_stop calls sys.exit": "import sys\n@hookimpl\ndef worker_stop(worker):\n    sys.exit(1)\n",
}


def pids_of(host: LiveHost) -> set[int]:
    return {worker["pid"] for worker in host.workers()}


@pytest.mark.parametrize("way", LEAVES_ITS_LOOP)
def test_a_worker_that_leaves_its_loop_does_not_run_code_of_the_master(
    live_host: Hosts, write_plugin: Callable[..., str], expected_errors: list[str], way: str
) -> None:
    expected_errors += ["worker_crashed", "hook_failed"]
    host = live_host("--plugin", write_plugin(LEAVES_ITS_LOOP[way]), "--plugin", "echo", "--workers", "2")
    before = pids_of(host)
    with host.connect() as client:
        client.sendall(b"x")
        if "receive" in way:
            assert ended(client)
    for pid in before:
        if started.lives(pid):
            os.kill(pid, signal.SIGTERM)
    assert all_end(before) or "receive" in way
    host.until(lambda status: status["workers_ready"] == 2 and len(status["workers"]) == 2)
    # A worker that returned into the code of the master would supervise and fork workers of its own.
    assert started.of_this_test() == {host.pid, *pids_of(host)}
    assert host.status()["pid"] == host.pid


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_stop_leaves_no_process(live_host: Hosts, number: signal.Signals) -> None:
    host = live_host("--plugin", "echo", "--workers", "4")
    assert len(started.of_this_test()) == 5
    host.signal(number)
    assert host.wait() == 0
    assert not started.of_this_test()


def test_stop_during_a_reload_leaves_no_process(
    live_host: Hosts, write_plugin: Callable[..., str], tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    waits = f"@hookimpl\ndef worker_start(worker):\n    if worker.generation > 1: open({str(gate)!r}).close()\n"
    host = live_host("--plugin", write_plugin(waits), "--plugin", "echo", "--workers", "2")
    host.signal(signal.SIGUSR1)
    # Opens when the canary waits in its hook: there are old workers and one that boots.
    with gate.open("w"):
        assert host.stop() == 0
    assert not started.of_this_test()


def test_a_reload_kills_no_worker_and_leaves_no_slot_empty(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "3")
    before = pids_of(host)
    with ExitStack() as stack:
        clients = [stack.enter_context(host.connect()) for _ in range(12)]
        assert all(answers(client) for client in clients)
        assert host.command("reload").returncode == 0
        assert all(answers(client) for client in clients)
        assert host.status()["pid"] == host.pid
    host.until(lambda status: len(status["workers"]) == 3)
    assert not before & pids_of(host)
    # In each slot the new worker is ready before the old one drains.
    log = host.log()
    for slot in range(3):
        ready = re.search(rf"worker_ready .*slot={slot} .*generation=2", log)
        draining = re.search(rf"worker_draining .*slot={slot} ", log)
        assert ready
        assert draining
        assert ready.start() < draining.start()


def test_workers_of_a_reload_exit_when_the_master_is_killed(live_host: Hosts, killed_masters: list[LiveHost]) -> None:
    host = live_host("--plugin", "echo", "--workers", "3")
    killed_masters.append(host)
    for _ in range(2):
        assert host.command("reload").returncode == 0
    # Also old workers, if some of them are still draining.
    workers = started.of_this_test() - {host.pid}
    assert set(pids_of(host)) <= workers
    host.signal(signal.SIGKILL)
    assert all_end(workers, 10)
    assert not started.of_this_test() - {host.pid}


def test_every_worker_is_reaped_when_several_exit_at_once(live_host: Hosts, expected_errors: list[str]) -> None:
    expected_errors.append("worker_crashed")
    host = live_host("--plugin", "echo", "--workers", "4")
    before = pids_of(host)
    # The kernel merges pending SIGCHLD signals: one signal can stand for several exits.
    host.signal(signal.SIGSTOP)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    assert all_end(before)
    host.signal(signal.SIGCONT)
    host.wait_for_log("worker_crashed", 4)
    host.until(lambda status: status["workers_ready"] == 4)
    assert started.children(host.pid) == pids_of(host)
    assert not before & pids_of(host)


def test_ctrl_c_stops_all_processes_and_drains_connections(tmp_path: Path) -> None:
    with on_a_terminal(tmp_path, "--plugin", "echo", "--workers", "3", "--stop-timeout", "600") as host:
        assert len(started.of_this_test()) == 4
        with host.connect() as client:
            assert answers(client)
            host.type(CTRL_C)
            host.wait_for_log("host_stopping")
            # The terminal sends it to the workers too, which ignore it: the master stops them.
            assert answers(client)
        assert host.wait() == 0
        assert not started.of_this_test()


def test_an_interrupt_of_the_process_group_stops_all_processes(tmp_path: Path) -> None:
    with on_a_terminal(tmp_path, "--plugin", "echo", "--workers", "3", "--stop-timeout", "600") as host:
        with host.connect() as client:
            assert answers(client)
            os.killpg(host.pid, signal.SIGINT)
            # The kernel merges two signals that are pending at the same time.
            host.wait_for_log("worker_draining", 3)
            assert answers(client)
            os.killpg(host.pid, signal.SIGINT)
            assert ended(client)
        assert host.wait() == 0
        assert not started.of_this_test()


def test_the_pid_file_contains_only_the_pid_of_the_master(live_host: Hosts, expected_errors: list[str]) -> None:
    expected_errors.append("worker_crashed")
    host = live_host("--plugin", "echo", "--workers", "2")
    pid_file = host.run_dir / "master.pid"
    assert pid_file.read_text() == f"{host.pid}\n"
    host.command("reload")
    assert pid_file.read_text() == f"{host.pid}\n"
    os.kill(min(pids_of(host)), signal.SIGKILL)
    host.wait_for_log("worker_crashed")
    host.until(lambda status: status["workers_ready"] == 2)
    assert pid_file.read_text() == f"{host.pid}\n"
    assert host.stop() == 0
    assert not pid_file.exists()


def test_two_masters_never_share_a_run_directory(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo")
    files = {name: (host.run_dir / name).stat().st_ino for name in os.listdir(host.run_dir)}
    for flag in ((), ("-d",)):
        arguments = ("--plugin", "echo", "--listen", "tcp://127.0.0.1:0", "--run-dir", str(host.run_dir))
        second = run("start", *flag, *arguments)
        assert second.returncode == 6
        assert second.stderr.startswith(f"reactorhost: a host already runs in {host.run_dir}, pid {host.pid}\n")
        assert f"stop it with `reactorhost stop --run-dir {host.run_dir}`" in second.stderr
    assert {name: (host.run_dir / name).stat().st_ino for name in os.listdir(host.run_dir)} == files
    with host.connect() as client:
        assert answers(client)
    assert host.stop() == 0


@pytest.mark.parametrize("listen", ["tcp://127.0.0.1:{}", "tcp://0.0.0.0:{}", "tcp://*:{}", "tcp://localhost:{}"])
def test_two_masters_never_share_a_port(live_host: Hosts, listen: str) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    address = listen.format(host.address()[1])
    with pytest.raises(HostFailedError) as refused:
        live_host("--plugin", "echo", "--listen", address)
    assert refused.value.status == 1
    assert f"reactorhost: {address} is in use by another process" in refused.value.text
    assert "worker_starting" not in refused.value.text
    # All traffic of the first host stayed with it.
    for _ in range(20):
        with host.connect() as client:
            assert answers(client)
    host.until(lambda status: status["totals"]["accepted"] == 20)


def test_the_port_of_another_kind_of_server_is_not_shared(live_host: Hosts) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(HostFailedError) as refused:
            live_host("--plugin", "echo", "--listen", address)
        assert refused.value.status == 1
        with socket.create_connection(other.getsockname(), timeout=DEADLINE_SECONDS):
            other.settimeout(DEADLINE_SECONDS)
            other.accept()[0].close()


def test_a_stale_pid_neither_blocks_a_start_nor_passes_for_a_running_host(live_host: Hosts) -> None:
    first = live_host("--plugin", "echo")
    second = live_host("--plugin", "echo")
    # As after a reboot, when another process has the number.
    first.signal(signal.SIGKILL)
    first.process.wait()
    (first.run_dir / "master.pid").write_text(f"{second.pid}\n")
    assert first.command("stop").returncode == 5
    assert second.status()["state"] == "running"
    first.process.stdout.close()  # type: ignore[union-attr]  # a pipe, by LiveHost
    first.start()
    assert first.stop() == 0
    until(lambda: not (first.run_dir / "master.pid").exists(), "the end of the pid file")
