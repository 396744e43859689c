"""`reactorhost ls` finds every host of this user, and as root those of all users without trusting them."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemons import run
from reactorhost.ipc.control_client import CONTROL_SOCKET
from reactorhost.system.ownership import peer, user_name
from reactorhost.system.process import name_process
from reactorhost.testing import LiveHost
from users import NOBODY
from waiting import until

_PR_SET_DUMPABLE = 4


def listed(**environment: str) -> dict[str, dict[str, Any]]:
    shown = run("ls", "--json", environment=environment)
    assert (shown.returncode, shown.stderr) == (0, "")
    return {row["run_dir"]: row for row in json.loads(shown.stdout)["hosts"]}


def test_hosts_are_found_wherever_they_run_also_if_one_hangs(live_host: Callable[..., LiveHost]) -> None:
    chat = live_host("--plugin", "echo", "--workers", "2", "--name", "chat")
    other = live_host("--plugin", "echo", "--workers", "1", "--name", "other")
    os.kill(other.pid, signal.SIGSTOP)
    try:
        with chat.connect():
            chat.until(lambda status: status["totals"]["connections"] == 1)
            rows = listed()
    finally:
        os.kill(other.pid, signal.SIGCONT)
    row = rows[str(chat.run_dir)]
    assert row.pop("uptime_seconds") > 0
    assert row.pop("version")
    assert row == {
        "name": "chat",
        "pid": chat.pid,
        "user": user_name(os.geteuid()).strip("'"),
        "state": "running",
        "workers_ready": 2,
        "workers_wanted": 2,
        "connections": 1,
        "run_dir": str(chat.run_dir),
    }
    hanging = rows[str(other.run_dir)]
    assert (hanging["pid"], hanging["state"], hanging["workers_ready"]) == (other.pid, None, None)
    assert hanging["uptime_seconds"] > 0


@pytest.fixture
def foreign_host() -> Iterator[tuple[int, Path, int]]:
    """Yield process id and run directory of an imitated host of user nobody, and a pipe with the uid of each client."""
    # Not the directory of the test, which other users may not enter.
    path = Path(tempfile.mkdtemp(prefix="rh-"))
    os.chown(path, NOBODY, NOBODY)
    uids, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _imitate(path, writer)
        finally:
            os._exit(1)
    os.close(writer)
    try:
        until((path / "lock").exists, "the lock")
        yield pid, path, uids
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(uids)
        shutil.rmtree(path)


def _imitate(path: Path, uids: int) -> None:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    # A program that this user starts can be examined by it; one that has changed its user cannot.
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
    name_process("rh-master")
    document = {"name": "\033[2J", "state": ["running"], "workers_ready": 10**400, "workers_wanted": "2"}
    document |= {"totals": {"connections": 3}, "uptime_seconds": 1e400, "version": "1.0"}
    with socket.socket(socket.AF_UNIX) as listener, (path / "new").open("w") as lock:
        listener.bind(str(path / CONTROL_SOCKET))
        listener.listen()
        fcntl.lockf(lock, fcntl.LOCK_EX)
        (path / "new").rename(path / "lock")
        while True:
            client, _ = listener.accept()
            with client:
                os.write(uids, peer(client)[1].to_bytes(4))
                client.recv(1000)
                client.sendall(json.dumps({"status": 0, "document": document}).encode() + b"\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_root_requests_the_status_of_another_users_host_as_that_user(foreign_host: tuple[int, Path, int]) -> None:
    pid, path, uids = foreign_host
    row = listed()[str(path)]
    assert row == {
        "name": "\033[2J",
        "pid": pid,
        "user": "nobody",
        "state": None,
        "workers_ready": None,
        "workers_wanted": None,
        "connections": 3,
        "uptime_seconds": None,
        "version": "1.0",
        "run_dir": str(path),
    }
    # Every `ls` on this machine connects, also one of a test that runs at the same time.
    clients = {uid for (uid,) in struct.iter_unpack(">I", os.read(uids, 4000))}
    assert clients == {NOBODY}, "a process of root connected"
    table = run("ls").stdout
    assert "\\u001b[2J" in table
    assert "\033" not in table
