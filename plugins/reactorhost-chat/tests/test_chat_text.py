"""The rules of the chat for names, and the words that it sends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost_chat import text


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"hello", "hello"),
        ("Grüße, 世界 👩\u200d💻".encode(), "Grüße, 世界 👩\u200d💻"),
        (b"\x1b[31mred\x07\x00\x9b\x7f", " [31mred  \ufffd "),
        ("\x9b31m\u202eabc\u2028x\ty\r\nz".encode(), " 31m abc x y  z"),
        (b"\xff\xfa", "\ufffd\ufffd"),
    ],
)
def test_what_a_terminal_may_act_on_becomes_a_blank(data: bytes, expected: str) -> None:
    assert text.cleaned(data) == expected


@given(st.binary())
def test_no_message_has_a_control_character(data: bytes) -> None:
    # C0, DEL and C1, in the bytes that are sent.
    assert not any(ord(each) < 32 or 127 <= ord(each) < 160 for each in text.cleaned(data).encode().decode())


@pytest.mark.parametrize("name", ["a", "Ada", "zoë", "李小龙", "a-b_c9", "x" * 20])
def test_letters_digits_and_two_signs_make_a_name(name: str) -> None:
    assert text.valid_name(name) == name


@pytest.mark.parametrize("name", ["", "x" * 21, "a b", "ada:", "*", "(private)", "a\u200db", "a\u0000", "👻", "|"])
def test_anything_else_is_not_a_name(name: str) -> None:
    assert text.valid_name(name) is None


def test_forms_of_one_name_become_the_same() -> None:
    assert text.valid_name("zoe\u0308") == text.valid_name("zo\u00eb")
    assert text.valid_name("\uff41\uff44\uff41") == "ada"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], ""),
        (["ada"], "ada"),
        (["bob", "ada"], "ada and bob"),
        (["cy", "Bob", "ada"], "ada, Bob and cy"),
        ([f"n{number:04}" for number in range(1050)], "n0048, n0049 and 1,000 more"),
    ],
)
def test_names_are_listed_as_in_a_sentence(names: list[str], expected: str) -> None:
    assert text.listed(names).endswith(expected)


def test_every_line_of_the_help_fits_a_terminal() -> None:
    assert max(map(len, text.HELP)) < 78
