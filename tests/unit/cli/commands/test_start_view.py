"""What is shown of a start, by where standard error leads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from reactorhost.cli.commands import start_view
from reactorhost.cli.commands.start_view import StartView
from reactorhost.config.resolve import resolve
from reactorhost.master.stop_progress import StopReport


class FakeView:
    """A view that records how it was made, and what it shows."""

    made: list[FakeView]

    def __init__(self, title: str, **options: Any) -> None:
        self.title, self.options = title, options
        self.shown: list[Any] = []
        self.closed = False
        self.made.append(self)

    def show(self, *arguments: Any, soon: bool = False) -> None:
        self.shown.append((*arguments, "soon") if soon else arguments)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def views(monkeypatch: pytest.MonkeyPatch) -> list[FakeView]:
    """Return the views that are made."""
    monkeypatch.setattr(FakeView, "made", [], raising=False)
    monkeypatch.setattr(start_view, "ProgressView", FakeView)
    return FakeView.made


def made(monkeypatch: pytest.MonkeyPatch, *, terminal: bool, shown: bool = True, **flags: str | bool) -> StartView:
    """Return the view of a start with these flags."""
    monkeypatch.setattr(os, "isatty", lambda descriptor: terminal)
    settings = resolve({"plugins": ("echo",), **flags}, {}, Path("/"), uid=1000)
    return StartView(settings, lambda document: None, shown=shown)


@pytest.mark.parametrize(
    ("terminal", "flags", "options"),
    [
        # Plugins print to the terminal too.
        (True, {}, {"shown": True, "beside_output": True}),
        (True, {"daemon": True}, {"shown": True, "beside_output": False}),
        (False, {"daemon": True}, {"shown": True, "beside_output": False}),
        # Standard error is the log.
        (False, {}, {"shown": True, "after_seconds": 5.0}),
        (False, {"log_format": "json"}, {"shown": False, "after_seconds": 5.0}),
        (True, {"log_format": "json"}, {"shown": True, "beside_output": True}),
        (False, {"log_format": "json", "log_file": "/x/log"}, {"shown": True, "after_seconds": 5.0}),
    ],
)
def test_a_start_is_shown_where_it_disturbs_nothing(
    monkeypatch: pytest.MonkeyPatch, views: list[FakeView], terminal: bool, flags: dict[str, Any], options: object
) -> None:
    made(monkeypatch, terminal=terminal, **flags)
    assert [(view.title, view.options) for view in views] == [("starting", options)]


def test_a_start_that_is_not_shown_shows_nothing(monkeypatch: pytest.MonkeyPatch, views: list[FakeView]) -> None:
    made(monkeypatch, terminal=True, shown=False)
    assert not views[0].options["shown"]


@pytest.mark.parametrize(
    ("terminal", "flags", "shown"),
    [(True, {"log_file": "/x/log"}, True), (False, {"log_file": "/x/log"}, False), (True, {}, False)],
)
def test_a_stop_is_shown_on_a_terminal_that_has_no_log(
    monkeypatch: pytest.MonkeyPatch, views: list[FakeView], terminal: bool, flags: dict[str, Any], shown: bool
) -> None:
    with made(monkeypatch, terminal=terminal, **flags) as view:
        for connections, client in ((3, ""), (1, "127.0.0.1:7 idle for 5 s")):
            view.stopping(StopReport(f"{connections} open", client, connections, 1, 5.0))
        view.stopping(StopReport("held by store", "", 0, 1, 4.0, held=True))
    _, stop = views
    assert stop.options["shown"] is shown
    assert stop.shown == [
        ("3 open; Ctrl-C: at once", 0, 3),
        ("1 open; Ctrl-C: at once; 127.0.0.1:7 idle for 5 s", 2, 3),
        ("held by store; Ctrl-C: at once", 3, 3, "soon"),
    ]
    assert stop.closed
