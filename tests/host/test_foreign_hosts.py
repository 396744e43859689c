"""What another user keeps in a run directory is not acted on: no command sends it a request, or a signal."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from daemons import run
from reactorhost.config.resolve import resolve
from reactorhost.ipc.control_client import ControlClient, ForeignHostError
from reactorhost.master.instances import foreign_owner
from reactorhost.master.startup import run_host
from reactorhost.system.manager_variables import ManagerVariables
from reactorhost.testing import DEADLINE_SECONDS
from users import NOBODY, another_user, run_as_nobody

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """Yield a directory in which every user can make files, and only their owners can replace them."""
    path = Path(tempfile.mkdtemp(prefix="rh-"))
    path.chmod(0o1777)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def imitation(open_directory: Path) -> Iterator[tuple[Path, socket.socket]]:
    """Yield a run directory that another user made to look like that of a running host, and its control socket."""
    path = open_directory / "run"
    with another_user(), socket.socket(socket.AF_UNIX) as listener:
        path.mkdir()
        with (path / "lock").open("w") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            listener.bind(str(path / "control.sock"))
            # The kernel notes here for which user the socket listens.
            listener.listen()
            listener.setblocking(False)
            (path / "control.sock").chmod(0o777)
            os.seteuid(0)
            yield path, listener


@pytest.mark.parametrize(
    "command",
    [
        "restart",
        "stop",
        "reload",
        "scale 2",
        "status",
        "top --once",
        "top --batch",
        "connections",
        "reopen",
        "logs",
        "config show --running",
    ],
)
def test_no_command_sends_a_request_to_another_user(imitation: tuple[Path, socket.socket], command: str) -> None:
    path, listener = imitation
    refused = run(*command.split(), "--run-dir", str(path))
    assert refused.returncode == 7
    assert refused.stderr == (
        f"reactorhost: the host in {path} belongs to user 'nobody'\n  hint: run this as user 'nobody'\n"
    )
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_a_link_to_the_socket_of_another_user_is_refused(imitation: tuple[Path, socket.socket], tmp_path: Path) -> None:
    path, listener = imitation
    (tmp_path / "control.sock").symlink_to(path / "control.sock")
    with pytest.raises(ForeignHostError, match="belongs to user 'nobody'"):
        ControlClient(tmp_path / "control.sock")
    client, _ = listener.accept()
    with client:
        assert client.recv(1) == b"", "nothing was sent"


@pytest.mark.parametrize("kind", ["link", "file", "fifo"])
def test_a_lock_that_another_user_made_names_no_process(open_directory: Path, tmp_path: Path, kind: str) -> None:
    lock, held = open_directory / "lock", tmp_path / "held"
    held.touch()
    make: dict[str, Callable[[], object]] = {
        "link": lambda: lock.symlink_to(held),
        "file": lock.touch,
        "fifo": lambda: os.mkfifo(lock),
    }
    with another_user():
        make[kind]()
    # Both ends of a FIFO, so that opening it blocks neither here nor in what is tested.
    with open(os.open(lock, os.O_RDWR), "wb") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        # In another process: a lock of its own does not show.
        query = (
            "import sys, pathlib; from reactorhost.master.run_lock import holder_pid; "
            "print(holder_pid(pathlib.Path(sys.argv[1])))"
        )
        command = [sys.executable, "-c", query, str(open_directory)]
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=DEADLINE_SECONDS)
        assert found.stdout == "None\n"
        assert foreign_owner(open_directory) == NOBODY


def test_a_second_start_is_refused_while_the_name_runs_in_another_place(
    open_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root has one place only.
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(open_directory))
    monkeypatch.setenv("TMPDIR", str(open_directory))
    other = open_directory / f"reactorhost-{NOBODY}" / "one"
    with another_user():
        other.mkdir(parents=True)
        lock = (other / "lock").open("w")
    with lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        unused = cast("Any", None)
        settings = resolve({"plugins": ("echo",), "name": "one"}, os.environ, Path("/"), uid=NOBODY)
        status, lines = run_as_nobody(lambda: run_host(settings, unused, ManagerVariables(), unused, unused))
    assert (status, lines) == (
        6,
        [
            f"host 'one' already runs in {other}, pid {os.getpid()}",
            f"  hint: stop it with `reactorhost stop --run-dir {other}`, or start another --name",
        ],
    )
    assert not (open_directory / "reactorhost").exists(), "nothing is left of it"


def test_the_owner_of_a_hidden_run_directory_is_named(open_directory: Path) -> None:
    hidden = open_directory / "root"
    hidden.mkdir(0o700)
    status, lines = run_as_nobody(lambda: _check(foreign_owner(hidden / "run") == 0))
    assert (status, lines) == (0, [])


def _check(holds: bool) -> None:
    assert holds
