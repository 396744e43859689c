"""Reload: every worker gets the new code, or every old worker keeps serving and the cause is reported."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import reactorhost
import started
from clients import answers, read_exactly
from daemons import COMMAND, run, without_progress
from gates import Gate
from reactorhost.cli.client import WAITING
from reactorhost.ipc.control_client import ControlClient
from reactorhost.testing import DEADLINE_SECONDS, LiveHost

Hosts = Callable[..., LiveHost]
Write = Callable[..., str]


def pids_of(host: LiveHost) -> list[int]:
    return [worker["pid"] for worker in host.workers()]


def replying(word: str) -> str:
    return f"@hookimpl\ndef receive(connection, data):\n    connection.send(b'{word}')\n"


def replies(host: LiveHost, count: int = 3) -> bytes:
    with host.connect() as client:
        client.sendall(b"?")
        return read_exactly(client, count)


def start_command(host: LiveHost, command: str = "reload") -> subprocess.Popen[str]:
    """Start a command whose output is read while it runs."""
    return subprocess.Popen(
        [*COMMAND, command, "--run-dir", str(host.run_dir)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def first_line(process: subprocess.Popen[str]) -> str:
    """Return the first line that the host has caused; before, the command may say that it waits for an answer."""
    assert process.stderr is not None
    return next(line for line in process.stderr if WAITING not in line)


# Reloads that work.


@pytest.mark.parametrize("named", ["./chat.py", "chat:plugin"])
def test_a_reload_follows_a_link_to_the_next_release(
    live_host: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    current = tmp_path / "current"
    for release in ("one", "two"):
        (tmp_path / release).mkdir()
        source = f"import sys\nfrom reactorhost import hookimpl\n{replying(release)}plugin = sys.modules[__name__]\n"
        (tmp_path / release / "chat.py").write_text(source)
    current.symlink_to("one")
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    # What `cd` does in a shell.
    monkeypatch.chdir(current)
    host = live_host("--plugin", named, environment={**os.environ, "PWD": str(current)})
    assert replies(host) == b"one"
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").replace(current)
    reloaded = host.command("reload")
    assert reloaded.returncode == 0, reloaded.stderr
    assert replies(host) == b"two"
    assert {os.readlink(f"/proc/{pid}/cwd") for pid in (host.pid, *pids_of(host))} == {str(tmp_path / "two")}


def test_progress_reports_each_slot_that_is_replaced(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "3")
    before = pids_of(host)
    with ControlClient(host.run_dir / "control.sock", DEADLINE_SECONDS) as client:
        *messages, result = client.replies("reload")
    after = pids_of(host)
    assert result == {"status": 0, "generation": 2, "replaced": 3}
    texts = [message["progress"] for message in messages]
    assert [text for text in texts if text.startswith("slot")] == [
        f"slot {slot}: pid {before[slot]} -> {after[slot]} ready ({slot + 1} of 3)" for slot in range(3)
    ]
    assert "1 of 3 workers replaced; worker 1: starting" in texts
    assert host.status()["generation"] == 2
    assert {worker["generation"] for worker in host.workers()} == {2}


# A .pyc file of the old code would be taken for the new code, whose length and time are the same.
@pytest.mark.parametrize("cached", [False, True], ids=["without .pyc", "with .pyc"])
def test_workers_run_the_new_code_of_the_plugin(live_host: Hosts, write_plugin: Write, cached: bool) -> None:
    environment = {"PYTHONDONTWRITEBYTECODE": "" if cached else "1"}
    plugin = write_plugin(replying("old"))
    written = os.stat(plugin)
    host = live_host("--plugin", plugin, environment=environment)
    assert replies(host) == b"old"
    write_plugin(replying("new"))
    os.utime(plugin, ns=(written.st_atime_ns, written.st_mtime_ns))
    assert os.stat(plugin).st_size == written.st_size
    assert replies(host) == b"old"
    assert host.command("reload").returncode == 0
    assert replies(host) == b"new"


@pytest.mark.parametrize("cached", [False, True], ids=["without .pyc", "with .pyc"])
def test_workers_run_the_new_code_of_a_module_that_the_plugin_imports(
    live_host: Hosts, tmp_path: Path, write_plugin: Write, cached: bool
) -> None:
    module = tmp_path / "answers_of_plugin.py"
    module.write_text("WORD = b'old'\n")
    written = os.stat(module)
    source = (
        "import answers_of_plugin\n@hookimpl\ndef receive(connection, data):\n"
        "    connection.send(answers_of_plugin.WORD)\n"
    )
    environment = {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "" if cached else "1"}
    host = live_host("--plugin", write_plugin(source), environment=environment)
    assert replies(host) == b"old"
    module.write_text("WORD = b'new'\n")
    os.utime(module, ns=(written.st_atime_ns, written.st_mtime_ns))
    reloaded = host.command("reload")
    assert (reloaded.returncode, without_progress(reloaded.stderr)) == (0, "")
    assert replies(host) == b"new"


def test_a_reload_reports_changed_code_that_workers_have_from_the_master(live_host: Hosts, tmp_path: Path) -> None:
    # Python imports this module at its start.
    module = tmp_path / "sitecustomize.py"
    module.write_text("")
    host = live_host("--plugin", "echo", environment={"PYTHONPATH": str(tmp_path)})
    module.write_text("CHANGED = True\n")
    reloaded = host.command("reload")
    assert reloaded.returncode == 0
    assert without_progress(reloaded.stderr) == (
        "reactorhost: warning: sitecustomize changed on disk since the host started; "
        f"workers use the old code until `reactorhost upgrade --run-dir {host.run_dir}`\n"
    )
    assert re.search(r" warning code_changed .*modules=sitecustomize\n", host.log())


def test_workers_run_code_of_one_version_although_another_was_installed(
    live_host: Hosts, tmp_path: Path, write_plugin: Write
) -> None:
    site = tmp_path / "site"
    shutil.copytree(Path(reactorhost.__file__).parent, site / "reactorhost")
    host = live_host("--plugin", write_plugin(replying("old")), environment={"PYTHONPATH": str(site)})
    names = []
    for path in site.rglob("*.py"):
        path.write_text("raise ImportError('of another version')\n")
        parts = path.relative_to(site).with_suffix("").parts
        if parts[1] not in ("cli", "dashboard", "master", "testing", "__main__"):
            names.append(".".join(parts).removesuffix(".__init__"))
    facts = site / "reactorhost-99.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: reactorhost\nVersion: 99\n")
    everything = f"import importlib\nfor name in {names}:\n    importlib.import_module(name)\n"
    write_plugin(everything + "@hookimpl\nasync def receive(connection, data):\n    connection.send(b'new')\n")
    reloaded = run("reload", "--run-dir", str(host.run_dir))
    assert reloaded.returncode == 0, reloaded.stderr
    assert f"reactorhost 99 is installed and {reactorhost.__version__} runs: reactorhost changed" in reloaded.stderr
    assert replies(host) == b"new"


def test_ten_reloads_in_a_row_leave_one_worker_in_each_slot(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    for generation in range(2, 12):
        assert host.command("reload").stdout.splitlines()[-1] == f"reloaded: 2 workers, generation {generation}"
    host.until(lambda status: len(status["workers"]) == 2)
    assert started.of_this_test() == {host.pid, *pids_of(host)}


def test_a_reload_that_is_requested_during_another_one_follows_it(
    live_host: Hosts, write_plugin: Write, tmp_path: Path
) -> None:
    gate = Gate(tmp_path)
    waits = f"@hookimpl\ndef worker_start(worker):\n    {gate.code}\n"
    host = live_host("--plugin", write_plugin(waits), "--plugin", "echo", "--workers", "2")
    gate.shut()
    with start_command(host) as first:
        host.wait_for_log("reload_started")
        with start_command(host) as second, start_command(host) as third:
            for each in (second, third):
                assert first_line(each).startswith("reloading: waiting for the reload that is running")
            assert host.status()["reloading"] is True
            gate.open()
            assert [each.communicate()[0].splitlines()[-1] for each in (first, second, third)] == [
                "reloaded: 2 workers, generation 2",
                "reloaded: 2 workers, generation 3",
                "reloaded: 2 workers, generation 3",
            ]
    assert [each.returncode for each in (first, second, third)] == [0, 0, 0]


def test_a_reload_continues_when_its_client_disconnects(live_host: Hosts, write_plugin: Write, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    waits = f"@hookimpl\ndef worker_start(worker):\n    {gate.code}\n"
    host = live_host("--plugin", write_plugin(waits), "--plugin", "echo", "--workers", "2")
    gate.shut()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(host.run_dir / "control.sock"))
        client.sendall(b'{"verb": "reload"}\n')
        host.wait_for_log("reload_started")
    with start_command(host) as other:
        assert first_line(other).startswith("reloading: waiting")
        other.kill()
    gate.open()
    host.wait_for_log("reload_finished", 2)
    assert host.status()["generation"] == 3
    assert replies(host, 1) == b"?"


def test_ctrl_c_ends_the_command_but_not_the_reload(live_host: Hosts, write_plugin: Write, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    waits = f"@hookimpl\ndef worker_start(worker):\n    {gate.code}\n"
    host = live_host("--plugin", write_plugin(waits), "--plugin", "echo")
    gate.shut()
    with start_command(host) as reload:
        host.wait_for_log("reload_started")
        reload.send_signal(signal.SIGINT)
        _, stderr = reload.communicate()
    # After half a second there is a line of progress.
    assert (reload.returncode, stderr.splitlines()[-2:]) == (
        130,
        [
            f"reactorhost: interrupted, but host 'default' in {host.run_dir} continues the reload",
            f"  hint: follow it with `reactorhost top --run-dir {host.run_dir}`",
        ],
    )
    gate.open()
    host.wait_for_log("reload_finished")


def test_a_stop_during_a_reload_fails_the_reload_command(
    live_host: Hosts, write_plugin: Write, tmp_path: Path, expected_errors: list[str]
) -> None:
    # The replacement blocks in its hook and reads no orders; it is killed at its deadline.
    expected_errors.append("worker_killed")
    gate = Gate(tmp_path)
    waits = f"@hookimpl\ndef worker_start(worker):\n    {gate.code}\n"
    host = live_host("--plugin", write_plugin(waits), "--plugin", "echo")
    gate.shut()
    with start_command(host) as reload:
        host.wait_for_log("reload_started")
        assert host.stop() == 0
        _, stderr = reload.communicate()
    assert (reload.returncode, without_progress(stderr)) == (1, "reactorhost: the host is being stopped\n")


def test_a_reload_finishes_although_a_worker_crashes_during_it(
    live_host: Hosts, write_plugin: Write, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors.append("worker_crashed")
    gate = Gate(tmp_path)
    waits = f"@hookimpl\ndef worker_start(worker):\n    if worker.slot == 0: {gate.code}\n"
    host = live_host("--plugin", write_plugin(waits), "--plugin", "echo", "--workers", "2")
    before = pids_of(host)
    gate.shut()
    with start_command(host) as reload:
        host.wait_for_log("reload_started")
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        host.wait_for_log("worker_crashed", 2)
        gate.open()
        reload.communicate()
    assert reload.returncode == 0
    host.until(lambda status: status["workers_ready"] == 2 and len(status["workers"]) == 2)
    assert {worker["generation"] for worker in host.workers()} == {2}


# Reloads of broken code.

HANGS = "import signal\nwhile True:\n    signal.pause()\n"
BROKEN = {
    "syntax error": ("def f(:\n", 4, "SyntaxError", "def f(:"),
    "import error": ("import no_such_module_anywhere\n", 4, "No module named", "import no_such_module_anywhere"),
    "exception in import": ("1 / 0\n", 4, "division by zero", "1 / 0"),
    "worker_start raises": (
        "@hookimpl\ndef worker_start(worker):\n    raise OSError('no database')\n",
        3,
        "no database",
        "raise OSError('no database')",
    ),
    "hangs in import": (HANGS, 3, "boot_timeout of 3 s exceeded", "made.py"),
    "exits in import": ("import os\nos._exit(0)\n", 3, "exit status 0", ""),
    "no hook any more": ("receive = None\n", 4, "@hookimpl", ""),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_code_fails_the_reload_with_its_cause_and_keeps_every_old_worker(
    live_host: Hosts, write_plugin: Write, expected_errors: list[str], kind: str
) -> None:
    expected_errors += ["worker_not_booted", "reload_failed", "worker_killed"]
    source, status, expected, code = BROKEN[kind]
    # Short only where the timeout must pass: a loaded machine needs time to boot.
    boot_timeout = "3" if "hangs" in kind else "30"
    host = live_host("--plugin", write_plugin(replying("old")), "--workers", "2", "--boot-timeout", boot_timeout)
    before = pids_of(host)
    with host.connect() as client:
        client.sendall(b"?")
        assert read_exactly(client, 3) == b"old"
        write_plugin(source)
        failed = host.command("reload")
        assert failed.returncode == status, failed.stderr
        assert expected in failed.stderr
        assert code in failed.stderr
        assert failed.stderr.splitlines()[-1].startswith(("reactorhost: ", "  where: ", "  hint: "))
        client.sendall(b"?")
        assert read_exactly(client, 3) == b"old"
    assert pids_of(host) == before
    assert (host.status()["generation"], host.status()["reloading"]) == (1, False)
    assert replies(host) == b"old"
    write_plugin(replying("new"))
    assert host.command("reload").returncode == 0
    assert replies(host) == b"new"
    assert not set(before) & set(pids_of(host))


def test_a_failed_reload_by_signal_is_logged(live_host: Hosts, write_plugin: Write, expected_errors: list[str]) -> None:
    expected_errors += ["worker_not_booted", "reload_failed"]
    host = live_host("--plugin", write_plugin(replying("old")), "--workers", "2")
    before = pids_of(host)
    write_plugin("1 / 0\n")
    host.signal(signal.SIGUSR1)
    log = host.wait_for_log("reload_failed")
    assert "ZeroDivisionError" in log
    assert re.search(r"\n    .*1 / 0", log)
    assert pids_of(host) == before


def test_a_failure_after_the_canary_keeps_the_remaining_old_workers(
    live_host: Hosts, write_plugin: Write, expected_errors: list[str]
) -> None:
    expected_errors += ["worker_not_booted", "reload_failed"]
    host = live_host("--plugin", write_plugin(replying("old")), "--workers", "3")
    before = pids_of(host)
    write_plugin(replying("new") + "@hookimpl\ndef worker_start(worker):\n    assert worker.slot == 0\n")
    failed = host.command("reload")
    assert failed.returncode == 3
    assert failed.stdout == ""
    serving = "generation 2 in slot 0, generation 1 in slots 1-2"
    assert f"\nreactorhost: reload failed at slot 1 ({serving}): " in failed.stderr
    assert f'reload_failed master={host.pid} slot=1 serving="{serving}"' in host.log()
    assert pids_of(host)[1:] == before[1:]
    assert host.status()["workers_ready"] == 3


def test_reload_of_a_host_that_does_not_run_has_exit_status_5(tmp_path: Path) -> None:
    assert run("reload", "--run-dir", str(tmp_path / "run")).returncode == 5


def test_an_open_connection_stays_with_the_old_worker_that_drains(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    with host.connect() as client:
        assert answers(client)
        (old,) = pids_of(host)
        assert host.command("reload").returncode == 0
        states = {worker["pid"]: worker["state"] for worker in host.status()["workers"]}
        assert states.pop(old) == "draining"
        assert list(states.values()) == ["ready"]
        assert answers(client)
    host.until(lambda status: [worker["pid"] for worker in status["workers"]] != [old] and len(status["workers"]) == 1)
