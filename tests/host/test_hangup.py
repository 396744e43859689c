"""HUP: the host reads its configuration again, or stops if its terminal is gone."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from clients import answers, read_exactly
from daemons import Daemon
from reactorhost.testing import LiveHost
from terminals import on_a_terminal
from waiting import all_end, until

Hosts = Callable[..., LiveHost]

CONFIG = """
[host]
workers = {workers}
stop_timeout = {stop_timeout}
[service.echo]
listen = "{listen}"
plugins = ["{plugin}"]
"""
ANSWER = "@hookimpl\ndef receive(connection, data):\n    connection.send(b'{}')\n"


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that replaces the configuration file."""

    def write(
        workers: object = 1, stop_timeout: object = 600, listen: str = "tcp://127.0.0.1:0", plugin: str = "echo"
    ) -> Path:
        path = tmp_path / "host.toml"
        path.write_text(CONFIG.format(workers=workers, stop_timeout=stop_timeout, listen=listen, plugin=plugin))
        return path

    return write


def test_a_valid_configuration_is_applied_and_workers_reload(live_host: Hosts, configure: Callable[..., Path]) -> None:
    host = live_host("--config", str(configure()))
    (before,) = host.workers()
    configure(workers=3, stop_timeout=0.2)
    host.signal(signal.SIGHUP)
    host.wait_for_log("reload_finished")
    host.until(lambda status: status["workers_ready"] == 3)
    assert before["pid"] not in {worker["pid"] for worker in host.workers()}
    with host.connect() as client:
        assert answers(client)
        # With the old stop_timeout this would wait for the client.
        assert host.stop() == 0


def test_a_new_plugin_in_the_configuration_is_used(
    live_host: Hosts, configure: Callable[..., Path], write_plugin: Callable[..., str]
) -> None:
    host = live_host("--config", str(configure(plugin=write_plugin(ANSWER.format("old"), "old"))))
    configure(plugin=write_plugin(ANSWER.format("new"), "new"))
    host.signal(signal.SIGHUP)
    host.wait_for_log("reload_finished")
    with host.connect() as client:
        client.sendall(b"?")
        assert read_exactly(client, 3) == b"new"
    assert host.status()["services"][0]["plugins"][0]["name"] == "new"


def test_fewer_workers_in_the_configuration_drain_the_highest_slots(
    live_host: Hosts, configure: Callable[..., Path]
) -> None:
    host = live_host("--config", str(configure(workers=3)))
    configure(workers=1)
    host.signal(signal.SIGHUP)
    host.until(lambda status: [worker["slot"] for worker in status["workers"]] == [0] and status["generation"] == 2)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"workers": '"many"'}, "host.toml:3"),
        ({"plugin": "ecoh"}, "did you mean 'echo'?"),
        ({"listen": "tcp://127.0.0.1:1"}, "services and addresses cannot change"),
        ({"listen": "tcp://127.0.0.1:0\nnot toml"}, "host.toml:"),
    ],
)
def test_a_configuration_that_is_refused_is_logged_and_changes_nothing(
    live_host: Hosts,
    configure: Callable[..., Path],
    expected_errors: list[str],
    change: dict[str, str],
    expected: str,
) -> None:
    expected_errors.append("configuration_refused")
    host = live_host("--config", str(configure()))
    before = host.workers()
    configure(stop_timeout=1, **change)
    host.signal(signal.SIGHUP)
    log = host.wait_for_log("configuration_refused")
    refusal = next(line for line in log.splitlines() if "configuration_refused" in line)
    assert "hint: " not in refusal
    assert expected in refusal.replace('\\"', '"')
    assert 'hint="nothing was changed' in refusal
    after = host.status()
    assert [worker["pid"] for worker in after["workers"]] == [worker["pid"] for worker in before]
    assert (after["generation"], after["reloading"], after["workers_wanted"]) == (1, False, 1)
    with host.connect() as client:
        assert answers(client)


def test_log_files_are_reopened(live_host: Hosts, tmp_path: Path) -> None:
    log = tmp_path / "host.log"
    host = live_host("--plugin", "echo", "--log-file", str(log))
    log.rename(tmp_path / "host.log.1")
    host.signal(signal.SIGHUP)
    until(lambda: log.exists() and "reload_finished" in log.read_text(), "a line in the new file")
    assert "reload_finished" not in (tmp_path / "host.log.1").read_text()


def test_settings_of_a_whole_process_life_are_kept(daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    config = tmp_path / "host.toml"
    service = '[service.echo]\nlisten = "tcp://127.0.0.1:0"\nplugins = "echo"\n'
    admin = f'admin = "unix://{tmp_path}/admin.sock"\n'
    config.write_text(f'[host]\nname = "first"\nbacklog = 50\nmax_connections = 10\n{admin}{service}')
    host = daemon("--config", str(config))
    before = host.status()
    other = tmp_path / "other"
    config.write_text(f'[host]\nname = "second"\nbacklog = 60\npid_file = "{other}"\nmax_connections = 1\n{service}')
    host.signal(signal.SIGHUP)
    host.wait_for_log("reload_finished")
    after = host.status()
    for fixed in ("name", "daemon", "run_dir", "pid_file", "log_file", "backlog", "admin"):
        assert after[fixed] == before[fixed], fixed
    # Also one that was removed; the log file of a daemon was never in the file.
    assert "settings=name,pid_file,backlog,admin" in host.log()
    assert not other.exists()
    assert host.command("reopen").returncode == 0
    assert host.command("stop").returncode == 0


def test_with_its_terminal_open_the_host_only_reads_again(tmp_path: Path) -> None:
    with on_a_terminal(tmp_path, "--plugin", "echo") as host:
        os.kill(host.pid, signal.SIGHUP)
        host.wait_for_log("reload_finished")
        assert host.status()["state"] == "running"
        assert host.stop() == 0


def test_a_terminal_that_closed_stops_the_host(tmp_path: Path) -> None:
    with on_a_terminal(tmp_path, "--plugin", "echo", "--workers", "2") as host:
        pids = [worker["pid"] for worker in host.workers()]
        host.hang_up()
        assert host.wait() == 0
        assert all_end(pids)
        assert "terminal_gone" in host.log()
