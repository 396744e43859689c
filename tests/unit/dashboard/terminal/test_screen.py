"""Standard output has the width of the terminal; what goes to a pipe is never cut."""

from __future__ import annotations

import pytest

from reactorhost.dashboard.output.rich_tables import host_table
from reactorhost.dashboard.terminal import screen
from reactorhost.dashboard.text.line import Line, cut, line
from reactorhost.ipc.host_row import HostRow

LONG = "x" * 1000
HOST = HostRow(
    name="default",
    pid=7,
    user="root",
    state="running",
    workers_ready=1,
    workers_wanted=1,
    connections=0,
    uptime_seconds=1.0,
    version="0.1.0",
    run_dir=f"/{LONG}",
)


def page(width: int) -> list[Line]:
    return [cut(line(LONG), width), line("short")]


def test_a_pipe_gets_whole_lines_whatever_the_variable_says(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    screen.print_lines(page)
    assert capfd.readouterr().out == f"{LONG}\nshort\n"
    screen.print_renderable(host_table([HOST]))
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 2
    assert f"/{LONG}" in lines[1]


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_the_words_of_a_table_are_whole_on_a_narrow_terminal(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(screen, "_is_terminal", lambda: True)
    screen.print_renderable(host_table([{**HOST, "name": "chat"}]))
    words = capfd.readouterr().out.split()
    assert {"NAME", "WORKERS", "CLIENTS", "VERSION", "chat", "running"} <= set(words)


@pytest.mark.parametrize("columns", [20, 40, 300])
def test_a_terminal_has_the_width_of_the_variable(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(screen, "_is_terminal", lambda: True)
    screen.print_lines(page, "never")
    first, _ = capfd.readouterr().out.splitlines()
    assert len(first) == columns
