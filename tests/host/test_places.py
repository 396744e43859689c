"""`check` finds files and addresses that a start could not use, and creates and binds none of them."""

from __future__ import annotations

import os
import socket
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from reactorhost.cli.client import running_pid
from reactorhost.config.resolve import Location, resolve
from reactorhost.errors import NotPermittedError
from reactorhost.master.places import check_places
from reactorhost.master.start_log import open_log
from users import another_user


def failures(folder: Path, **flags: object) -> list[str]:
    (folder / "file").write_text("")
    (folder / "link").symlink_to("nowhere")
    before = set(folder.rglob("*"))
    settings = resolve({"plugins": ["echo"], "run_dir": str(folder / "run"), **flags}, {}, folder)
    found = check_places(settings)
    assert set(folder.rglob("*")) == before
    return [error.what.replace(str(folder), "") for error in found]


@pytest.mark.parametrize(
    ("flags", "what"),
    [
        ({"log_file": "none/log"}, "cannot open the log file /none/log: No such file or directory"),
        ({"log_file": "file/log"}, "cannot open the log file /file/log: Not a directory"),
        ({"log_file": "."}, "cannot open the log file : Is a directory"),
        ({"pid_file": "none/pid"}, "cannot write the pid file /none/pid: No such file or directory"),
        ({"run_dir": "file"}, "/file is not a directory"),
        ({"run_dir": "file/run"}, "cannot create the run directory /file/run: Not a directory"),
        ({"listen": ["unix:///nowhere/socket"]}, "the folder /nowhere of unix:///nowhere/socket does not exist"),
        ({"listen": ["unix://{}/file"]}, "/file exists and is not a socket"),
        ({"listen": ["unix://{}"]}, " exists and is not a socket"),
        ({"listen": ["unix://{}/link"]}, "/link is a symbolic link to a file that does not exist"),
        ({"listen": ["tcp://192.0.2.1:0"]}, "tcp://192.0.2.1:0 is not an address of this machine"),
        ({"admin": "tcp://192.0.2.1:0"}, "tcp://192.0.2.1:0 is not an address of this machine"),
        ({"admin": "unix:///nowhere/socket"}, "the folder /nowhere of unix:///nowhere/socket does not exist"),
        ({"listen": ["udp://192.0.2.1:0"]}, "udp://192.0.2.1:0 is not an address of this machine"),
    ],
)
def test_a_place_that_a_start_cannot_use_is_reported(tmp_path: Path, flags: dict[str, Any], what: str) -> None:
    if "listen" in flags:
        flags = {"listen": [each.format(tmp_path) for each in flags["listen"]]}
    assert failures(tmp_path, **flags) == [what]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
@pytest.mark.parametrize("mode", [0o700, 0o744, 0o755])
def test_a_place_where_another_user_may_not_look_or_write_is_reported(mode: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "log").touch(0o600)
        os.chmod(folder, mode)
        flags = {"plugins": ["echo"], "run_dir": f"{folder}/a/b", "log_file": f"{folder}/log"}
        flags |= {"listen": [f"unix://{folder}/a.sock"], "pid_file": f"{folder}/c/pid"}
        settings = resolve(flags, {}, Path("/"))
        # Nothing that imports a module: the other user may not be able to read Python's.
        with another_user():
            found = [error.what for error in check_places(settings)]
    reason = "No such file or directory" if mode == 0o755 else "Permission denied"
    assert found == [
        f"cannot create the run directory {folder}/a/b: Permission denied",
        f"cannot open the log file {folder}/log: Permission denied",
        f"cannot write the pid file {folder}/c/pid: {reason}",
        f"not permitted to create unix://{folder}/a.sock: Permission denied",
    ]


def test_addresses_and_files_that_are_in_use_are_no_failure(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(0o700)
    (tmp_path / "log").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as busy, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "socket"))
        listen = [f"tcp://127.0.0.1:{busy.getsockname()[1]}", f"unix://{tmp_path}/socket", "udp://*:0"]
        assert failures(tmp_path, listen=listen, log_file="log") == []


def test_all_places_are_reported(tmp_path: Path) -> None:
    assert len(failures(tmp_path, log_file="none/log", pid_file="none/pid", run_dir="file")) == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")
def test_a_command_below_a_closed_folder_names_no_host(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = resolve({"plugins": ["echo"], "run_dir": str(tmp_path), "log_file": f"{folder}/log"}, {}, tmp_path)
        with another_user():
            with pytest.raises(NotPermittedError, match=r"cannot look into .*/host: a directory above it belongs to"):
                running_pid(Location("default", Path(folder, "host"), by_name=False))
            with pytest.raises(NotPermittedError, match="cannot open the log file"):
                open_log(settings, ExitStack())
