"""The files of unix sockets: mode, owner, and the errors when one cannot be created."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import signal
import socket
import stat
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from clients import answers, connect_unix
from daemons import run, without_progress
from kernel import sleeps
from plugin_files import plugin_file
from reactorhost.config.service import Service
from reactorhost.master.listen.unix_socket_files import UnixSocketFiles
from reactorhost.testing import DEADLINE_SECONDS, LiveHost
from users import NOBODY, run_as_nobody
from waiting import until

Hosts = Callable[..., LiveHost]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def service(**settings: object) -> Service:
    return Service("a", (), (), **settings)  # type: ignore[arg-type]  # what a test gives


def refused(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    ended = run("start", "--run-dir", str(tmp_path / "run"), *arguments)
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "run").exists()
    return ended.returncode, without_progress(ended.stderr)


def test_a_socket_file_has_its_mode_and_owner_and_is_served(live_host: Hosts, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    user = pwd.getpwuid(NOBODY if os.geteuid() == 0 else os.geteuid())
    group = grp.getgrgid(user.pw_gid).gr_name
    host = live_host(
        *("--plugin", "echo", "--listen", f"unix://{path}", "--workers", "2"),
        *("--unix-mode", "0620", "--unix-owner", f"{user.pw_name}:{group}"),
    )
    facts = path.stat()
    assert stat.S_IMODE(facts.st_mode) == 0o620
    assert (facts.st_uid, facts.st_gid) == (user.pw_uid, user.pw_gid)
    with connect_unix(path) as client:
        assert answers(client)
    assert host.stop() == 0
    assert not path.exists()


@pytest.mark.parametrize(
    ("mode", "owner", "allowed"),
    [
        (0o600, None, {0o600}),
        (0o666, None, {0o666}),
        pytest.param(0o660, "65534:65534", {0, 0o660}, marks=as_root),
        pytest.param(None, ":65534", {0, 0o755}, marks=as_root),
    ],
    ids=["narrower than the umask", "wider than the umask", "given away", "given to a group"],
)
def test_a_socket_file_never_has_more_rights_than_its_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int | None, owner: str | None, allowed: set[int]
) -> None:
    seen: list[int] = []

    def look(event: str, arguments: tuple[object, ...]) -> None:
        if path.exists():
            seen.append(stat.S_IMODE(path.stat().st_mode))

    path = tmp_path / "a.sock"
    before = os.umask(0o022)
    try:
        for name in ("chown", "chmod", "umask"):
            real = getattr(os, name)

            def watched(*arguments: object, real: Callable[..., object] = real, **more: object) -> object:
                look("before", arguments)
                result = real(*arguments, **more)
                look("after", arguments)
                return result

            monkeypatch.setattr(os, name, watched)
        files = UnixSocketFiles()
        files.bind(path, service(unix_mode=mode, unix_owner=owner)).close()
        monkeypatch.undo()
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
    assert seen
    assert set(seen) <= allowed
    assert stat.S_IMODE(path.stat().st_mode) == max(allowed)
    files.remove()
    assert not path.exists()


def test_check_and_start_refuse_an_unknown_owner(tmp_path: Path) -> None:
    config = tmp_path / "host.toml"
    config.write_text(
        f'[service.a]\nlisten = "unix://{tmp_path}/a.sock"\nplugins = "echo"\nunix_owner = "root:no-such-group"\n'
        f'[service.b]\nlisten = "unix://{tmp_path}/b.sock"\nplugins = "echo"\nunix_owner = "no-such-user"\n'
        f'[service.c]\nlisten = "unix://{tmp_path}/c.sock"\nplugins = "echo"\nunix_owner = "99999999999"\n'
    )
    checked = run("check", "--config", str(config))
    told = (
        "service 'a': unix_owner is 'root:no-such-group', but there is no group 'no-such-group'",
        f"where: {config}:4",
        "service 'b': unix_owner is 'no-such-user', but there is no user 'no-such-user'",
        f"where: {config}:8",
        "service 'c': unix_owner is '99999999999', but there is no user '99999999999'",
        f"where: {config}:12",
    )
    assert checked.returncode == 1
    assert all(words in checked.stderr for words in told)
    assert refused(tmp_path, "--config", str(config)) == (1, checked.stderr)
    assert os.listdir(tmp_path) == ["host.toml"]


@as_root
def test_a_user_that_may_not_change_the_owner_gets_an_error_and_no_file() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, NOBODY, NOBODY)
        path = Path(folder) / "a.sock"
        status, told = run_as_nobody(lambda: UnixSocketFiles().bind(path, service(unix_owner="root")))
        assert status == 7
        assert told[0] == f"cannot change the owner of unix://{path} to root: Operation not permitted"
        assert os.listdir(folder) == []


@as_root
def test_a_folder_without_write_permission_is_an_error() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder) / "a.sock"
        status, told = run_as_nobody(lambda: UnixSocketFiles().bind(path, service()))
        assert (status, told) == (
            7,
            [
                f"not permitted to create unix://{path}: Permission denied",
                f"  hint: this user cannot write to {folder}",
            ],
        )


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "no" / "a.sock"
    status, told = refused(tmp_path, "--plugin", "echo", "--listen", f"unix://{path}")
    assert status == 1
    assert f"the folder {path.parent} of unix://{path} does not exist" in told


def test_a_socket_with_a_full_queue_counts_as_in_use(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as client:
        busy.bind(str(path))
        busy.listen(0)
        client.connect(str(path))
        status, told = refused(tmp_path, "--plugin", "echo", "--listen", f"unix://{path}")
    assert status == 1
    assert f"unix://{path} is in use by another process" in told


def test_file_rights_without_a_unix_address_are_refused(tmp_path: Path) -> None:
    status, told = refused(tmp_path, "--plugin", "echo", "--listen", "tcp://127.0.0.1:0", "--unix-mode", "0660")
    assert status == 2
    assert "service 'default' has unix_mode but no unix address" in told


def answering_worker(path: Path, clients: contextlib.ExitStack) -> int:
    """Connect a client that stays, and return the pid of its worker."""
    client = clients.enter_context(socket.socket(socket.AF_UNIX))
    client.settimeout(DEADLINE_SECONDS)
    client.connect(str(path))
    client.sendall(b"x")
    return int(client.recv(100))


def test_clients_are_spread_evenly_and_none_waits_for_a_stopped_worker(live_host: Hosts, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    plugin = plugin_file(
        tmp_path,
        "names_worker",
        """
        import os

        @hookimpl
        def receive(connection, data):
            connection.send(b"%d" % os.getpid())
        """,
    )
    host = live_host("--plugin", plugin, "--listen", f"unix://{path}", "--workers", "3")
    host.until(lambda status: status["workers_ready"] == 3)
    workers = {worker["pid"] for worker in host.workers()}
    with contextlib.ExitStack() as clients:
        counts: Counter[int] = Counter()
        for _ in range(30):
            # A worker that has no processor when its turn comes is passed over.
            until(lambda: all(map(sleeps, workers)), "the wait of all workers")
            counts[answering_worker(path, clients)] += 1
        assert counts.keys() == workers
        # 10 each, but for the order in which they join anew at each whole second.
        assert min(counts.values()) >= 4
        stopped = min(workers)
        os.kill(stopped, signal.SIGSTOP)
        clients.callback(os.kill, stopped, signal.SIGCONT)
        assert stopped not in {answering_worker(path, clients) for _ in range(6)}


def test_credentials_are_those_of_the_process_that_has_connected(live_host: Hosts, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    plugin = plugin_file(
        tmp_path,
        "knows_peers",
        """
        import logging

        @hookimpl
        def connect(connection):
            connection.send(str(tuple(connection.peer_credentials or ())).encode())

        @hookimpl
        def close(connection):
            logging.getLogger("peers").warning("gone: %s", tuple(connection.peer_credentials or ()))
        """,
    )
    host = live_host("--plugin", plugin, "--listen", "tcp://127.0.0.1:0", "--listen", f"unix://{path}")
    mine = str((os.getpid(), os.geteuid(), os.getegid()))
    for is_unix, expected in ((True, mine), (False, "()")):
        with connect_unix(path) if is_unix else host.connect() as client:
            assert client.recv(100).decode() == expected
        host.wait_for_log(f"gone: {expected}")


def test_an_abstract_name_is_served_by_one_host_and_free_after_it(live_host: Hosts, tmp_path: Path) -> None:
    name = f"{tmp_path}/chat"
    plugin = plugin_file(
        tmp_path,
        "names_ends",
        f"""
        class Itself:
            def __init__(self, client):
                self.client = client

            def connect(self, connection):
                self.client.send(f"{{self.client.peer}} {{self.client.local}} {{connection.peer}}".encode())
                connection.close()

        @hookimpl
        def worker_start(worker):
            global host
            host = worker

        @hookimpl
        def receive(connection, data):
            host.connect("unix://@{name}", Itself(connection))
        """,
    )
    address = ("--listen", f"unix://@{name}")
    host = live_host("--plugin", plugin, *address)
    assert [each["address"] for each in host.status()["listeners"]] == [f"unix://@{name}"]
    assert refused(tmp_path, "--plugin", "echo", *address) == (
        1,
        (
            f"reactorhost: unix://@{name} is in use by another process\n"
            "  hint: see which with: ss -lxp; or choose another address with --listen\n"
        ),
    )
    assert run("check", "--plugin", "echo", *address).returncode == 0
    assert host.command("reload").returncode == 0
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(DEADLINE_SECONDS)
        client.bind(f"\0{name}/client")
        client.connect(f"\0{name}")
        client.sendall(b"x")
        assert client.recv(1000).decode() == f"unix:@{name}/client unix:@{name} unix:@{name}"
    assert host.stop() == 0
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(f"\0{name}")
