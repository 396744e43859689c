"""Facts: in one column on a narrow screen, in several with headings on a wide one."""

from __future__ import annotations

import pytest

from reactorhost.dashboard.text.facts import Section, fact_lines
from reactorhost.dashboard.text.line import Line, width_of

SECTIONS = [
    Section("PROCESS", [("worker", "slot 1"), ("state", "ready"), ("up", "3d04h")]),
    Section("BUS", []),
    Section("LOAD", [("messages", "23.6K/s"), ("errors", ("8/s", "bold red"))]),
    Section("TIMES", [("lag", "140µs")]),
]


def texts(lines: list[Line]) -> list[str]:
    return ["".join(text for text, _ in each).rstrip() for each in lines]


def test_a_narrow_screen_has_one_column_without_headings() -> None:
    lines = fact_lines(SECTIONS, 80)
    assert texts(lines) == [
        "worker        slot 1",
        "state         ready",
        "up            3d04h",
        "messages      23.6K/s",
        "errors        8/s",
        "lag           140µs",
    ]
    assert ("8/s", "bold red") in lines[4]


def test_a_wide_screen_has_columns_of_equal_width() -> None:
    assert texts(fact_lines(SECTIONS, 121)) == [
        "PROCESS".ljust(62) + "LOAD",
        "worker        slot 1".ljust(62) + "messages      23.6K/s",
        "state         ready".ljust(62) + "errors        8/s",
        "up            3d04h",
        " " * 62 + "TIMES",
        " " * 62 + "lag           140µs",
    ]
    assert texts(fact_lines(SECTIONS, 200))[0].split() == ["PROCESS", "LOAD", "TIMES"]


def test_a_long_value_wraps_behind_its_name() -> None:
    long = Section("", [("reason", "cannot reach the database at 10.0.0.7")])
    assert texts(fact_lines([long], 40)) == ["reason        cannot reach the database", "              at 10.0.0.7"]


@pytest.mark.parametrize("width", [1, 10, 40, 80, 118, 119, 180, 300])
def test_no_line_is_too_wide(width: int) -> None:
    # A word needs a cell or two.
    assert all(width_of(each) <= max(width, 2) for each in fact_lines(SECTIONS, width))


def test_no_sections_are_no_lines() -> None:
    assert fact_lines([], 200) == []
