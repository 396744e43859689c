"""Keys: the bytes of a terminal, in any pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost.dashboard.terminal.keys import Click, KeyName, flush, parse


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
        (b"\x1b[<0;5;12M\x1b[<0;5;12m", [Click(4, 11)]),
        (b"\x1b[<64;1;1M\x1b[<65;300;1Mq", ["wheel up", "wheel down", "q"]),
        # Another button, and a press with Shift held.
        (b"\x1b[<2;5;12M\x1b[<4;5;12M", [Click(4, 11)]),
        # The older form, whose bytes would be the keys K and y.
        (b"\x1b[M Ky\x1b[M \xff\xffq", ["q"]),
    ],
)
def test_bytes_become_names_of_keys(data: bytes, names: list[KeyName]) -> None:
    assert parse(data) == (names, b"")


def test_an_escape_is_kept_until_it_is_flushed() -> None:
    assert parse(b"a\x1b") == (["a"], b"\x1b")
    assert flush(b"\x1b") == ["esc"]
    assert flush(b"\x1b[") == ["esc", "["]


def test_an_endless_sequence_is_given_up() -> None:
    names, rest = parse(b"\x1b[" + b"1" * 100)
    assert names[:2] == ["esc", "["]
    assert rest == b""


@given(st.binary(max_size=60), st.integers(0, 60))
def test_the_keys_are_the_same_in_any_pieces(data: bytes, at: int) -> None:
    whole, rest = parse(data)
    first, kept = parse(data[:at])
    second, left = parse(kept + data[at:])
    assert (first + second, left) == (whole, rest)


@given(st.binary(max_size=80))
def test_any_bytes_are_parsed_up_to_a_short_rest(data: bytes) -> None:
    _, rest = parse(data)
    assert len(rest) < 32
    flush(rest)
