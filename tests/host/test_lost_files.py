"""Files of a running host that others remove or replace."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from clients import answers, connect_unix
from daemons import Daemon, run
from reactorhost.testing import LiveHost
from waiting import until

Hosts = Callable[..., LiveHost]


def is_served(path: Path) -> bool:
    with connect_unix(path) as client:
        return answers(client)


def test_files_that_were_removed_are_made_again(live_host: Hosts, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    host = live_host("--plugin", "echo", "--workers", "2", "--listen", f"unix://{path}", "--unix-mode", "0620")
    with connect_unix(path) as open_before:
        assert answers(open_before)
        shutil.rmtree(host.run_dir)
        path.unlink()
        # Lock, control socket, both pid files, and the listener.
        host.wait_for_log(" file_restored ", 5)
        assert answers(open_before)
        # The worker that boots now is forked with the new socket only.
        assert host.command("reload").returncode == 0
    assert path.stat().st_mode & 0o777 == 0o620
    assert all(is_served(path) for _ in range(10))
    assert host.status()["problems"] == []
    second = run("start", "--plugin", "echo", "--listen", "tcp://127.0.0.1:0", "--run-dir", str(host.run_dir))
    assert second.returncode == 6
    assert host.stop() == 0
    assert not path.exists()


@pytest.mark.parametrize("name", ["lock", "control.sock", "workers.pid", "master.pid"])
def test_one_file_of_the_run_directory_is_made_again(live_host: Hosts, name: str) -> None:
    host = live_host("--plugin", "echo", "--workers", "1")
    before = "" if name == "control.sock" else (host.run_dir / name).read_text()
    (host.run_dir / name).unlink()
    # Before this line, a socket that exists may not listen yet.
    host.wait_for_log(" file_restored ")
    assert name == "control.sock" or (host.run_dir / name).read_text() == before
    assert host.status()["problems"] == []


PRINTS = """
@hookimpl
def receive(connection, data):
    print("a worker received", flush=True)
    connection.send(data)
"""


@pytest.mark.parametrize("removed", ["run", "run/log"])
def test_a_log_that_was_removed_is_made_again_for_every_process(
    daemon: Callable[..., Daemon], write_plugin: Callable[..., str], tmp_path: Path, removed: str
) -> None:
    log = tmp_path / "daemon0" / "run/log"
    host = daemon("--plugin", write_plugin(PRINTS), "--workers", "1", "--log-file", str(log))
    assert log.parent == host.run_dir
    host.log_path = log
    gone = log.parent.parent / removed
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    until(lambda: log.exists() and f"path={log}\n" in log.read_text(), "the log is made again")
    with host.connect() as client:
        until(lambda: answers(client) and "a worker received" in log.read_text(), "the worker uses it")
    assert host.status()["problems"] == []
    assert host.stop() == 0
    shutil.rmtree(host.run_dir)


def test_a_unix_socket_that_another_process_replaced_is_reported_and_left_alone(
    live_host: Hosts, tmp_path: Path, expected_errors: list[str]
) -> None:
    expected_errors.append("file_lost")
    path = tmp_path / "a.sock"
    host = live_host("--plugin", "echo", "--workers", "1", "--listen", f"unix://{path}")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "other"))
        os.rename(tmp_path / "other", path)
        (problem,) = host.until(lambda status: status["problems"])["problems"]
        assert f"another process has replaced {path}" in problem
        assert problem in host.command("status").stdout
        assert host.stop() == 0
        assert path.exists()
    assert host.log().count(" file_lost ") == 1
