"""The line about the progress of a command."""

from __future__ import annotations

import os
from typing import Any

import pytest

from reactorhost.dashboard.output.progress import ProgressView


class FakeOutput:
    """A terminal of some width, or with None a pipe."""

    def __init__(self, width: int | None) -> None:
        self.width = width
        self.written: list[str] = []

    def write(self, text: str) -> None:
        self.written.append(text)

    def columns(self) -> int | None:
        return self.width


class Made:
    """A view with its clock and its output."""

    def __init__(self, width: int | None, **options: Any) -> None:
        self.now = 100.0
        self.output = FakeOutput(width)
        self.view = ProgressView("reloading", output=self.output, clock=lambda: self.now, **options)

    def at(self, seconds: float) -> list[str]:
        """Let time pass until `seconds` after the beginning; returns what is written then."""
        self.now = 100.0 + seconds
        self.output.written.clear()
        self.view.refresh()
        return list(self.output.written)


@pytest.fixture(autouse=True)
def utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set a locale whose characters the bar is made of."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


@pytest.mark.parametrize("width", [None, 80])
def test_what_ends_within_half_a_second_shows_nothing(width: int | None) -> None:
    made = Made(width)
    with made.view as view:
        view.show("1 of 2", 1, 2)
        assert made.at(0.4) == []
    assert made.output.written == []


def test_a_terminal_has_one_line_with_a_bar_that_is_drawn_over_and_erased() -> None:
    made = Made(80)
    with made.view as view:
        view.show("1 of 4 workers replaced", 1, 4)
        assert made.at(0.5) == [f"\r \x1b[J\breloading {'━' * 5}{'─' * 15} 1 of 4 workers replaced\r"]
        assert made.at(0.8) == [], "nothing has changed"
        view.show("2 of 4 workers replaced", 2, 4)
        assert made.output.written == [f"\r \x1b[J\breloading {'━' * 10}{'─' * 10} 2 of 4 workers replaced\r"]
        made.output.written.clear()
    assert made.output.written == ["\r \x1b[J\b"]
    view.show("late")
    assert made.output.written == ["\r \x1b[J\b"]


@pytest.mark.parametrize(
    ("width", "bar"), [(80, "━" * 10 + "─" * 10), (50, "━" * 5 + "─" * 5), (43, "━" * 2 + "─" * 3)]
)
def test_the_bar_has_the_room_that_the_text_leaves(width: int, bar: str) -> None:
    made = Made(width)
    made.view.show("1 of 2 workers ready", 1, 2)
    assert made.at(1) == [f"\r \x1b[J\breloading {bar} 1 of 2 workers ready\r"]


def test_without_room_for_a_bar_there_is_the_text() -> None:
    made = Made(42)
    made.view.show("1 of 2 workers ready", 1, 2)
    assert made.at(1) == ["\r \x1b[J\breloading: 1 of 2 workers ready\r"]


def test_beside_other_output_an_empty_line_is_left_for_it() -> None:
    made = Made(80, beside_output=True)
    made.view.show("waiting")
    assert made.at(1) == [" \x1b[J\b\nreloading: waiting\x1b[A\r"]


def test_what_is_printed_in_between_erases_the_line_and_the_next_refresh_draws_it_again() -> None:
    made = Made(80)
    made.view.show("waiting")
    made.at(1)
    made.view.erase()
    assert made.output.written[-1] == "\r \x1b[J\b"
    assert made.at(1.2) == ["\r \x1b[J\breloading: waiting\r"]


def test_the_seconds_of_a_step_go_on_without_news() -> None:
    made = Made(80)
    made.view.show("worker 1: importing chat", step_seconds=0.6)
    assert made.at(0.5)[-1].endswith(" importing chat, 1 s\r")
    assert made.at(0.6) == []
    assert made.at(11.5)[-1].endswith(" importing chat, 12 s\r")
    made.view.show("stopping, 3 s left")
    assert made.output.written[-1].endswith(" stopping, 3 s left\r")


@pytest.mark.parametrize(
    ("text", "kept"),
    [("x" * 100, "x" * 2), ("漢" * 100, "漢"), ("1 of 2", "1 ")],
)
def test_a_line_never_wraps_and_keeps_the_seconds(text: str, kept: str) -> None:
    made = Made(20)
    made.view.show(text, 1, 2, step_seconds=9.0)
    assert made.at(1) == [f"\r \x1b[J\breloading: {kept}, 10 s\r"]


@pytest.mark.parametrize(("width", "written"), [(1, []), (5, ["\r \x1b[J\brelo\r"])])
def test_a_terminal_of_few_columns_has_what_fits(width: int, written: list[str]) -> None:
    made = Made(width)
    made.view.show("waiting")
    assert made.at(1) == written


def test_control_characters_are_escaped() -> None:
    made = Made(None)
    made.view.show("importing \x1b[2J")
    assert made.at(1) == ["reloading: importing \\u001b[2J\n"]


def test_without_utf8_the_bar_is_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "POSIX")
    made = Made(80)
    made.view.show("ready", 1, 2)
    assert made.at(1) == ["\r \x1b[J\breloading ##########---------- ready\r"]


def test_elsewhere_lines_are_written_on_change_and_seldom_and_say_that_the_command_still_waits() -> None:
    made = Made(None)
    made.view.show("0 of 2", 0, 2, step_seconds=0.0)
    assert made.at(0.5) == ["reloading: 0 of 2\n"]
    made.view.show("1 of 2", 1, 2, step_seconds=0.0)
    assert made.at(4) == [], "soon after the line before"
    assert made.at(5.5) == ["reloading: 1 of 2, 5 s\n"]
    assert made.at(20) == [], "the same"
    assert made.at(36) == ["reloading: 1 of 2, 35 s\n"]
    made.view.close()
    assert made.output.written == ["reloading: 1 of 2, 35 s\n"]


def test_elsewhere_what_the_operator_can_change_in_time_is_not_put_off() -> None:
    made = Made(None)
    made.view.show("2 open")
    assert made.at(0.5) == ["reloading: 2 open\n"]
    made.now = 101.0
    made.view.show("the disk is full, 9 s left", soon=True)
    assert made.output.written[-1] == "reloading: the disk is full, 9 s left\n"
    made.now = 102.0
    made.view.show("the disk is full, 8 s left", soon=True)
    assert made.output.written[-1] == "reloading: the disk is full, 9 s left\n"
    assert made.at(6.5) == ["reloading: the disk is full, 8 s left\n"]


def test_in_the_background_of_a_terminal_nothing_is_drawn() -> None:
    made = Made(0)
    made.view.show("waiting")
    assert made.at(1) == []


def test_a_view_that_is_not_shown_waits_all_the_same() -> None:
    made = Made(80, shown=False)
    made.view.show("waiting")
    assert made.at(1) == []
    reader, writer = os.pipe()
    os.write(writer, b".")
    assert made.view.wait([reader]) == [reader]
    os.close(reader)
    os.close(writer)


def test_a_wait_refreshes_the_line_and_ends_with_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Made(80)
    made.view.show("waiting", step_seconds=0.0)

    def select(readers: list[int], writers: object, others: object, seconds: float) -> tuple[list[int], ...]:
        made.now += seconds
        return [], [], []

    monkeypatch.setattr("select.select", select)
    assert made.view.wait([7], 2.4) == []
    assert made.now == pytest.approx(102.4)
    assert [text.partition("\b")[2][:-1] for text in made.output.written] == [
        "reloading: waiting",
        "reloading: waiting, 1 s",
        "reloading: waiting, 2 s",
    ]
