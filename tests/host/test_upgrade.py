"""An upgrade replaces the program of the master: no connection is lost, and a program that fails changes nothing."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients import answers
from daemons import Daemon, without_progress
from installations import Installation
from load import Load
from reactorhost import __version__
from reactorhost.testing import DEADLINE_SECONDS, LiveHost

Hosts = Callable[..., LiveHost]
Daemons = Callable[..., Daemon]
NewInstallation = Callable[..., Installation]
OTHER = "0.1.7"


@pytest.fixture
def new_installation(tmp_path: Path) -> NewInstallation:
    """Return a function that makes an installation of another version."""
    made: list[Installation] = []

    def make(version: str = OTHER, **options: Any) -> Installation:
        made.append(Installation(tmp_path / f"installation{len(made)}", version, **options))
        return made[-1]

    return make


def pids_of(host: LiveHost) -> list[int]:
    return [worker["pid"] for worker in host.workers()]


def test_another_version_continues_the_host(
    live_host: Hosts, new_installation: NewInstallation, tmp_path: Path
) -> None:
    path = tmp_path / "a.sock"
    listen = ("tcp://127.0.0.1:0", f"unix://{path}", "udp://127.0.0.1:0")
    host = live_host("--plugin", "echo", "--workers", "2", *(each for word in listen for each in ("--listen", word)))
    before = host.status()
    with host.connect() as client, socket.socket(socket.AF_UNIX) as local:
        assert answers(client)
        local.settimeout(DEADLINE_SECONDS)
        local.connect(str(path))
        assert answers(local)
        upgraded = new_installation().upgrade(host)
        assert (upgraded.returncode, without_progress(upgraded.stderr)) == (0, "")
        assert f"upgraded: {__version__} -> {OTHER}, 2 workers, generation 2" in upgraded.stdout
        after = host.status()
        assert (before["version"], after["version"]) == (__version__, OTHER)
        for same in ("name", "pid", "started_at", "run_dir", "pid_file", "backlog", "workers_wanted", "daemon"):
            assert after[same] == before[same], same
        [service_before], [service] = before["services"], after["services"]
        for same in ("name", "addresses", "receives", "workers", "limited_by", "max_connections"):
            assert service[same] == service_before[same], same
        assert service["totals"]["accepted"] >= 2
        assert after["totals"]["accepted"] >= 2
        assert {"host_ready", "upgraded"} <= {event["event"] for event in after["events"]}
        # Their workers drain.
        assert answers(client)
        assert answers(local)
        assert not set(pids_of(host)) & {worker["pid"] for worker in before["workers"]}
    with host.connect() as client:
        assert answers(client)
    # The old workers count for their service after the upgrade and after their end.
    host.until(lambda status: status["services"][0]["totals"]["accepted"] == 3)
    assert host.log().count("host_starting") == 1
    assert host.stop() == 0
    assert not path.exists()


def test_a_daemon_upgrades_by_signal_and_again(daemon: Daemons) -> None:
    host = daemon("--plugin", "echo", "--workers", "2")
    for generation in (2, 3):
        os.kill(host.pid, signal.SIGUSR2)
        # The second one is part of the first.
        os.kill(host.pid, signal.SIGUSR2)
        host.wait_for_log("reload_finished", generation - 1)
        assert host.status()["generation"] == generation
    assert host.log().count(" upgraded ") == 2
    with host.connect() as client:
        assert answers(client)
    assert host.command("stop").returncode == 0
    host.wait()


@pytest.mark.timeout(900)
def test_upgrades_lose_no_connection(
    live_host: Hosts, new_installation: NewInstallation, soak: bool, measurement: Callable[[str], None]
) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    own, other = new_installation(__version__), new_installation()
    upgrades, connections = (20, 2500) if soak else (2, 100)
    with Load(host.address()) as load:
        for number in range(upgrades):
            load.more(connections)
            upgraded = (own if number % 2 else other).upgrade(host)
            assert upgraded.returncode == 0, upgraded.stderr
        count = load.stop()
    measurement(f"{count.answered} connections in {count.seconds:.1f} s, {upgrades} upgrades, lost {count.failures}")
    assert count.answered > connections
    assert count.failures == {}, f"{count}\n{host.log()}"


def an_import_that_fails(other: Installation, plugin: Path) -> None:
    other.begin_with("master/startup.py", "import no_such_module")


def an_endpoint_that_fails(other: Installation, plugin: Path) -> None:
    other.begin_with("master/http/server.py", "import no_such_module")


def an_older_host(other: Installation, plugin: Path) -> None:
    other.replace("cli/commands/start.py", "if handover is not None:", "if False:")


def another_schema(other: Installation, plugin: Path) -> None:
    other.replace("master/upgrade/document.py", "SCHEMA = 1", "SCHEMA = 2")


def a_plugin_that_fails(other: Installation, plugin: Path) -> None:
    plugin.write_text("raise RuntimeError('broken')")


def a_crash(other: Installation, plugin: Path) -> None:
    other.begin_with("master/startup.py", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")


def no_interpreter(other: Installation, plugin: Path) -> None:
    other.replace("cli/commands/running.py", "interpreter=sys.executable", "interpreter='/no/such/python'")


@pytest.mark.parametrize(
    ("spoil", "status", "text"),
    [
        (an_import_that_fails, 3, "No module named 'no_such_module'"),
        (an_endpoint_that_fails, 3, "ended with exit status 1: ModuleNotFoundError: No module named 'no_such_module'"),
        (an_older_host, 3, "exit status 6"),
        (another_schema, 1, f"version {OTHER} cannot continue a host of version {__version__}"),
        (a_plugin_that_fails, 4, "broken"),
        (a_crash, 3, "signal 11 (SIGSEGV)"),
        (no_interpreter, 3, "cannot execute the installation: No such file or directory: '/no/such/python'"),
    ],
)
def test_an_installation_that_fails_its_check_changes_nothing(
    live_host: Hosts,
    new_installation: NewInstallation,
    write_plugin: Callable[..., str],
    expected_errors: list[str],
    spoil: Callable[[Installation, Path], None],
    status: int,
    text: str,
) -> None:
    plugin = write_plugin("@hookimpl\ndef receive(connection, data):\n    connection.send(data)\n")
    host = live_host("--plugin", plugin, "--workers", "1", "--admin", "tcp://127.0.0.1:0")
    before = pids_of(host)
    other = new_installation()
    spoil(other, Path(plugin))
    expected_errors.append("upgrade_failed")
    failed = other.upgrade(host)
    assert failed.returncode == status, failed
    assert text in failed.stderr
    assert pids_of(host) == before
    assert host.status()["version"] == __version__
    assert "upgrade_failed" in host.log()
    with host.connect() as client:
        assert answers(client)


def test_a_program_that_fails_to_continue_returns_to_the_one_before(
    live_host: Hosts, new_installation: NewInstallation, expected_errors: list[str]
) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    before = pids_of(host)
    other = new_installation()
    # After the listeners, the lock and the workers are its own.
    other.replace(
        "master/upgrade/operation.py",
        "sessions = self._parts().restore(resumed.state)",
        "sessions = self._parts().restore(resumed.state); raise KeyError('at the end')",
    )
    expected_errors.append("upgrade_failed")
    with host.connect() as client:
        assert answers(client)
        failed = other.upgrade(host, "--traceback")
        assert failed.returncode == 3
        assert f"version {OTHER} failed to continue the host: KeyError('at the end')" in failed.stderr
        assert "Traceback" in failed.stderr
        assert answers(client)
        assert host.status()["version"] == __version__
        assert pids_of(host) == before
    assert host.command("reload").returncode == 0
    assert new_installation().upgrade(host).returncode == 0
    assert host.status()["version"] == OTHER


def test_workers_serve_on_under_the_new_master_if_its_own_do_not_boot(
    live_host: Hosts, new_installation: NewInstallation, expected_errors: list[str]
) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    before = pids_of(host)
    other = new_installation()
    other.replace("worker/boot.py", "    process.reset_signals()\n", "    process.reset_signals()\n    os._exit(9)\n")
    expected_errors += ["worker_not_booted", "reload_failed"]
    failed = other.upgrade(host)
    assert failed.returncode == 3
    assert f"the master has version {OTHER} now, and the workers of {__version__} serve on" in failed.stderr
    assert host.status()["version"] == OTHER
    assert pids_of(host) == before
    with host.connect() as client:
        assert answers(client)


def test_what_happens_while_the_program_is_loaded_is_not_lost(
    live_host: Hosts, new_installation: NewInstallation, tmp_path: Path, expected_errors: list[str]
) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    first, second = pids_of(host)
    address = host.address()
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    other = new_installation()
    other.replace(
        "cli/commands/start.py",
        "    resumption = Resumption(handover.descriptor)\n",
        f"    open({str(gate)!r}).close()\n    resumption = Resumption(handover.descriptor)\n",
    )
    expected_errors.append("worker_crashed")
    command = [str(other.interpreter), "-m", "reactorhost", "upgrade", "--run-dir", str(host.run_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as upgrade:
        # The open waits for the new program.
        with gate.open("w"):
            os.kill(first, signal.SIGKILL)
            host.signal(signal.SIGTTIN)
            with socket.create_connection(address, timeout=DEADLINE_SECONDS) as client:
                assert answers(client)
        output, _ = upgrade.communicate(timeout=2 * DEADLINE_SECONDS)
    assert upgrade.returncode == 0, output
    document = host.until(lambda status: status["workers_ready"] == 3)
    assert document["version"] == OTHER
    assert {first, second}.isdisjoint(worker["pid"] for worker in document["workers"])
    assert "worker_crashed" in host.log()


def test_a_stop_during_the_check_stops_the_host(
    live_host: Hosts, new_installation: NewInstallation, expected_errors: list[str]
) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    other = new_installation()
    other.hang_in("master/startup.py")
    expected_errors.append("upgrade_failed")
    command = [str(other.interpreter), "-m", "reactorhost", "upgrade", "--run-dir", str(host.run_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as upgrade:
        assert upgrade.stderr is not None
        assert any(line.startswith("upgrading: checking ") for line in upgrade.stderr)
        assert host.stop() == 0
        assert "the host is being stopped" in upgrade.communicate(timeout=DEADLINE_SECONDS)[1]
    assert upgrade.returncode == 1


@pytest.mark.parametrize("python", ["python3.12", "python3.13"])
def test_another_interpreter_continues_the_host(
    live_host: Hosts, new_installation: NewInstallation, python: str
) -> None:
    found = shutil.which(python)
    if found is None or subprocess.run([found, "-c", ""], check=False).returncode != 0:
        pytest.skip(f"there is no {python}")
    host = live_host("--plugin", "echo", "--workers", "1")
    with host.connect() as client:
        assert answers(client)
        upgraded = new_installation(python=found).upgrade(host)
        assert upgraded.returncode == 0, upgraded.stderr
        assert answers(client)
    with host.connect() as client:
        assert answers(client)
