"""What a terminal shows of a start, a stop and an interrupt, and what is left of it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import started
from clients import answers
from daemons import COMMAND
from gates import Gate
from reactorhost.testing import LiveHost
from screens import ScreenProgram, reactorhost
from terminals import CTRL_C, on_a_terminal
from waiting import all_end

Hosts = Callable[..., LiveHost]
Write = Callable[..., str]


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """Return a gate that is shut."""
    made = Gate(tmp_path)
    made.shut()
    return made


@pytest.fixture
def arguments(tmp_path: Path, write_plugin: Write, gate: Gate) -> list[str]:
    """Return the arguments of a start whose second worker waits at the gate."""
    waits = f"@hookimpl\ndef worker_start(worker):\n    if worker.slot == 1: {gate.code}\n"
    plugins = ("--plugin", write_plugin(waits), "--plugin", "echo", "--workers", "2")
    return [*plugins, "--listen", "tcp://127.0.0.1:0", "--run-dir", str(tmp_path / "run")]


def test_a_terminal_shows_what_a_start_waits_for_and_then_the_banner_only(gate: Gate, arguments: list[str]) -> None:
    with ScreenProgram(reactorhost("start", *arguments), columns=100) as program:
        lines = program.until_text("1 of 2 workers ready; worker 1: in worker_start of made")
        (drawn,) = [line for line in lines if line.startswith("starting ")]
        assert drawn.startswith("starting ━━━━━━━━━━────────── 1 of 2")
        gate.open()
        lines = program.until_text("host_ready")
        shown = [line for line in lines if line]
        assert shown[0].startswith("reactorhost ")
        assert not [line for line in shown if line.startswith("starting ")]
        program.type(CTRL_C)
        assert program.wait() == 0


@pytest.mark.parametrize(
    ("code", "step"),
    [
        ("{gate}\n@hookimpl\ndef close(connection, reason): ...\n", "importing"),
        ("@hookimpl\ndef configure(config):\n    {gate}\n", "configuring"),
        ("@hookimpl\nasync def worker_start(worker):\n    {gate}\n", "in worker_start of"),
    ],
)
def test_a_daemon_that_starts_says_in_which_step_of_which_plugin_it_is(
    tmp_path: Path, write_plugin: Write, gate: Gate, code: str, step: str
) -> None:
    plugins = ("--plugin", "echo", "--plugin", write_plugin(code.format(gate=gate.code)))
    places = ("--listen", "tcp://127.0.0.1:0", "--run-dir", str(tmp_path / "run"))
    command = [*COMMAND, "start", "-d", "--workers", "1", *plugins, *places]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as starter:
        assert starter.stderr is not None
        assert any(f"0 of 1 worker ready; worker 0: {step} made" in line for line in starter.stderr)
        gate.open()
        assert "  workers    1 of 1 ready" in starter.communicate()[0]
    assert subprocess.run([*COMMAND, "stop", "--run-dir", str(tmp_path / "run")], check=False).returncode == 0


def test_a_second_interrupt_ends_the_command_and_names_the_host_that_still_runs(
    tmp_path: Path, arguments: list[str]
) -> None:
    with ScreenProgram(reactorhost("start", "-d", *arguments), columns=300) as program:
        program.until_text("in worker_start of made")
        daemons = started.of_this_test() - {program.process.pid}
        program.type(CTRL_C)
        program.until_text("starting: interrupted, waiting for the end of pid ")
        program.type(CTRL_C)
        assert program.wait() == 130
        what, hint = filter(None, program.lines)
        assert what.startswith(f"reactorhost: interrupted: host 'default' in {tmp_path / 'run'} (pid ")
        assert hint == f"  hint: wait for it with `reactorhost stop --run-dir {tmp_path / 'run'}`"
    assert all_end(daemons)


def test_a_host_that_logs_to_a_file_shows_its_stop_on_its_terminal(tmp_path: Path) -> None:
    arguments = ("--plugin", "echo", "--workers", "1", "--stop-timeout", "600")
    with on_a_terminal(tmp_path, *arguments) as host, host.connect() as client:
        assert answers(client)
        host.type(CTRL_C)
        host.wait_for_screen(b"stopping: 1 connection open on 1 worker, at most 5")
        host.wait_for_screen(b" s left; Ctrl-C: at once; 127")
        assert answers(client)
        host.type(CTRL_C)
        assert host.wait() == 0


def test_reload_and_stop_show_a_bar_on_a_terminal_and_erase_it(
    live_host: Hosts, tmp_path: Path, write_plugin: Callable[..., str]
) -> None:
    gate = Gate(tmp_path)
    waits = write_plugin(f"@hookimpl\ndef worker_start(worker):\n    if worker.slot == 1: {gate.code}\n")
    host = live_host("--plugin", "echo", "--plugin", waits, "--workers", "2", "--stop-timeout", "30s")
    gate.shut()
    with ScreenProgram(reactorhost("reload", "--run-dir", str(host.run_dir))) as screen:
        screen.until_text("reloading", "1 of 2")
        gate.open()
        assert screen.wait() == 0
        assert [line for line in screen.lines if line] == ["reloaded: 2 workers, generation 2"]
    with host.connect() as client:
        assert answers(client)
        with ScreenProgram(reactorhost("stop", "--run-dir", str(host.run_dir))) as screen:
            screen.until_text("stopping", "1 connection open")
            client.close()
            assert screen.wait() == 0
            assert [line for line in screen.lines if line] == [f"host 'default' in {host.run_dir} has stopped"]


def test_a_short_reload_without_a_terminal_prints_its_result_only(live_host: Hosts) -> None:
    host = live_host("--plugin", "echo", "--workers", "2")
    assert host.command("reload").stdout.splitlines() == ["reloaded: 2 workers, generation 2"]
