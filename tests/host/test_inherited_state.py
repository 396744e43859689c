"""Signals, descriptors and a terminal in a state that a parent has left behind do not harm a host."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from daemons import COMMAND, run
from reactorhost.testing import DEADLINE_SECONDS
from terminals import take_terminal
from waiting import all_end, until


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Return a function that starts a daemon and returns the process id of its master; it is stopped at the end."""
    place = ["--run-dir", str(tmp_path / "run")]

    def started(**options: Any) -> int:
        arguments = ["-d", "--plugin", "echo", "--workers", "1", "--listen", "tcp://127.0.0.1:0"]
        done = subprocess.run([*COMMAND, "start", *place, *arguments], check=False, timeout=DEADLINE_SECONDS, **options)
        assert done.returncode == 0
        return int((tmp_path / "run/master.pid").read_text())

    yield started
    run("stop", *place)


def workers(tmp_path: Path) -> list[int]:
    return [int(line.split()[1]) for line in (tmp_path / "run/workers.pid").read_text().splitlines()]


STATES = {
    "ignored": lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
    "blocked": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM}),
}


@pytest.mark.parametrize("state", STATES)
def test_a_host_does_not_depend_on_the_signals_of_its_parent(
    start: Callable[..., int], tmp_path: Path, state: str
) -> None:
    master = start(preexec_fn=STATES[state])
    (worker,) = workers(tmp_path)
    os.kill(worker, signal.SIGKILL)
    until(lambda: workers(tmp_path) not in ([], [worker]), "another worker")
    os.kill(master, signal.SIGTERM)
    assert all_end([master])


def test_a_command_that_runs_plugins_in_processes_does_not_depend_on_the_signals_of_its_parent() -> None:
    command = [*COMMAND, "check", "--plugin", "echo"]
    done = subprocess.run(command, check=False, timeout=DEADLINE_SECONDS, preexec_fn=STATES["ignored"])
    assert done.returncode == 0


def test_a_daemon_closes_the_descriptors_of_its_parent(start: Callable[..., int]) -> None:
    reader, writer = os.pipe()
    with closing(os.fdopen(reader)):
        try:
            start(pass_fds=[writer])
        finally:
            os.close(writer)
        # At the end of the file, which comes when the last copy of the other end is closed.
        assert select.select([reader], (), (), DEADLINE_SECONDS)[0]


SHELL = """
import os, subprocess, sys, termios

attributes = termios.tcgetattr(0)
attributes[3] |= termios.TOSTOP
termios.tcsetattr(0, termios.TCSANOW, attributes)
sys.exit(subprocess.Popen(sys.argv[1:], process_group=0).wait())
"""


def test_a_host_in_the_background_of_a_terminal_may_write_to_it(
    tmp_path: Path, write_plugin: Callable[..., str]
) -> None:
    plugin = write_plugin("@hookimpl\ndef worker_start(worker):\n    print('started', flush=True)\n")
    arguments = ["--plugin", plugin, "--workers", "2", "--run-dir", str(tmp_path / "run")]
    terminal, theirs = os.openpty()
    try:
        shell = subprocess.Popen(
            [sys.executable, "-c", SHELL, *COMMAND, "start", "--listen", "tcp://127.0.0.1:0", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=take_terminal,  # noqa: PLW1509  no test has a thread
        )
        pid_file = tmp_path / "run/master.pid"
        until(lambda: pid_file.exists() and len(workers(tmp_path)) == 2, "two workers")
        master = int(pid_file.read_text())
        try:
            os.kill(master, signal.SIGTTOU)
            until(lambda: len(workers(tmp_path)) == 1, "one worker less")
            os.kill(master, signal.SIGTERM)
            assert shell.wait(DEADLINE_SECONDS) == 0
        finally:
            if shell.poll() is None:
                os.kill(master, signal.SIGKILL)
                shell.wait(DEADLINE_SECONDS)
    finally:
        os.close(theirs)
        os.close(terminal)
