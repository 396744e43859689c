"""A host in the foreground: start, banner, signals, stop."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

import started
from clients import answers, ended
from daemons import COMMAND, run
from reactorhost import __version__
from reactorhost.testing import DEADLINE_SECONDS, LiveHost
from waiting import all_end

Hosts = Callable[..., LiveHost]


def pids_of(host: LiveHost) -> list[int]:
    return [host.pid, *(worker["pid"] for worker in host.workers())]


# The banner.


def test_the_banner_shows_version_pid_address_plugins_workers_and_how_to_stop(live_host: Hosts) -> None:
    host = live_host("--plugin", "accesslog", "--plugin", "echo", "--workers", "2")
    _, port = host.address()
    chain = " > ".join(f"{name} {metadata.version(f'reactorhost-{name}')}" for name in ("accesslog", "echo"))
    assert host.banner == [
        f"reactorhost {__version__} · default · pid {host.pid}",
        f"  listening  tcp://127.0.0.1:{port}  {chain}",
        "  workers    2 of 2 ready",
        f"  stop       Ctrl-C, or: reactorhost stop --run-dir {host.run_dir}",
    ]


def test_the_command_in_the_banner_stops_the_host(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo")
    command = host.banner[-1].partition("or: reactorhost ")[2]
    assert subprocess.run([*COMMAND, *shlex.split(command)], check=False, capture_output=True).returncode == 0
    assert host.wait() == 0


def test_clients_are_served_once_the_banner_is_printed(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    with host.connect() as client:
        assert answers(client)


def test_a_terminal_that_cannot_encode_the_banner_does_not_end_the_host(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", environment={"PYTHONIOENCODING": "iso8859-5"})
    assert host.banner[0] == f"reactorhost {__version__} ? default ? pid {host.pid}"
    with host.connect() as client:
        assert answers(client)
    assert host.stop() == 0


def test_a_banner_that_cannot_be_written_does_not_end_the_host(tmp_path: Path) -> None:
    arguments = ["start", "--plugin", "echo", "--listen", "tcp://127.0.0.1:0", "--run-dir", str(tmp_path / "run")]
    with open("/dev/full", "w") as full:
        buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
        process = subprocess.Popen([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, env=buffered)
    assert process.stderr is not None
    with process, process.stderr as log:
        assert any("host_ready" in line for line in log)
        process.send_signal(signal.SIGINT)
        assert "host_stopped" in log.read()
    assert process.returncode == 0


# Stop.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_int_and_term_stop_every_process_with_exit_status_0(live_host: Hosts, number: signal.Signals) -> None:
    host = live_host("--plugin", "echo", "--workers", "3")
    pids = pids_of(host)
    host.signal(number)
    assert host.wait() == 0
    # The master ends last, so all of it is true at once.
    assert not [pid for pid in pids if started.lives(pid)]
    assert not host.run_dir.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_waits_for_open_connections_and_a_second_signal_stops_at_once(
    live_host: Hosts, number: signal.Signals
) -> None:
    host = live_host("--plugin", "echo", "--workers", "2", "--stop-timeout", "600")
    with host.connect() as client:
        assert answers(client)
        host.signal(number)
        host.wait_for_log("worker_draining", 2)
        assert answers(client)
        assert host.status()["state"] == "stopping"
        host.signal(number)
        assert ended(client)
    assert host.wait() == 0


def test_quit_stops_at_once_with_connections_open(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2", "--stop-timeout", "600", "--close-timeout", "600")
    clients = [host.connect() for _ in range(8)]
    assert all(answers(client) for client in clients)
    host.signal(signal.SIGQUIT)
    assert all(ended(client) for client in clients)
    assert host.wait() == 0
    for client in clients:
        client.close()


def test_stop_ends_although_a_client_stays_connected(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--stop-timeout", "0.2")
    with host.connect() as client:
        assert answers(client)
        assert host.stop() == 0
        assert ended(client)


def test_stop_ends_although_a_hook_never_returns(
    live_host: Hosts, write_plugin: Callable[..., str], expected_errors: list[str]
) -> None:
    expected_errors.append("worker_killed")
    stuck = "@hookimpl\ndef receive(connection, data):\n    connection.send(data)\n    while True: pass\n"
    host = live_host("--plugin", write_plugin(stuck), "--workers", "2", "--stop-timeout", "0")
    with host.connect() as client:
        assert answers(client)
        host.signal(signal.SIGQUIT)
        assert host.wait() == 0


def test_a_stop_logs_where_a_hook_does_not_return(
    live_host: Hosts, write_plugin: Callable[..., str], expected_errors: list[str]
) -> None:
    expected_errors += ["worker_killed", "worker_crashed"]
    stuck = "@hookimpl\ndef receive(connection, data):\n    connection.send(data)\n    while True: pass\n"
    host = live_host("--plugin", write_plugin(stuck), "--workers", "1", "--stop-timeout", "1")
    with host.connect() as client:
        assert answers(client)
        host.signal(signal.SIGTERM)
        assert host.wait() == 0
    assert re.search(r'^ +File ".*made\.py", line \d+ in receive', host.log(), re.MULTILINE)


def test_an_interrupt_while_workers_boot_stops_with_130_and_leaves_nothing(
    tmp_path: Path, write_plugin: Callable[..., str]
) -> None:
    hangs = "import sys\nprint('importing', flush=True)\nimport signal\nsignal.pause()\n"
    run_dir = tmp_path / "run"
    arguments = ["start", "--plugin", write_plugin(hangs), "--listen", "tcp://127.0.0.1:0", "--run-dir", str(run_dir)]
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate()
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == "reactorhost: stopped before it was ready"
    assert "Traceback" not in stderr
    assert not run_dir.exists()


# Other signals.


def test_ttin_adds_and_ttou_removes_a_worker(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    host.signal(signal.SIGTTIN)
    grown = host.until(lambda status: status["workers_ready"] == 2 and status["workers_wanted"] == 2)
    leaving = next(worker["pid"] for worker in grown["workers"] if worker["slot"] == 1)
    host.signal(signal.SIGTTOU)
    host.until(lambda status: [worker["slot"] for worker in status["workers"]] == [0])
    assert all_end([leaving])


def test_ttou_keeps_the_last_worker(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    host.signal(signal.SIGTTOU)
    # The signal arrived before the first response was made, so the second response is made after its effect.
    host.status()
    assert host.status()["workers_wanted"] == 1
    with host.connect() as client:
        assert answers(client)


def test_usr1_replaces_every_worker(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    before = pids_of(host)
    host.signal(signal.SIGUSR1)
    host.wait_for_log("reload_finished")
    after = pids_of(host)
    assert after[0] == before[0]
    assert not set(after[1:]) & set(before[1:])
    assert host.status()["generation"] == 2


def test_a_signal_without_a_meaning_is_ignored(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo")
    host.signal(signal.SIGPIPE)
    host.status()
    assert host.status()["state"] == "running"


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU, signal.SIGPIPE],
)
def test_a_worker_ignores_the_signals_of_the_master(live_host: Hosts, number: signal.Signals) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    with host.connect() as client:
        assert answers(client)
        (worker,) = host.workers()
        os.kill(worker["pid"], number)
        assert answers(client)
    assert [each["pid"] for each in host.workers()] == [worker["pid"]]


# A start that the system refuses.

REFUSALS = {
    "fork": "os.fork = refuse",
    "memfd_create": "os.memfd_create = refuse",
    # Between the two forks of a daemon.
    "second fork": "def setsid():\n    os.fork = refuse\nos.setsid = setsid",
}


@pytest.mark.parametrize(
    ("refused", "flags", "reason"),
    [
        ("fork", (), "cannot fork a worker: Resource temporarily unavailable"),
        ("memfd_create", (), "cannot fork a worker: memfd_create: Resource temporarily unavailable"),
        ("memfd_create", ("-d",), "cannot fork a worker: memfd_create: Resource temporarily unavailable"),
        ("fork", ("-d",), "cannot fork the daemon: Resource temporarily unavailable"),
        ("second fork", ("-d",), "cannot fork the daemon: Resource temporarily unavailable"),
    ],
    ids=["no process", "no file in memory", "no file in memory of a daemon", "no daemon", "no second fork of a daemon"],
)
def test_a_process_that_cannot_be_forked_fails_the_start(
    tmp_path: Path, refused: str, flags: tuple[str, ...], reason: str
) -> None:
    # Imported by every Python that finds it, before the host.
    (tmp_path / "sitecustomize.py").write_text(
        "import errno, os\n"
        "def refuse(*arguments):\n"
        "    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))\n"
        f"{REFUSALS[refused]}\n"
    )
    places = ("--listen", "tcp://127.0.0.1:0", "--run-dir", str(tmp_path / "run"))
    result = run("start", *flags, "--plugin", "echo", *places, environment={"PYTHONPATH": str(tmp_path)})
    assert result.returncode == 3
    assert f"reactorhost: {reason}\n  hint: " in result.stderr
    assert not (tmp_path / "run").exists()


def test_too_few_descriptors_to_set_a_host_up_fail_the_start(tmp_path: Path) -> None:
    command = shlex.join([*COMMAND, "start", "--plugin", "echo", "--workers", "1", "--listen", "tcp://127.0.0.1:0"])
    result = subprocess.run(
        ["/bin/sh", "-c", f"ulimit -n 6; exec {command} --run-dir {shlex.quote(str(tmp_path / 'run'))}"],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert result.returncode == 3
    assert re.match(r"reactorhost: 1 worker .* open files, and the limit is 6\n  hint: raise it", result.stderr)
    assert not (tmp_path / "run").exists()


def test_a_listener_that_cannot_open_fails_the_start(tmp_path: Path, write_plugin: Callable[..., str]) -> None:
    path = tmp_path / "a.sock"
    takes = f"""
import os, socket

@hookimpl
def worker_start(worker):
    os.unlink({str(path)!r})
    taken = socket.socket(socket.AF_UNIX)
    taken.bind({str(path)!r})
"""
    plugins = ("--plugin", write_plugin(takes), "--plugin", "echo")
    result = run("start", *plugins, "--listen", f"unix://{path}", "--run-dir", str(tmp_path / "run"))
    assert (result.returncode, "host_ready" in result.stderr) == (1, False)
    assert f"reactorhost: unix://{path} is in use by another process" in result.stderr
    assert not (tmp_path / "run").exists()
