"""How `stop` handles a master that it cannot send a signal, and one that has already ended."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from reactorhost.cli.commands.stop import _Master, _wait_with_progress
from reactorhost.config.resolve import Location
from reactorhost.dashboard.output.progress import ProgressView
from reactorhost.errors import ReactorhostError
from reactorhost.ipc.control_client import ControlClient

HIDDEN = ProgressView("stopping", shown=False)


@pytest.mark.parametrize(
    ("pid", "hint"), [(0, "it runs in another pid namespace: stop it there"), (4_000_000, "kill 4000000")]
)
def test_a_silent_master_without_a_pidfd_is_not_signalled(tmp_path: Path, pid: int, hint: str) -> None:
    with pytest.raises(ReactorhostError, match="does not answer") as refused:
        _Master(Location("default", tmp_path, False), pid, None).signal_and_wait(HIDDEN, at_once=False)
    assert refused.value.hint == hint


def test_the_end_of_a_master_without_a_pidfd_is_that_of_its_lock(tmp_path: Path) -> None:
    assert _Master(Location("default", tmp_path, False), 0, None).wait_for_end(HIDDEN, 1.0)


def test_the_name_is_read_also_if_the_master_ended_before(tmp_path: Path) -> None:
    # Like the pidfd of a process that has ended, a pipe without a writer is readable.
    ended, writer = os.pipe()
    os.close(writer)
    master = _Master(Location("default", tmp_path, False), 1, ended)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control"))
        listener.listen()
        with ControlClient(tmp_path / "control") as client:
            served, _ = listener.accept()
            with served:
                served.sendall(b'{"status": 0, "name": "shop"}\n')
            assert _wait_with_progress(client, master, HIDDEN) == ("shop", None)
    master.close()


def test_a_host_reports_before_its_end_that_the_stop_was_not_complete(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control"))
        listener.listen()
        with ControlClient(tmp_path / "control") as client:
            served, _ = listener.accept()
            with served:
                served.sendall(b'{"status": 0, "name": "shop"}\n{"progress": "1 open", "connections": 1}\n')
                served.sendall(json.dumps(ReactorhostError("not done").as_fields()).encode() + b"\n")
            master = _Master(Location("default", tmp_path, False), 1, None)
            name, failure = _wait_with_progress(client, master, HIDDEN)
    assert (name, str(failure)) == ("shop", "not done")
