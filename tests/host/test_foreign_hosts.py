"""What another user keeps in a run directory is not acted on: no command sends it a request, or a signal."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemons import run
from reactorhost.ipc.control_client import ControlClient, ForeignHostError
from reactorhost.master.instances import foreign_owner
from reactorhost.master.rundir import holder_pid
from users import NOBODY, run_as_nobody

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")


@contextmanager
def another_user() -> Iterator[None]:
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


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
    ["restart", "stop", "reload", "scale 2", "status", "top --once", "top --batch", "connections", "reopen"],
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
    def made(make: Callable[[], object]) -> None:
        with another_user():
            make()

    lock = open_directory / "lock"
    held = tmp_path / "held"
    with held.open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        made({"link": lambda: lock.symlink_to(held), "file": lock.touch, "fifo": lambda: os.mkfifo(lock)}[kind])
        assert holder_pid(open_directory) is None
        assert foreign_owner(open_directory) == NOBODY


def test_the_owner_of_a_hidden_run_directory_is_named(open_directory: Path) -> None:
    hidden = open_directory / "root"
    hidden.mkdir(0o700)
    status, lines = run_as_nobody(lambda: _check(foreign_owner(hidden / "run") == 0))
    assert (status, lines) == (0, [])


def _check(holds: bool) -> None:
    assert holds
