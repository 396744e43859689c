"""Lines: cut to cells, cleaned of what a terminal would obey, and the same width in ASCII."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from reactorhost.dashboard.text.line import (
    Line,
    as_text,
    clean,
    cut,
    fitted,
    in_ascii,
    line,
    padded,
    spread,
    width_of,
    with_style,
)

LINES = st.lists(st.tuples(st.text(max_size=20), st.sampled_from(["", "dim", "bold red"])), max_size=6).map(
    lambda pieces: line(*pieces)
)


def plain(pieces: Line) -> str:
    return "".join(text for text, _ in pieces)


@given(LINES, st.integers(0, 60))
def test_a_cut_line_never_exceeds_its_width(pieces: Line, width: int) -> None:
    assert width_of(cut(pieces, width)) <= width


@given(LINES, st.integers(0, 60))
def test_a_padded_line_has_exactly_its_width(pieces: Line, width: int) -> None:
    assert width_of(padded(pieces, width)) == width


@given(LINES, LINES, st.integers(0, 60))
def test_two_sides_never_exceed_the_width(left: Line, right: Line, width: int) -> None:
    assert width_of(spread(left, right, width)) <= width


@given(LINES)
def test_in_ascii_a_line_takes_as_many_cells(pieces: Line) -> None:
    converted = in_ascii(pieces)
    assert plain(converted).isascii()
    assert width_of(converted) == width_of(pieces)


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
        ("漢字漢字", 5, "漢字…"),
        ("漢字", 3, "漢…"),
    ],
)
def test_a_text_is_cut_by_cells_with_an_ellipsis(text: str, width: int, shown: str) -> None:
    assert fitted(text, width) == shown
    assert cell_len(fitted(text, width)) <= width


def test_a_cut_between_pieces_still_shows_that_something_is_missing() -> None:
    assert plain(cut(line("abc", ("def", "bold")), 3)) == "ab…"
    assert plain(cut(line("abc", ("def", "bold")), 5)) == "abcd…"


def test_what_a_terminal_would_obey_is_not_written_to_it() -> None:
    assert clean("\x1b[2Jboo\r\n\u202eevil\x07") == "?[2Jboo  ?evil?"
    assert plain(line("a\x1bb")) == "a?b"


def test_signs_have_likenesses_in_ascii() -> None:
    assert plain(in_ascii(line("├─ 4243 · 11µs ▁█ … ↑↓ ▼▲ 漢"))) == "|- 4243 - 11us _# . ^v v^ ??"


def test_brackets_are_no_markup() -> None:
    assert as_text(line(("[red]::1[/]", "bold"))).plain == "[red]::1[/]"


def test_a_style_is_added_to_those_that_are_there() -> None:
    assert with_style((("a", ""), ("b", "red")), "reverse") == (("a", "reverse"), ("b", "red reverse"))
