"""Lines: cut to cells, without control characters, and of the same width in ASCII."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from reactorhost.dashboard.text.line import (
    Line,
    as_text,
    cut,
    fitted,
    in_ascii,
    line,
    merged,
    on_linux_console,
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
def test_a_spread_line_never_exceeds_its_width(left: Line, right: Line, width: int) -> None:
    assert width_of(spread(left, right, width)) <= width


@given(LINES)
def test_a_line_in_ascii_has_the_same_width(pieces: Line) -> None:
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
def test_a_text_is_cut_to_cells_with_an_ellipsis(text: str, width: int, shown: str) -> None:
    assert fitted(text, width) == shown
    assert cell_len(fitted(text, width)) <= width


def test_a_cut_between_pieces_has_an_ellipsis_too() -> None:
    assert plain(cut(line("abc", ("def", "bold")), 3)) == "ab…"
    assert plain(cut(line("abc", ("def", "bold")), 5)) == "abcd…"


def test_pieces_of_one_style_are_joined() -> None:
    assert merged([("a", "red"), ("b", "red"), ("", "dim"), ("c", "")]) == (("ab", "red"), ("c", ""))


def test_control_characters_are_escaped() -> None:
    assert plain(line("\x1b[2Jboo\r\n")) == "\\u001b[2Jboo\\r\\n"


def test_drawing_characters_have_ascii_replacements() -> None:
    assert plain(in_ascii(line("├─ 4243 · 11µs ▁█ ↑↓ ▼▲ 漢"))) == "|- 4243 - 11us _# ^v v^ ??"
    assert plain(in_ascii(line("│  the process is stopped"))) == "|  the process is stopped"


def test_a_cut_is_not_a_full_stop_where_there_is_no_ellipsis() -> None:
    for convert in (in_ascii, on_linux_console):
        assert plain(convert(cut(line("message about"), 10))) == "message a~"
        assert plain(convert(line("   … 7 more"))) == "   . 7 more"


def test_brackets_are_not_markup() -> None:
    assert as_text(line(("[red]::1[/]", "bold"))).plain == "[red]::1[/]"


def test_a_style_is_added_to_the_existing_styles() -> None:
    assert with_style((("a", ""), ("b", "red")), "reverse") == (("a", "reverse"), ("b", "red reverse"))
