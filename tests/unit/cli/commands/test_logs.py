"""The log of a host without a log file: its newest events, then only what is new."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from documents import document, event
from reactorhost.cli.app import _run
from reactorhost.cli.commands import logs
from reactorhost.config.resolve import Location
from reactorhost.dashboard.model.log_records import LogFilter
from reactorhost.errors import UsageError
from reactorhost.ipc.status import EventStatus


def test_only_events_that_are_new_are_requested_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = (event(3.0, name) for name in ("first", "second", "third"))
    answers: list[list[EventStatus]] = [[first, second], [], [third]]
    requested: list[object] = []

    def request(location: Location, verb: str, *, events_since: int) -> dict[str, Any]:
        requested.append(events_since)
        if not answers:
            raise KeyboardInterrupt
        return {"document": document(1, events=answers.pop(0))}

    monkeypatch.setattr("reactorhost.cli.client.request", request)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    shown: list[str] = []
    location = Location("x", Path("/run/x"), by_name=True)
    with pytest.raises(KeyboardInterrupt):
        logs._show_events(location, 1, LogFilter(), lambda record: shown.append(record.event), follow=True)
    assert shown == ["second", "third"]
    assert requested == [0, second["id"], second["id"], third["id"]]


def test_the_log_of_a_host_of_another_version_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"document": {"schema": 1, "name": "chat", "log_file": str(tmp_path / "chat.log")}}
    monkeypatch.setattr("reactorhost.cli.client.request", lambda location, verb: answer)
    location = Location("chat", tmp_path, by_name=False)
    assert logs._path(location, {"name": None, "run_dir": str(tmp_path)}) == tmp_path / "chat.log"


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("2026-11-28T07:30Z", "2026-11-28T07:30"),
        ("2026-11-28 07Z", "2026-11-28T07"),
        ("2026-11-28T07:30", "2026-11-28T06:30:00.000Z"),
        ("2026-11-28", "2026-11-27T23:00:00.000Z"),
    ],
)
def test_a_time_is_local_and_with_z_utc(monkeypatch: pytest.MonkeyPatch, text: str, since: str) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "XXX-1")
        time.tzset()
        assert logs._since(text) == since
    time.tzset()


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026-11-28T25"])
def test_a_wrong_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--since must be a duration or a time"):
        logs._since(text)


@pytest.mark.parametrize(
    ("terminal", "clock"), [(True, "\x1b[2m"), (False, "2026-11-28T07:30:00.000Z warning ")], ids=["terminal", "pipe"]
)
def test_a_terminal_gets_colours_and_nothing_that_a_client_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool, clock: str
) -> None:
    log = tmp_path / "log"
    hostile = r'"\u001b]0;owned\u0007"'
    log.write_text(f"2026-11-28T07:30:00.000Z warning hook_failed worker=7 slot=1 error={hostile}\nno event \x1b[2J\n")
    monkeypatch.setattr(os, "isatty", lambda descriptor: terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert _run(["logs", "--log-file", str(log)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(clock)
    assert r"\u001b]0;owned\u0007" in printed
    assert "\x1b[2J" not in printed
    assert "\x1b]" not in printed
    assert ("\x1b" in printed) is terminal
