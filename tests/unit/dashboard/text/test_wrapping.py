"""Wrapped text: no line is too wide, and nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost.dashboard.text.line import Line, width_of
from reactorhost.dashboard.text.wrapping import wrapped, wrapped_to


def texts(lines: list[Line]) -> list[str]:
    return ["".join(text for text, _ in each) for each in lines]


@pytest.mark.parametrize(
    ("text", "width", "indent", "shown"),
    [
        ("short", 10, 2, ["short"]),
        ("", 10, 2, [""]),
        ("12:04 one two three", 12, 6, ["12:04 one", "      two", "      three"]),
        # Not broken behind the time, and a word that is too long is cut.
        ("12:04 abcdefghij", 12, 6, ["12:04 abcdef", "      ghij"]),
        ("one two", 3, 0, ["one", "two"]),
        ("one two", 4, 3, ["one", "two"]),
        ("漢字漢字", 5, 0, ["漢字", "漢字"]),
        ("漢", 1, 0, ["漢"]),
    ],
)
def test_text_is_broken_at_spaces_and_indented(text: str, width: int, indent: int, shown: list[str]) -> None:
    assert texts(wrapped(((text, ""),), width, indent=indent)) == shown


def test_a_style_continues_on_the_next_line() -> None:
    assert wrapped((("a b", "red"), (" c", "")), 2) == [(("a", "red"),), (("b", "red"),), (("c", ""),)]


@given(st.text(alphabet="ab 漢"), st.integers(2, 20), st.integers(0, 9))
def test_lines_fit_and_keep_every_character(text: str, width: int, indent: int) -> None:
    lines = wrapped(((text, ""),), width, indent=indent)
    assert all(width_of(each) <= width for each in lines)
    assert "".join(texts(lines)).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("most", "shown"),
    [
        (3, ["retry in 4s,", "served by", "4243"]),
        (2, ["retry in 4s,", "served by…"]),
        (1, ["retry in 4s…"]),
        (0, []),
    ],
)
def test_text_beyond_the_last_line_is_marked(most: int, shown: list[str]) -> None:
    assert texts(wrapped_to((("retry in 4s, served by 4243", ""),), 12, most)) == shown
