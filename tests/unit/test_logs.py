"""A log record is one line that names its process, and logging never blocks or raises."""

from __future__ import annotations

import json
import logging
import os
import pty
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, strategies

from reactorhost import log_setup, logs
from reactorhost.address import Address, Endpoint
from reactorhost.logs import EventLog, JournalFormatter, JsonFormatter, LogFormat, TextFormatter
from reactorhost.printable import printable


@pytest.fixture(autouse=True)
def keep_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def record(message: str, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("reactorhost", logging.INFO, "f", 1, message, None, None)
    made.created = 1_700_000_000.0625
    made.reactorhost_fields = fields
    return made


def test_text_is_time_level_event_and_fields() -> None:
    line = TextFormatter({"worker": 7}).format(record("worker_ready", slot=1, why='said "no" twice'))
    assert line == '2023-11-14T22:13:20.062Z info worker_ready worker=7 slot=1 why="said \\"no\\" twice"'


def test_json_is_one_object_with_the_same_fields() -> None:
    line = JsonFormatter({"worker": 7}).format(record("worker_ready", slot=1))
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.062Z",
        "level": "info",
        "event": "worker_ready",
        "worker": 7,
        "slot": 1,
    }


@pytest.mark.parametrize(
    ("level", "start"),
    [
        (logging.DEBUG, "<7>debug"),
        (logging.INFO, "<6>info"),
        (logging.WARNING, "<4>warning"),
        (logging.ERROR, "<3>error"),
        (logging.CRITICAL, "<2>critical"),
    ],
)
def test_in_the_journal_each_line_has_its_priority_and_no_time(level: int, start: str) -> None:
    made = record("hook_failed", slot=1)
    made.levelno, made.levelname = level, logging.getLevelName(level)
    made.reactorhost_details = "Traceback\nValueError: no room"
    priority = start[:3]
    assert JournalFormatter({"worker": 7}).format(made).splitlines() == [
        f"{start} hook_failed worker=7 slot=1",
        f"{priority}    Traceback",
        f"{priority}    ValueError: no room",
    ]


@pytest.mark.parametrize(
    ("log_format", "formatter"),
    [("auto", JournalFormatter), ("text", TextFormatter), ("json", JsonFormatter)],
)
def test_lines_have_priorities_in_the_journal_unless_a_format_is_set(
    monkeypatch: pytest.MonkeyPatch, log_format: LogFormat, formatter: type[logging.Formatter]
) -> None:
    status = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    assert type(log_setup.install(None, log_format, "info").formatter) is formatter


def test_a_file_has_no_priorities_where_standard_error_is_the_journal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    status = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    handler = log_setup.install(tmp_path / "log", "auto", "info")
    assert type(handler.formatter) is TextFormatter
    os.close(handler.descriptor)


def test_a_log_that_was_renamed_was_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    handler = logs.AppendHandler(path)
    try:
        assert not handler.was_removed()
        path.rename(tmp_path / "log.1")
        assert not handler.was_removed()
        path.touch()
        assert not handler.was_removed()
        path.unlink()
        (tmp_path / "log.1").unlink()
        assert handler.was_removed()
        fresh = handler.reopen()
        assert not handler.was_removed()
    finally:
        assert fresh is not None
        os.close(fresh)


def test_a_log_without_a_name_that_its_path_leads_to_was_not_removed(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        (tmp_path / "log").unlink()
        handler = logs.AppendHandler(Path(f"/proc/self/fd/{file.fileno()}"))
        assert not handler.was_removed()
        os.close(handler.reopen() or 0)


@given(strategies.text(), strategies.text(), strategies.text())
def test_no_text_splits_a_line_or_controls_a_terminal(message: str, value: str, logger: str) -> None:
    for formatter in (TextFormatter({}), JsonFormatter({})):
        made = record(message, field=value)
        made.name = logger
        line = formatter.format(made)
        assert printable(line) == line


@given(strategies.text(alphabet='a\x1b\x9b\u202e \\"=\n\ud800'))
def test_a_quoted_value_is_json(value: str) -> None:
    _, _, shown = TextFormatter({}).format(record("event", field=value)).partition("field=")
    assert (json.loads(shown) if shown.startswith('"') else shown) == value


def test_details_are_escaped_line_by_line() -> None:
    made = record("hook_failed")
    made.reactorhost_details = "ValueError: \x1b[2J\n  next\x9b"
    assert TextFormatter({}).format(made).split("\n")[1:] == ["    ValueError: \\u001b[2J", "      next\\u009b"]


def test_an_endpoint_is_a_text_in_both_formats() -> None:
    made = record("framing_broken", peer=Endpoint("::1", 5), address=Address("tcp", "db", 1), seconds=1.5, none=None)
    assert TextFormatter({}).format(made).endswith("peer=[::1]:5 address=tcp://db:1 seconds=1.5 none=None")
    line = json.loads(JsonFormatter({}).format(made))
    assert [line[key] for key in ("peer", "address", "seconds", "none")] == ["[::1]:5", "tcp://db:1", 1.5, None]


def test_a_line_names_its_logger_if_that_is_not_the_hosts() -> None:
    made = record("connected", slot=1)
    made.name = "chat.rooms"
    assert TextFormatter({"worker": 7}).format(made).endswith("info connected worker=7 logger=chat.rooms slot=1")
    assert json.loads(JsonFormatter({}).format(made))["logger"] == "chat.rooms"


def test_a_traceback_is_indented_text_or_a_field_of_the_object() -> None:
    try:
        raise ValueError("spoiled")
    except ValueError:
        made = record("hook_failed")
        made.exc_info = sys.exc_info()
    text = TextFormatter({}).format(made)
    assert text.splitlines()[-1] == "    ValueError: spoiled"
    assert "ValueError: spoiled" in json.loads(JsonFormatter({}).format(made))["details"]


def test_lines_at_or_above_the_level_are_written_with_the_context(tmp_path: Path) -> None:
    log_setup.install(tmp_path / "log", "text", "info", master=5)
    log = EventLog(logging.getLogger("reactorhost")).bind(slot=2)
    log.debug("not_told")
    log.info("reported")
    logging.getLogger("reactorhost.plugin.chat").warning("a plugin says %s", "so")
    log.error("failed", details="line 1\nline 2")
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines[:3]] == [
        "info reported master=5 slot=2",
        "warning a plugin says so master=5 logger=reactorhost.plugin.chat",
        "error failed master=5 slot=2",
    ]
    assert lines[3:] == ["    line 1", "    line 2"]


def test_reopen_after_a_rotation_continues_in_a_new_file(tmp_path: Path) -> None:
    handler = log_setup.install(tmp_path / "log", "text", "info")
    log = EventLog(logging.getLogger("reactorhost"))
    log.info("before")
    (tmp_path / "log").rename(tmp_path / "log.1")
    log.info("still_old")
    handler.reopen()
    log.info("after")
    assert "still_old" in (tmp_path / "log.1").read_text()
    assert (tmp_path / "log").read_text().split()[2] == "after"


def test_a_line_that_cannot_be_written_raises_nothing(tmp_path: Path) -> None:
    log_setup.install(Path("/dev/full"), "text", "info")
    EventLog(logging.getLogger("reactorhost")).info("lost")


def test_a_record_that_cannot_be_formatted_raises_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log_setup.install(tmp_path / "log", "text", "info")
    logging.getLogger("chat").info("%d guests", "two")
    logging.getLogger("chat").info("next")
    assert "next" in (tmp_path / "log").read_text()
    assert "--- Logging error ---" in capsys.readouterr().err


def test_a_reopen_that_fails_keeps_the_old_file(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    handler = log_setup.install(folder / "log", "text", "info")
    os.rename(folder, tmp_path / "moved")
    with pytest.raises(OSError, match="No such file"):
        handler.reopen()
    EventLog(logging.getLogger("reactorhost")).info("kept")
    assert "kept" in (tmp_path / "moved" / "log").read_text()


def test_lines_can_be_held_and_released(tmp_path: Path) -> None:
    handler = log_setup.install(tmp_path / "log", "text", "info")
    log = EventLog(logging.getLogger("reactorhost"))
    handler.hold()
    log.info("first")
    assert (tmp_path / "log").read_text() == ""
    handler.write_held()
    log.info("second")
    assert [line.split()[2] for line in (tmp_path / "log").read_text().splitlines()] == ["first", "second"]


def test_a_full_pipe_does_not_block(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    try:
        handler = log_setup.install(None, "text", "info")
        monkeypatch.setattr(handler, "descriptor", writer)
        log = EventLog(logging.getLogger("reactorhost"))
        for _ in range(300):
            log.error("flood", details="x" * 1000)
        assert os.read(reader, 10_000).startswith(b"2")
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize(
    ("cleared", "written"),
    [(0, b"\r\n"), (termios.ECHOCTL, b""), (termios.ECHO, b"")],
    ids=["both", "no ^C", "no echo"],
)
def test_a_new_line_begins_behind_what_a_terminal_has_echoed(cleared: int, written: bytes) -> None:
    screen, line = pty.openpty()
    try:
        attributes = termios.tcgetattr(line)
        attributes[3] = attributes[3] & ~cleared
        termios.tcsetattr(line, termios.TCSANOW, attributes)
        handler = logs.AppendHandler(None, descriptor=line)
        handler.end_echoed_line()
        handler.emit(logging.makeLogRecord({"msg": "."}))
        found = b""
        while not found.endswith(b".\r\n"):
            found += os.read(screen, 100)
        assert found == written + b".\r\n"
    finally:
        os.close(screen)
        os.close(line)


def test_a_file_gets_no_empty_line_for_a_terminal(tmp_path: Path) -> None:
    handler = logs.AppendHandler(tmp_path / "log")
    handler.end_echoed_line()
    assert (tmp_path / "log").read_bytes() == b""
