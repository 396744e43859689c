"""`start -d` returns when the workers are ready, with the exit status of the start."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import started
from clients import answers, ended
from daemons import COMMAND, Daemon, run, without_progress
from reactorhost import __version__
from reactorhost.testing import LiveHost
from waiting import all_end, until

Daemons = Callable[..., Daemon]


def test_the_command_returns_when_workers_are_ready_and_shows_the_banner(daemon: Daemons) -> None:
    host = daemon("--plugin", "echo", "--workers", "2")
    title, listening, workers, log, stop = host.started.stdout.splitlines()
    assert title == f"reactorhost {__version__} · default · pid {host.pid}"
    assert listening.startswith("  listening  tcp://127.0.0.1:")
    assert workers == "  workers    2 of 2 ready"
    assert log == f"  log        {host.log_path}"
    assert stop == f"  stop       reactorhost stop --run-dir {host.run_dir}"
    assert without_progress(host.started.stderr) == ""
    with host.connect() as client:
        assert answers(client)


def test_a_daemon_has_its_own_session_and_is_not_its_leader(daemon: Daemons) -> None:
    host = daemon("--plugin", "echo")
    assert os.getsid(host.pid) not in (os.getsid(0), host.pid)
    assert os.readlink(f"/proc/{host.pid}/fd/0") == "/dev/null"


# An empty variable counts as unset.
BUFFERED = {"PYTHONUNBUFFERED": ""}
PRINTS_AND_CRASHES = """
import os, sys
@hookimpl
def receive(connection, data):
    print("printed")
    if data == b"crash":
        os.write(1, b"written\\n")
        print("last words", file=sys.stderr)
        os._exit(9)
    connection.send(data)
"""


def test_output_of_a_daemon_and_its_plugins_goes_to_the_log(
    daemon: Daemons, write_plugin: Callable[..., str], expected_errors: list[str]
) -> None:
    expected_errors.append("worker_crashed")
    host = daemon("--plugin", write_plugin(PRINTS_AND_CRASHES), "--workers", "1", environment=BUFFERED)
    with host.connect() as client:
        assert answers(client)
        assert "info printed worker=" in host.log()
        client.sendall(b"crash")
        assert ended(client)
    host.wait_for_log("warning last words worker=")
    host.wait_for_log("\nwritten\n")


def test_a_print_is_on_standard_output_at_once_and_not_lost_in_a_crash(
    live_host: Callable[..., LiveHost], write_plugin: Callable[..., str], expected_errors: list[str]
) -> None:
    expected_errors.append("worker_crashed")
    host = live_host("--plugin", write_plugin(PRINTS_AND_CRASHES), "--workers", "1", environment=BUFFERED)
    with host.connect() as client:
        assert answers(client)
        assert host.read_line() == "printed"
        client.sendall(b"crash")
        assert host.read_line() == "printed"


def test_a_service_that_discards_what_clients_send_is_shown_and_logged_once(
    daemon: Daemons, write_plugin: Callable[..., str]
) -> None:
    host = daemon("--plugin", write_plugin("@hookimpl\ndef connect(connection): ...\n"), "--workers", "2")
    assert "  warning    no plugin of service 'default' has the hook receive: " in host.started.stdout
    assert host.log().count(" warning no_receive ") == 1


def test_stop_of_a_daemon_leaves_only_its_log(daemon: Daemons) -> None:
    host = daemon("--plugin", "echo", "--workers", "2")
    pids = [host.pid, *(worker["pid"] for worker in host.workers())]
    assert host.command("stop").returncode == 0
    assert not [pid for pid in pids if started.lives(pid)]
    assert not host.run_dir.exists()
    assert "host_stopped" in host.log()


def test_without_log_file_a_daemon_logs_to_its_run_directory(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    place = ("--run-dir", str(run_dir))
    assert run("start", "-d", "--plugin", "echo", "--listen", "tcp://127.0.0.1:0", *place).returncode == 0
    assert run("stop", *place).returncode == 0
    assert os.listdir(run_dir) == ["reactorhost.log"]
    assert "host_stopped" in (run_dir / "reactorhost.log").read_text()


# Failures of a start, in the foreground and with -d.

RAISES = "@hookimpl\ndef worker_start(worker):\n    raise OSError('no database')\n"
EXITS = "import os\nos._exit(0)\n"
HANGS_IMPORTING = "import signal\nwhile True:\n    signal.pause()\n"
HANGS_STARTING = f"@hookimpl\ndef worker_start(worker):\n    {HANGS_IMPORTING.replace(chr(10), chr(10) + '    ')}\n"
SPINS = "while True:\n    pass\n"
KILLED = "import os\nos.kill(os.getpid(), 9)\n"
SYS_EXIT = "import sys\nsys.exit(0)\n"
SYNTAX = "def f(:\n    pass\n"
IMPORT = "import no_such_module_anywhere\n"
NO_HOOK = "def receive(connection, data):\n    pass\n"
UNKNOWN_HOOK = "@hookimpl\ndef recieve(connection, data):\n    pass\n"
UNKNOWN_ARGUMENT = "@hookimpl\ndef receive(conection, data):\n    pass\n"

BROKEN = {
    "worker_start raises": (RAISES, 3, "no database"),
    "exits in import": (EXITS, 3, "did not become ready: exit status 0"),
    "hangs in import": (HANGS_IMPORTING, 3, "boot_timeout of 1.5 s exceeded"),
    "hangs in worker_start": (HANGS_STARTING, 3, "boot_timeout of 1.5 s exceeded"),
    "spins in import": (SPINS, 3, "boot_timeout of 1.5 s exceeded"),
    "is killed in import": (KILLED, 3, "signal 9 (SIGKILL)"),
    "sys.exit in import": (SYS_EXIT, 4, "the plugin called sys.exit(0)"),
    "syntax error": (SYNTAX, 4, "SyntaxError"),
    "import error": (IMPORT, 4, "No module named 'no_such_module_anywhere'"),
    "no hook": (NO_HOOK, 4, "@hookimpl"),
    "unknown hook": (UNKNOWN_HOOK, 4, "did you mean 'receive'?"),
    "unknown argument": (UNKNOWN_ARGUMENT, 4, "did you mean 'connection'?"),
}
SHOWS_CODE = {
    "worker_start raises": "raise OSError('no database')",
    "hangs in import": "made.py",
    "hangs in worker_start": "worker_start",
    "spins in import": "made.py",
    "syntax error": "def f(:",
    "import error": "import no_such_module_anywhere",
}


@pytest.mark.parametrize("daemon_flag", [("-d",), ()], ids=["daemon", "foreground"])
@pytest.mark.parametrize("kind", BROKEN)
def test_a_start_with_a_broken_plugin_fails_with_its_status_and_cause_and_leaves_nothing(
    tmp_path: Path, write_plugin: Callable[..., str], kind: str, daemon_flag: tuple[str, ...]
) -> None:
    source, status, expected = BROKEN[kind]
    place = tmp_path / "place"
    place.mkdir()
    # Short only where the timeout must pass: a loaded machine needs time to reach the plugin.
    boot_timeout = "1.5" if "boot_timeout" in expected else "30"
    flags = (
        "--workers",
        "2",
        "--boot-timeout",
        boot_timeout,
        "--log-file",
        str(place / "log"),
        "--run-dir",
        str(place / "r"),
    )
    plugin = write_plugin(source)
    ended = run("start", *daemon_flag, "--plugin", plugin, "--listen", "tcp://127.0.0.1:0", *flags)
    assert ended.returncode == status, ended.stderr
    assert expected in ended.stderr
    assert SHOWS_CODE.get(kind, "") in ended.stderr
    assert ended.stdout == ""
    # The sentence follows the details.
    sentence = [line for line in ended.stderr.splitlines() if line.startswith("reactorhost: ")]
    assert len(sentence) == 1
    assert os.listdir(place) == []
    assert not started.of_this_test()


@pytest.mark.parametrize("log", [(), ("--log-file", "host.log")], ids=["log in the run directory", "log elsewhere"])
def test_what_a_plugin_printed_before_it_ended_a_start_is_shown(
    tmp_path: Path, write_plugin: Callable[..., str], log: tuple[str, ...]
) -> None:
    prints = "import os\nos.write(2, b'the licence has expired\\n')\nos._exit(3)\n"
    place = tmp_path / "place"
    place.mkdir()
    arguments = ("--plugin", write_plugin(prints), "--listen", "tcp://127.0.0.1:0", "--run-dir", str(place / "run"))
    ended = run("start", "-d", *arguments, *log, cwd=place)
    assert ended.returncode == 3
    assert "the licence has expired\n" in ended.stderr
    assert os.listdir(place) == []


def test_a_daemon_that_a_bug_ended_refers_to_its_log(tmp_path: Path) -> None:
    # Imported by every Python that finds it. No bug of the host is known, so this one is made.
    (tmp_path / "sitecustomize.py").write_text(
        "import os\ndef fails(name):\n    raise RuntimeError('a bug')\nos.memfd_create = fails\n"
    )
    arguments = ("--plugin", "echo", "--listen", "tcp://127.0.0.1:0", "--run-dir", str(tmp_path / "run"))
    ended = run("start", "-d", *arguments, environment={"PYTHONPATH": str(tmp_path)})
    log = tmp_path / "run" / "reactorhost.log"
    assert (ended.returncode, f"hint: see the end of {log}" in ended.stderr) == (3, True)
    assert log.read_text().endswith("RuntimeError: a bug\n")
    assert os.listdir(tmp_path / "run") == [log.name]


@pytest.mark.parametrize("daemon_flag", [("-d",), ()], ids=["daemon", "foreground"])
def test_the_error_for_an_unknown_plugin_lists_the_installed_ones(tmp_path: Path, daemon_flag: tuple[str, ...]) -> None:
    ended = run("start", *daemon_flag, "--plugin", "ecoh", "--run-dir", str(tmp_path / "run"))
    assert ended.returncode == 4
    assert "no plugin named 'ecoh' is installed" in ended.stderr
    assert "did you mean 'echo'?" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert os.listdir(tmp_path) == []


def test_a_failed_start_keeps_a_log_file_that_existed(tmp_path: Path, write_plugin: Callable[..., str]) -> None:
    log = tmp_path / "host.log"
    log.write_text("from before\n")
    place = ("--log-file", str(log), "--run-dir", str(tmp_path / "run"))
    ended = run("start", "-d", "--plugin", write_plugin(RAISES), "--listen", "tcp://127.0.0.1:0", *place)
    assert ended.returncode == 3
    assert log.read_text().startswith("from before\n")
    assert "no database" in log.read_text()


def test_a_start_succeeds_when_one_of_several_workers_does_not_boot(
    daemon: Daemons, write_plugin: Callable[..., str], expected_errors: list[str]
) -> None:
    expected_errors.append("worker_not_booted")
    fails_beside = "@hookimpl\ndef worker_start(worker):\n    assert worker.slot == 0\n"
    host = daemon("--plugin", write_plugin(fails_beside), "--plugin", "echo", "--workers", "2")
    assert "1 of 2 ready" in host.started.stdout
    with host.connect() as client:
        assert answers(client)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_the_command_stops_the_daemon(
    tmp_path: Path, write_plugin: Callable[..., str], number: signal.Signals
) -> None:
    note, run_dir = tmp_path / "importing", tmp_path / "run"
    hangs = f"open({str(note)!r}, 'w').close()\n{HANGS_IMPORTING}"
    arguments = ["-d", "--plugin", write_plugin(hangs), "--listen", "tcp://127.0.0.1:0", "--run-dir", str(run_dir)]
    with subprocess.Popen(
        [*COMMAND, "start", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as starter:
        until(note.exists, "the import of the plugin")
        daemons = started.of_this_test() - {starter.pid}
        assert daemons
        starter.send_signal(number)
        _, stderr = starter.communicate()
    assert starter.returncode == 130
    assert stderr.splitlines()[-1] == "reactorhost: interrupted before the host was ready; it has ended"
    assert "Traceback" not in stderr
    assert all_end(daemons)
    assert not run_dir.exists()


def test_killing_the_command_does_not_stop_the_daemon(
    tmp_path: Path, write_plugin: Callable[..., str], daemon: Daemons
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    waits = f"@hookimpl\ndef worker_start(worker):\n    open({str(gate)!r}).close()\n"
    host = daemon("--plugin", "echo")
    assert host.command("stop").returncode == 0
    plugins = ("--plugin", write_plugin(waits), "--plugin", "echo")
    places = ("--listen", "tcp://127.0.0.1:0", "--run-dir", str(host.run_dir), "--log-file", str(host.log_path))
    command = [*COMMAND, "start", "-d", "--workers", "1", *plugins, *places]
    # The plugin reached its hook.
    with subprocess.Popen(command) as starter, gate.open("w"):
        starter.kill()
        starter.wait()
    until((host.run_dir / "master.pid").exists, "the daemon")
    host.find()
    with host.connect() as client:
        assert answers(client)
