"""`reactorhost restart` uses the settings of the first start, from any folder and environment."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from clients import answers, read_exactly
from daemons import COMMAND, Daemon, run, without_progress
from reactorhost.testing import LiveHost
from waiting import all_end

Daemons = Callable[..., Daemon]

UPPERCASE = """
import neighbour
from reactorhost import hookimpl

@hookimpl
def receive(connection, data):
    connection.send(data.upper())
"""
CONFIG = """
[host]
name = "shouting"
workers = 2
stop_timeout = "7s"
[service.shouting]
listen = "tcp://127.0.0.1:0"
plugins = ["./shout.py"]
"""


def test_a_daemon_restarts_with_the_same_settings(
    daemon: Daemons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    home = tmp_path / "home"
    home.mkdir()
    (home / "shout.py").write_text(UPPERCASE)
    (home / "neighbour.py").touch()
    (home / "host.toml").write_text(CONFIG)
    environment = {"REACTORHOST_LOG_LEVEL": "debug", "REACTORHOST_MAX_CONNECTIONS": "77"}
    host = daemon("--config", "host.toml", "--backlog", "123", environment=environment, cwd=home)
    first = host.status()
    pids = [host.pid, *(worker["pid"] for worker in host.workers())]
    # Files with the names of modules that the command imports, beside the plugin.
    for module in ("json", "types", "click"):
        (home / f"{module}.py").write_text("raise SystemExit('a file of the directory was imported')\n")
    # From another folder, in another environment.
    restarted = run(
        "restart", "--run-dir", str(host.run_dir), environment={"REACTORHOST_WORKERS": "1"}, cwd=tmp_path / "daemon0"
    )
    assert restarted.returncode == 0, restarted.stderr
    assert "stopped, starting it again" in restarted.stdout
    assert "  workers    2 of 2 ready" in restarted.stdout
    assert all_end(pids, 0.0)
    host.find()
    second = host.status()
    assert host.pid not in pids
    for same in ("name", "backlog", "workers_wanted", "run_dir", "pid_file", "log_file", "config_file", "daemon"):
        assert second[same] == first[same], same
    environ = Path(f"/proc/{host.pid}/environ").read_bytes().split(b"\0")
    assert b"REACTORHOST_MAX_CONNECTIONS=77" in environ
    assert not [each for each in environ if each.startswith(b"REACTORHOST_WORKERS=")]
    assert Path(f"/proc/{host.pid}/cwd").resolve() == home
    with host.connect() as client:
        client.sendall(b"hello")
        assert read_exactly(client, 5) == b"HELLO"


def wait_for_stop(restart: subprocess.Popen[str]) -> None:
    """Wait until the command shows that it waits for the host to stop."""
    assert restart.stderr is not None
    assert any(line.startswith("stopping: ") for line in restart.stderr)


def test_restart_waits_for_open_connections(daemon: Daemons) -> None:
    host = daemon("--plugin", "echo", "--stop-timeout", "600")
    command = [*COMMAND, "restart", "--run-dir", str(host.run_dir)]
    with host.connect() as client:
        assert answers(client)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as restart:
            wait_for_stop(restart)
            assert answers(client)
            client.close()
            assert "ready" in restart.communicate()[0]
    assert restart.returncode == 0
    host.find()


def test_ctrl_c_during_the_stop_reports_that_nothing_is_started(daemon: Daemons) -> None:
    host = daemon("--plugin", "echo", "--stop-timeout", "600")
    command = [*COMMAND, "restart", "--run-dir", str(host.run_dir)]
    with host.connect() as client:
        assert answers(client)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as restart:
            wait_for_stop(restart)
            restart.send_signal(signal.SIGINT)
            _, stderr = restart.communicate()
    assert restart.returncode == 130
    what, hint = without_progress(stderr).splitlines()
    assert what.endswith(f"host 'default' in {host.run_dir} continues to stop, and will not be started again")
    assert hint.startswith(f"  hint: start it then with: cd {Path.cwd()} && reactorhost start -d --run-dir ")
    host.wait()


def test_a_foreground_host_moves_to_the_terminal_of_the_restart(live_host: Callable[..., LiveHost]) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    command = [*COMMAND, "restart", "--run-dir", str(host.run_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as restart:
        assert restart.stdout is not None
        lines = iter(restart.stdout.readline, "")
        assert any(line.startswith("  stop ") for line in lines)
        assert host.wait() == 0
        assert host.status()["pid"] == restart.pid
        with host.connect() as client:
            assert answers(client)
        restart.send_signal(signal.SIGINT)
    assert restart.returncode == 0


@pytest.fixture
def serving(daemon: Daemons, tmp_path: Path) -> Daemon:
    """Return a daemon whose settings and plugin are files in the folder `home`."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "shout.py").write_text(UPPERCASE.replace("import neighbour", ""))
    (home / "host.toml").write_text(CONFIG)
    return daemon("--config", "host.toml", cwd=home)


def test_a_new_address_that_another_process_uses_is_found_before_the_stop(serving: Daemon, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        (tmp_path / "home" / "host.toml").write_text(CONFIG.replace("tcp://127.0.0.1:0", address))
        restarted = serving.command("restart")
    assert restarted.returncode == 1
    assert f"reactorhost: {address} is in use by another process\n" in restarted.stderr
    assert serving.status()["workers_ready"] == 2


@pytest.mark.parametrize(
    ("damage", "status", "expected"),
    [
        (lambda home: (home / "host.toml").write_text("[host"), 1, "the configuration is not valid TOML"),
        (lambda home: (home / "shout.py").write_text("1 / 0\n"), 4, "ZeroDivisionError"),
        (shutil.rmtree, 1, "cannot enter the directory of the host's start"),
    ],
    ids=["settings", "plugin", "directory"],
)
def test_a_host_that_could_not_start_again_keeps_serving(
    serving: Daemon, tmp_path: Path, damage: Callable[[Path], object], status: int, expected: str
) -> None:
    damage(tmp_path / "home")
    restarted = serving.command("restart")
    assert restarted.returncode == status
    assert f"host 'shouting' in {serving.run_dir} is not restarted and keeps serving\n" in restarted.stderr
    assert expected in restarted.stderr
    assert serving.status()["workers_ready"] == 2
    with serving.connect() as client:
        client.sendall(b"hello")
        assert read_exactly(client, 5) == b"HELLO"


def test_a_host_that_does_not_run_is_not_restarted(tmp_path: Path) -> None:
    assert run("restart", "--run-dir", str(tmp_path / "run")).returncode == 5
