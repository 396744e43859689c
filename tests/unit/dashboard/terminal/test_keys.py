"""Keys: what a terminal sends, in whatever pieces it comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost.dashboard.terminal.keys import parse, settled


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (b"q", ["q"]),
        (b"\x1b[A\x1b[B", ["up", "down"]),
        (b"\x1bOA\x1bOB", ["up", "down"]),
        (b"\x1b[5~\x1b[6~\x1b[H\x1b[4~", ["page up", "page down", "home", "end"]),
        (b"\r \x7f\x03\x1a", ["enter", "space", "backspace", "ctrl-c", "ctrl-z"]),
        ("é漢🙂".encode(), ["é", "漢", "🙂"]),
        (b"\xff\xc3(", ["("]),
        (b"\x1b[1;5A", []),
        (b"\x1b[200~x", ["x"]),
        (b"\x1bq", ["esc", "q"]),
        (b"\x1b\x1b[A", ["esc", "up"]),
        (b"\x00\x01", []),
    ],
)
def test_what_is_sent_becomes_keys(data: bytes, names: list[str]) -> None:
    assert parse(data) == (names, b"")


def test_an_escape_waits_for_what_follows_and_then_is_a_key_of_its_own() -> None:
    assert parse(b"a\x1b") == (["a"], b"\x1b")
    assert settled(b"\x1b") == ["esc"]
    assert settled(b"\x1b[") == ["esc", "["]


def test_a_sequence_without_end_is_not_waited_for_forever() -> None:
    names, rest = parse(b"\x1b[" + b"1" * 100)
    assert names[:2] == ["esc", "["]
    assert rest == b""


@given(st.binary(max_size=60), st.integers(0, 60))
def test_it_does_not_matter_in_which_pieces_it_comes(data: bytes, at: int) -> None:
    whole, rest = parse(data)
    first, kept = parse(data[:at])
    second, left = parse(kept + data[at:])
    assert (first + second, left) == (whole, rest)


@given(st.binary(max_size=80))
def test_anything_is_parsed_to_its_end(data: bytes) -> None:
    _, rest = parse(data)
    assert len(rest) < 32
    settled(rest)
