"""`reactorhost logs` of hosts that run, have stopped, rotate their log or have no log file."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from clients import answers
from daemons import COMMAND, Daemon, run
from reactorhost.testing import DEADLINE_SECONDS, LiveHost

SPEAKS = """
@hookimpl
def worker_start(worker):
    global log
    log = worker.log

@hookimpl
def receive(connection, data):
    log.warning("a client said %s", data)
    connection.send(data)
"""


def test_the_log_of_a_host_is_found_while_it_runs_and_afterwards(
    daemon: Callable[..., Daemon], write_plugin: Callable[..., str]
) -> None:
    host = daemon("--plugin", write_plugin(SPEAKS, "speaks"), "--workers", "1")
    place = ("--run-dir", str(host.run_dir))
    with host.connect() as client:
        assert answers(client)
    # Logged before the answer was sent.
    [said] = run("logs", "--plugin", "speaks", "--level", "warning", *place).stdout.splitlines()
    assert "a client said" in said
    assert said.endswith("logger=reactorhost.plugin.speaks")
    shown = [json.loads(line) for line in run("logs", "--slot", "0", "--json", *place).stdout.splitlines()]
    ready = next(each for each in shown if each["event"] == "worker_ready")
    assert (ready["master"], ready["slot"], ready["generation"]) == (host.pid, 0, 1)
    assert run("stop", *place).returncode == 0
    known = {"REACTORHOST_LOG_FILE": str(host.log_path)}
    after = run("logs", "-n", "all", *place, environment=known)
    assert (after.returncode, after.stdout) == (0, host.log())
    unknown = run("logs", *place)
    assert (unknown.returncode, unknown.stdout) == (5, "")
    assert "--log-file" in unknown.stderr


def test_a_rotated_log_is_followed(daemon: Callable[..., Daemon]) -> None:
    host = daemon("--plugin", "echo", "--workers", "1")
    words = [*COMMAND, "logs", "-f", "-n", "1", "--run-dir", str(host.run_dir)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        try:
            assert " host_ready " in command.stdout.readline()
            host.log_path.rename(host.log_path.with_suffix(".1"))
            host.signal(signal.SIGTTIN)
            assert " scaling " in command.stdout.readline()
            assert host.ask("reopen")["status"] == 0
            assert host.ask("reload")["status"] == 0
            while " reload_finished " not in (line := command.stdout.readline()):
                assert line, "the command has ended"
        finally:
            command.send_signal(signal.SIGINT)
        assert command.wait(DEADLINE_SECONDS) == 130


def test_the_events_of_a_host_without_a_log_file_are_shown(live_host: Callable[..., LiveHost]) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    shown = host.command("logs", "--level", "info", "-n", "2")
    assert shown.returncode == 0
    assert shown.stderr.endswith("logs to its standard error; these are the newest events of its master\n")
    logged = [line.split(" ", 1)[1].replace(f"master={host.pid} ", "") for line in host.log().splitlines()]
    assert [line.split(" ", 1)[1] for line in shown.stdout.splitlines()] == logged[-2:]


def test_a_wrong_time_is_a_usage_error(tmp_path: Path) -> None:
    refused = run("logs", "--since", "yesterday", "--run-dir", str(tmp_path))
    assert refused.returncode == 2
    assert "--since 10m" in refused.stderr
