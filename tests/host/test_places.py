"""`check` finds files and addresses that a start could not use, and creates and binds none of them."""

from __future__ import annotations

import dataclasses
import os
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from reactorhost.cli.client import running_pid
from reactorhost.config.resolve import Location, resolve
from reactorhost.errors import NotPermittedError
from reactorhost.master.places import check_places
from reactorhost.master.startup import _open_log
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
        ({"listen": ["udp://192.0.2.1:0"]}, "udp://192.0.2.1:0 is not an address of this machine"),
    ],
)
def test_a_place_that_a_start_cannot_use_is_reported(tmp_path: Path, flags: dict[str, Any], what: str) -> None:
    if "listen" in flags:
        flags = {"listen": [each.format(tmp_path) for each in flags["listen"]]}
    assert failures(tmp_path, **flags) == [what]


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
def test_a_folder_that_this_user_may_not_enter_is_not_permitted(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(0o700)
    (tmp_path / "closed" / "host").mkdir()
    # pytest makes the folders above for root only.
    for folder in tmp_path.parents[:2]:
        folder.chmod(0o711)
    settings = resolve({"plugins": ["echo"], "run_dir": str(tmp_path / "closed/host")}, {}, tmp_path)
    settings = dataclasses.replace(settings, log_file=tmp_path / "closed/log")
    tmp_path.chmod(0o711)
    location = Location("default", settings.run_dir, by_name=False)
    with another_user():
        found = check_places(settings)
        with pytest.raises(NotPermittedError, match=r"cannot look into .*/host: a directory above it belongs to"):
            running_pid(location)
        with pytest.raises(NotPermittedError, match="cannot open the log file"):
            _open_log(settings, ExitStack())
    assert [(type(error), error.what.split(f" {tmp_path}")[0]) for error in found] == [
        (NotPermittedError, "cannot create the run directory"),
        (NotPermittedError, "cannot open the log file"),
    ]
