"""The log on a terminal: for people, while files and pipes keep their format."""

from __future__ import annotations

import fcntl
import logging
import os
import pty
import struct
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies

from reactorhost import log_setup
from reactorhost.logs import EventLog, LogFormat
from reactorhost.printable import printable
from reactorhost.terminal_log import SharedDay, TerminalFormatter, TerminalLines

SECONDS = 1_700_000_000.0625
FAILED = {"worker": 9, "slot": 2, "plugin": "chat", "hook": "receive", "error": "ValueError: no room"}


@pytest.fixture(autouse=True)
def _keep(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "XXX-1")
    time.tzset()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A terminal of 60 columns: what it shows is read from the first descriptor, the second is written to."""
    screen, line = pty.openpty()
    fcntl.ioctl(line, termios.TIOCSWINSZ, struct.pack("4H", 24, 60, 0, 0))
    yield screen, line
    os.close(screen)
    os.close(line)


def plain(event: str, fields: dict[str, Any], level: str = "info", details: str | None = None) -> list[str]:
    """Return the lines of an event without the date."""
    made = TerminalLines(None, colour=False, day=SharedDay())
    return made.lines(SECONDS, level, event, fields, details).split("\n")[1:]


def test_lines_are_aligned_and_local_and_name_the_process() -> None:
    assert plain("host_ready", {"master": 7, "workers": 2}) == ["23:13:20.062   master    host_ready workers=2"]
    assert plain("hook_failed", FAILED, "error") == [
        '23:13:20.062 E worker 2  hook_failed plugin=chat hook=receive error="ValueError: no room"'
    ]


def test_a_line_of_a_plugin_begins_with_its_logger() -> None:
    fields = {"worker": 9, "slot": 12, "logger": "reactorhost.plugin.chat"}
    assert plain("a client said so", fields, "warning") == ["23:13:20.062 W worker 12 chat: a client said so"]


def test_a_traceback_follows_indented() -> None:
    assert plain("failed", {"master": 7}, "error", "Traceback\n  at \x1b\nValueError\n")[1:] == [
        "    Traceback",
        "      at \\u001b",
        "    ValueError",
    ]


def test_a_date_is_written_once_a_day() -> None:
    made = TerminalLines(None, colour=False, day=SharedDay())
    shown = [made.lines(SECONDS + hours * 3600, "info", "x", {}).split("\n") for hours in (0, 0.5, 1, 2)]
    assert [lines[0] for lines in shown if len(lines) == 2] == [
        "Tuesday, 14 November 2023, local time (UTC+0100)",
        "Wednesday, 15 November 2023, local time (UTC+0100)",
    ]
    assert [len(lines) for lines in shown] == [2, 1, 2, 1]


def test_a_long_line_is_wrapped_at_words_below_the_text(terminal: tuple[int, int]) -> None:
    made = TerminalLines(terminal[1], colour=False, day=SharedDay())
    lines = made.lines(SECONDS, "error", "hook_failed", FAILED).split("\n")[1:]
    assert lines == [
        "23:13:20.062 E worker 2  hook_failed plugin=chat",
        '                         hook=receive error="ValueError: no',
        '                         room"',
    ]


@pytest.mark.parametrize(
    ("level", "letter", "colour"), [("error", "E", "31"), ("warning", "W", "35")], ids=["error", "warning"]
)
def test_the_level_is_coloured_and_no_text_needs_it(level: str, letter: str, colour: str) -> None:
    made = TerminalLines(None, colour=True, day=SharedDay())
    line = made.lines(SECONDS, level, "slow_hook", {"master": 1}).split("\n")[1]
    start = f"\033[2m23:13:20.062\033[m \033[1;{colour}m{letter}\033[m"
    assert line == f"{start} master    \033[{colour}mslow_hook\033[m"


@pytest.mark.parametrize(("log_format", "is_for_people"), [("auto", True), ("text", False), ("json", False)])
def test_only_auto_is_for_people_and_workers_continue_it(
    terminal: tuple[int, int], log_format: LogFormat, is_for_people: bool
) -> None:
    handler = log_setup.install(None, log_format, "info", descriptor=terminal[1], master=5)
    before = handler.formatter
    assert isinstance(before, TerminalFormatter) is is_for_people
    after = log_setup.inherit(log_format, "info", worker=7, slot=1).formatter
    if isinstance(before, TerminalFormatter) and isinstance(after, TerminalFormatter):
        assert after.made is before.made


@pytest.mark.parametrize("log_format", ["auto", "text"])
def test_a_file_and_a_pipe_have_the_format_text(tmp_path: Path, log_format: LogFormat) -> None:
    log_setup.install(tmp_path / "log", log_format, "info", master=5)
    EventLog(logging.getLogger("reactorhost")).info("reported", slot=1)
    assert (tmp_path / "log").read_text().split(" ", 1)[1] == "info reported master=5 slot=1\n"
    reader, writer = os.pipe()
    log_setup.install(None, log_format, "info", descriptor=writer, master=5)
    EventLog(logging.getLogger("reactorhost")).info("reported", slot=1)
    assert os.read(reader, 1000).split(b" ", 1)[1] == b"info reported master=5 slot=1\n"
    os.close(reader)
    os.close(writer)


@given(strategies.text(), strategies.text(), strategies.text())
def test_no_text_controls_the_terminal(event: str, value: str, logger: str) -> None:
    for line in plain(event, {"master": 1, "logger": logger, "field": value}, details=value):
        assert printable(line) == line
