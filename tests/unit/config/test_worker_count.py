"""`workers` is a number, `auto`, or a range."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost.config.values import InvalidValueError
from reactorhost.config.worker_count import WorkerRange, parse, worker_count

KIND = worker_count(256)


@pytest.mark.parametrize(("written", "value"), [(4, 4), ("auto", "auto"), ({"min": 2, "max": 16}, WorkerRange(2, 16))])
def test_a_number_a_word_and_a_table_are_read(written: object, value: object) -> None:
    assert KIND.read(written) == value


@given(st.integers(1, 256), st.integers(1, 256))
def test_a_shown_range_is_read_as_the_same_range(one: int, other: int) -> None:
    given_range = WorkerRange(min(one, other), max(one, other))
    text = KIND.show(given_range)
    assert KIND.read(KIND.from_text(f" {text} ")) == KIND.read(text) == given_range


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("four", "must be a whole number from 1 to 256 or 'auto', not 'four'"),
        ("2-", "must be a whole number from 1 to 256 or 'auto', not '2-'"),
        ("0-4", "must be a range of numbers from 1 to 256, not 0-4"),
        ("4-2", "must be a range of numbers from 1 to 256, not 4-2"),
        ("2-257", "must be a range of numbers from 1 to 256, not 2-257"),
        ({"min": 0, "max": 4}, "must be a range of numbers from 1 to 256, not 0-4"),
        ({"min": 2}, "must have min and max, both whole numbers, not min = 2"),
        ({}, "must have min and max, both whole numbers, not nothing"),
        ({"min": 2, "max": "auto"}, "must have min and max, both whole numbers, not min = 2, max = 'auto'"),
        ({"min": True, "max": 4}, "must have min and max, both whole numbers, not min = true, max = 4"),
        ({"min": 1, "max": 4, "step": 2}, "must have min and max, both whole numbers, not min = 1, max = 4, step = 2"),
    ],
    ids=repr,
)
def test_anything_else_is_refused(written: object, words: str) -> None:
    with pytest.raises(InvalidValueError, match=f"^{re.escape(words)}$"):
        KIND.read(written)


def test_a_range_in_the_wrong_order_has_a_hint() -> None:
    with pytest.raises(InvalidValueError) as refused:
        KIND.read("4-2")
    assert refused.value.hint == "write the smaller number first"


@pytest.mark.parametrize("text", ["", "-", "1-2-3", "a-b", "1.5-2", "-1-2", "9" * 5000 + "-1"])
def test_other_text_is_not_a_range(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(("workers", "nearest"), [(1, 2), (2, 2), (9, 9), (17, 16)])
def test_the_nearest_number_of_a_range(workers: int, nearest: int) -> None:
    assert WorkerRange(2, 16).nearest(workers) == nearest
