"""`reactorhost stop` shows what it waits for, and returns when every process has ended."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import started
from clients import answers, ended
from daemons import COMMAND, run, without_progress
from reactorhost.cli import client
from reactorhost.config import default_paths
from reactorhost.testing import LiveHost
from users import NOBODY, run_as_nobody, run_unprivileged

Hosts = Callable[..., LiveHost]


def start_stop(host: LiveHost, *arguments: str) -> subprocess.Popen[str]:
    """Start `reactorhost stop`; its output is read while it runs."""
    command = [*COMMAND, "stop", *arguments, "--run-dir", str(host.run_dir)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)


def first_line(process: subprocess.Popen[str]) -> str:
    """Return the first line about connections; before, the command may say that it waits for an answer."""
    assert process.stderr is not None
    return next(line for line in process.stderr if " open" in line)


def test_stop_shows_what_it_waits_for_and_returns_when_nothing_is_left(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2", "--stop-timeout", "600")
    pids = [host.pid, *(worker["pid"] for worker in host.workers())]
    with host.connect() as client:
        assert answers(client)
        host.until(lambda status: status["totals"]["connections"] == 1)
        with start_stop(host) as stop:
            shown = re.fullmatch(
                r"stopping: 1 connection open(?: on [12] workers?)?, at most (\d+) s left(?:; 127\.0\.0\.1:.*)?\n",
                first_line(stop),
            )
            assert shown
            assert 550 < int(shown[1]) <= 604
            # A second command only follows the stop and does not speed it up.
            assert answers(client)
            client.close()
            rest, _ = stop.communicate()
    assert stop.returncode == 0
    assert rest.splitlines()[-1] == f"host 'default' in {host.run_dir} has stopped"
    assert not [pid for pid in pids if started.lives(pid)]
    assert not host.run_dir.exists()


def test_stop_shows_the_time_left(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--stop-timeout", "600")
    with host.connect() as client:
        assert answers(client)
        with start_stop(host) as stop:
            lines = [first_line(stop) for _ in range(2)]
            first, second = (int(line.partition(" s left")[0].rpartition(" ")[2]) for line in lines)
            assert first > second
            # With the time that the client is idle.
            assert re.search(r" connection open, at most \d+ s left; 127\.0\.0\.1:\d+ idle for \d+ s$", lines[1])
            client.close()
            stop.communicate()


def test_now_closes_every_connection_at_once(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2", "--stop-timeout", "600", "--close-timeout", "600")
    with host.connect() as client:
        assert answers(client)
        assert host.command("stop", "--now").returncode == 0
        assert ended(client)
    assert host.wait() == 0


def test_now_ends_a_stop_that_waits(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--stop-timeout", "600")
    with host.connect() as client:
        assert answers(client)
        with start_stop(host) as first:
            assert first_line(first).startswith("stopping:")
            assert host.command("stop", "--now").returncode == 0
            first.communicate()
        assert first.returncode == 0
        assert ended(client)


def test_two_stop_commands_both_wait_for_the_end(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--stop-timeout", "600")
    with host.connect() as client:
        assert answers(client)
        with start_stop(host) as first, start_stop(host) as second:
            assert first_line(first).startswith("stopping:")
            assert first_line(second).startswith("stopping:")
            assert answers(client)
            client.close()
            assert (first.wait(), second.wait()) == (0, 0)


def test_stop_does_not_wait_for_a_client_that_only_keeps_its_side_open(
    live_host: Hosts, write_plugin: Callable[..., str]
) -> None:
    plugin = write_plugin("@hookimpl\ndef receive(connection, data):\n    connection.close()\n")
    host = live_host("--plugin", plugin, "--stop-timeout", "600", "--close-timeout", "600")
    with host.connect() as client:
        client.sendall(b"x")
        assert client.recv(1) == b""
        stopped = host.command("stop")
    assert stopped.returncode == 0


def test_ctrl_c_ends_the_command_but_not_the_stop(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--stop-timeout", "600")
    with host.connect() as client:
        assert answers(client)
        with start_stop(host) as stop:
            assert first_line(stop).startswith("stopping:")
            stop.send_signal(signal.SIGINT)
            _, stderr = stop.communicate()
        assert stop.returncode == 130
        # A slow machine shows the time left once more before.
        assert without_progress(stderr).splitlines() == [
            f"reactorhost: interrupted, but the host in {host.run_dir} continues to stop",
            f"  hint: wait for it with `reactorhost stop --run-dir {host.run_dir}`; with --now it ends at once",
        ]
        assert host.status()["state"] == "stopping"
        assert answers(client)
    assert host.wait() == 0


def test_a_master_that_does_not_respond_is_reported_and_stopped_by_a_signal(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo")
    host.signal(signal.SIGSTOP)
    with start_stop(host) as stop:
        assert stop.stderr is not None
        silent = f"the master (pid {host.pid}) does not answer, sending it a signal\n"
        assert any(line == silent for line in stop.stderr)
        stop.communicate()
    assert stop.returncode == 0
    assert host.wait() == 0


def test_stop_waits_for_the_end_where_the_kernel_refuses_a_pidfd(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    program = (
        "import errno, os, sys\n"
        "def refuse(pid, flags=0):\n"
        "    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))\n"
        "os.pidfd_open = refuse\n"
        "from reactorhost.cli import main\n"
        "main(['stop', '--run-dir', sys.argv[1]])\n"
    )
    stop = subprocess.run([sys.executable, "-c", program, host.run_dir], capture_output=True, text=True, check=False)
    assert (stop.returncode, without_progress(stop.stderr)) == (0, "")
    assert stop.stdout.splitlines()[-1] == f"host 'default' in {host.run_dir} has stopped"
    assert host.wait() == 0


def test_other_commands_report_that_the_master_does_not_respond(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo")
    host.signal(signal.SIGSTOP)
    shown = host.command("status")
    host.signal(signal.SIGCONT)
    assert shown.returncode == 1
    assert f"the master of the host in {host.run_dir} (pid {host.pid}) does not answer" in shown.stderr


# No host to stop.


def test_stop_of_a_host_that_does_not_run_has_exit_status_5(tmp_path: Path) -> None:
    ended = run("stop", "--run-dir", str(tmp_path / "run"))
    assert ended.returncode == 5
    assert ended.stderr.startswith(f"reactorhost: the host in {tmp_path / 'run'} is not running\n")
    assert os.listdir(tmp_path) == []


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Start a host with a unique name; yields the name and the environment in which it is found."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    environment = {"XDG_RUNTIME_DIR": str(tmp_path)}
    arguments = ("--plugin", "echo", "--listen", "tcp://127.0.0.1:0", "--log-file", str(tmp_path / "log"))
    assert run("start", "-d", "--name", name, *arguments, environment=environment).returncode == 0
    yield name, environment
    run("stop", "--now", "--name", name, environment=environment)


def test_an_instance_is_found_by_its_name(instance: tuple[str, dict[str, str]]) -> None:
    name, environment = instance
    stopped = run("stop", "--name", name, environment=environment)
    assert (stopped.returncode, stopped.stdout.splitlines()[-1]) == (0, f"host {name!r} has stopped")
    assert run("stop", "--name", name, environment=environment).returncode == 5


@pytest.mark.parametrize("command", [["stop"], ["status"], ["reload"], ["scale", "2"], ["connections"], ["reopen"]])
def test_a_misspelt_name_gets_a_suggestion(instance: tuple[str, dict[str, str]], command: list[str]) -> None:
    name, environment = instance
    missed = run(*command, "--name", name[:-1], environment=environment)
    assert missed.returncode == 5
    assert missed.stderr == (f"reactorhost: host {name[:-1]!r} is not running\n  hint: did you mean {name!r}?\n")


def test_an_unknown_name_gets_the_list_of_hosts(instance: tuple[str, dict[str, str]]) -> None:
    name, environment = instance
    missed = run("status", "--name", "QQQ", environment=environment)
    assert missed.returncode == 5
    assert name in missed.stderr.partition("hint: running:")[2]


def test_a_master_that_was_killed_is_not_running_and_nothing_stale_blocks_a_start(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    host.signal(signal.SIGKILL)
    host.process.wait()
    stale = {"master.pid", "workers.pid", "lock", "control.sock"}
    assert stale <= set(os.listdir(host.run_dir))
    for command in ("stop", "status", "reload"):
        assert host.command(command).returncode == 5
    host.process.stdout.close()  # type: ignore[union-attr]  # a pipe, by LiveHost
    host.start()
    assert (host.run_dir / "master.pid").read_text() == f"{host.pid}\n"
    assert host.stop() == 0


def test_a_stale_pid_file_never_gets_another_process_signalled(live_host: Hosts) -> None:
    with subprocess.Popen(["sleep", "600"]) as stranger:
        host = live_host("--plugin", "echo")
        host.signal(signal.SIGKILL)
        host.process.wait()
        (host.run_dir / "master.pid").write_text(f"{stranger.pid}\n")
        (host.run_dir / "workers.pid").write_text(f"0 {stranger.pid} 1\n")
        assert host.command("stop").returncode == 5
        assert host.command("stop", "--now").returncode == 5
        host.process.stdout.close()  # type: ignore[union-attr]  # a pipe, by LiveHost
        host.start()
        assert host.command("stop").returncode == 0
        assert started.lives(stranger.pid)
        stranger.kill()


# A host of another user.


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """Yield a directory that every user can list."""
    path = Path(tempfile.mkdtemp(prefix="rh-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize("command", [["stop"], ["stop", "--now"]])
def test_a_host_of_another_user_is_not_stopped_with_exit_status_7(open_directory: Path, command: list[str]) -> None:
    with LiveHost(open_directory / "host", "--plugin", "echo") as host:
        if os.geteuid() != 0:
            # A test that cannot change its user sees what another user sees: a socket without permission.
            (host.run_dir / "control.sock").chmod(0)
        refused = run_unprivileged(*command, "--run-dir", str(host.run_dir))
        assert refused.returncode == 7
        owner = pwd.getpwuid(os.geteuid()).pw_name
        assert f"the host in {host.run_dir} belongs to user {owner!r}\n" in refused.stderr
        assert host.status()["state"] == "running" if os.geteuid() == 0 else started.lives(host.pid)
        assert host.stop() == 0


def test_a_host_of_root_is_named_to_another_user_who_cannot_use_it(
    open_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "SYSTEM_BASE", open_directory)
    monkeypatch.setattr(default_paths, "SYSTEM_BASE", open_directory)
    owner = pwd.getpwuid(os.geteuid()).pw_name
    (open_directory / "stopped").mkdir()
    (open_directory / "stopped" / "reactorhost.log").touch()
    with LiveHost(open_directory, "--plugin", "echo") as host:
        if os.geteuid() != 0:
            (host.run_dir / "lock").chmod(0)
        for command in ("status", "stop"):
            refused = run_unprivileged(command, "--name", host.run_dir.name)
            assert refused.returncode == 7
            assert f"the host in {host.run_dir} belongs to user {owner!r}\n" in refused.stderr
        assert run_unprivileged("status", "--name", "stopped").returncode == 5
        listed = run_unprivileged("ls")
        assert listed.returncode == 0
        assert f"not listed: host '{host.run_dir.name}' of user {owner!r}\n" in listed.stdout
        assert "'stopped'" not in listed.stdout
        assert "no host runs" not in listed.stdout
        (host.run_dir / "lock").chmod(0o600)


def test_a_socket_with_a_wrong_mode_still_refuses_other_users(open_directory: Path) -> None:
    with LiveHost(open_directory / "host", "--plugin", "echo") as host:
        (host.run_dir / "control.sock").chmod(0o777)
        if os.geteuid() == 0:
            # The command itself refuses before it connects.
            run_as_nobody(lambda: host.ask("reload"))
            host.wait_for_log(f"uid={NOBODY}")
            assert "control_refused" in host.log()
        else:
            assert run_unprivileged("reload", "--run-dir", str(host.run_dir)).returncode == 0
        assert host.status()["generation"] == (1 if os.geteuid() == 0 else 2)
