"""The hooks of the access log: options, lines, failing writes and rotated files."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

import reactorhost_accesslog
from reactorhost import CloseReason
from reactorhost_accesslog import AccessLog, line_file

if TYPE_CHECKING:
    from reactorhost import Connection, Worker


@dataclass
class FakeConnection:
    id: int = 17
    service: str = "default"
    peer: str = "127.0.0.1:53422"
    opened_at: float = 1_795_416_773.0
    age: float = 0.0041
    bytes_in: int = 32
    bytes_out: int = 33


@dataclass
class FakeWorker:
    slot: int = 0
    pid: int = 4243
    generation: int = 1
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("test.accesslog"))


def started(**options: str) -> AccessLog:
    log = AccessLog()
    log.configure({option.name: options.get(option.name, option.default) for option in log.options()})
    log.worker_start(cast("Worker", FakeWorker()))
    return log


def finish(log: AccessLog, reason: CloseReason = CloseReason.PEER, **facts: object) -> None:
    log.close(cast("Connection", FakeConnection(**facts)), reason)  # type: ignore[arg-type]  # facts of any field


def test_a_text_line_has_client_duration_bytes_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    log = started(file=str(path))
    finish(log, CloseReason.IDLE)
    log.worker_stop()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z default 127\.0\.0\.1:53422 0\.004s"
        r" in=32 out=33 reason=idle id=17 pid=4243\n",
        path.read_text(),
    )


def test_a_json_line_has_the_same_fields(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    log = started(file=str(path), format="json")
    finish(log)
    log.worker_stop()
    line = json.loads(path.read_text())
    assert line.pop("time").endswith("Z")
    assert line == {
        "service": "default",
        "id": 17,
        "pid": 4243,
        "peer": "127.0.0.1:53422",
        "seconds": 0.004,
        "bytes_in": 32,
        "bytes_out": 33,
        "reason": "peer",
    }


def test_lines_go_to_standard_output_by_default(capfd: pytest.CaptureFixture[str]) -> None:
    log = started()
    finish(log)
    finish(log, id=18)
    log.worker_stop()
    assert [line.split()[-2] for line in capfd.readouterr().out.splitlines()] == ["id=17", "id=18"]
    os.fstat(1)


def test_an_existing_log_is_appended_to_and_a_new_one_is_not_readable_by_others(tmp_path: Path) -> None:
    old, new = tmp_path / "old.log", tmp_path / "new.log"
    old.write_text("before\n")
    for path in (old, new):
        log = started(file=str(path))
        finish(log)
        log.worker_stop()
    assert old.read_text().startswith("before\n2")
    assert new.stat().st_mode & 0o027 == 0


@pytest.mark.parametrize(
    ("options", "problems"),
    [
        ({"format": "xml"}, ["it must be text or json, not 'xml'"]),
        ({"file": "a.log"}, ["it must be an absolute path, or - for standard output, not 'a.log'"]),
        (
            {"format": "xml", "file": ""},
            ["it must be text or json, not 'xml'", "it must be an absolute path, or - for standard output, not ''"],
        ),
    ],
)
def test_wrong_options_are_reported_together(options: dict[str, str], problems: list[str]) -> None:
    with pytest.raises(ExceptionGroup) as raised:
        started(**options)
    assert [str(each) for each in raised.value.exceptions] == problems


def test_a_file_that_cannot_be_opened_fails_the_boot(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing/access\.log"):
        started(file=str(tmp_path / "missing" / "access.log"))


def test_a_named_pipe_without_reader_fails_the_boot_instead_of_hanging(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "access.pipe")
    with pytest.raises(OSError, match="No such device"):
        started(file=str(tmp_path / "access.pipe"))


def test_a_full_disk_is_logged_once_and_raises_nothing(caplog: pytest.LogCaptureFixture) -> None:
    log = started(file="/dev/full")
    for _ in range(3):
        finish(log)
    assert [record.getMessage() for record in caplog.records] == [
        "accesslog_write_failed file=/dev/full error='[Errno 28] No space left on device'"
    ]
    assert log.lost == 3
    log.worker_stop()


def test_writing_to_a_pipe_recovers_when_a_reader_returns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "access.pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log = started(file=str(path))
    os.close(reader)
    finish(log)
    finish(log)
    assert log.lost == 2
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    finish(log)
    assert os.read(reader, 1000).count(b"\n") == 1
    assert log.lost == 0
    assert [record.getMessage().split()[0] for record in caplog.records] == [
        "accesslog_write_failed",
        "accesslog_write_recovered",
    ]
    assert caplog.records[-1].getMessage().endswith("lost=2")
    log.worker_stop()
    os.close(reader)


def test_a_connection_that_closes_after_the_worker_stopped_is_counted_as_lost(tmp_path: Path) -> None:
    log = started(file=str(tmp_path / "access.log"))
    log.worker_stop()
    finish(log)
    assert log.lost == 1
    assert (tmp_path / "access.log").read_bytes() == b""


def test_the_entry_point_names_the_plugin() -> None:
    (entry_point,) = importlib.metadata.entry_points(group="reactorhost", name="accesslog")
    assert entry_point.load() is reactorhost_accesslog.plugin


def test_only_on_a_terminal_the_text_is_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, standard_output = os.openpty()
    monkeypatch.setattr(line_file, "_STANDARD_OUTPUT", standard_output)
    output = os.fdopen(terminal, "rb")
    finish(started())
    local = output.readline().decode().rstrip()
    finish(started(format="json"))
    document = output.readline()
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}   worker 0  default 127\.0\.0\.1:53422 .* id=17", local)
    assert json.loads(document)["pid"] == 4243
    output.close()
    os.close(standard_output)
