"""Quantities: short, of limited width, and never zero when unknown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost.dashboard.text.quantities import (
    amount,
    duration,
    exact,
    number,
    rate,
    span,
    uptime,
    whole,
    whole_seconds,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0s"), (9.94, "9.9s"), (12.3, "12s"), (59.4, "59s"), (65, "1m05s"), (7620, "2h07m"), (273_600, "3d04h")],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1.2, "0m01s"), (3599, "59m59s"), (86_399, "23h59m"), (273_600, "3d04h"), (123 * 86_400.0, "123d"), (None, "-")],
)
def test_uptimes_always_show_two_units(seconds: float | None, text: str) -> None:
    assert uptime(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (0.04, "0"),
        (0.4, "0.4"),
        (7.0, "7"),
        (38.4, "38"),
        (999.4, "999"),
        (999.6, "1.0K"),
        (23_600, "23.6K"),
        (99_951, "100K"),
        (148_000, "148K"),
        (999_600, "1.0M"),
        (None, "-"),
    ],
)
def test_rates_are_short(count: float | None, text: str) -> None:
    assert rate(count) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1_234_567, "1,234,567"), (0.0, "0"), (0.25, "0.25"), (1e20, "1e+20"), (3e-7, "3e-07"), (-12.0, "-12")],
)
def test_metrics_are_not_rounded_to_a_unit(value: float, text: str) -> None:
    assert exact(value) == text


def test_bytes_are_divided_by_1024_and_counts_by_1000() -> None:
    assert amount(44.5 * 1024 * 1024) == "44.5M"
    assert amount(1000) == "1.0K"
    assert number(9638) == "9,638"
    assert number(1_234_567) == "1.2M"
    assert whole(473.4) == "473"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0"),
        (11e-6, "11µs"),
        (999e-6, "999µs"),
        (0.9996e-3, "1.0ms"),
        (0.0384, "38ms"),
        (0.9996, "1.0s"),
        (1.54, "1.5s"),
        (31, "31s"),
        (185, "3m05s"),
        (None, "-"),
    ],
)
def test_short_times_have_a_unit(seconds: float | None, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize("show", [rate, amount, number, whole, span, uptime])
def test_an_unknown_quantity_is_a_dash(show: object) -> None:
    assert callable(show)
    assert show(None) == "-"


@given(st.floats(0, 1e18))
def test_no_quantity_exceeds_the_width_of_its_column(value: float) -> None:
    assert len(rate(value)) <= 5
    assert len(amount(value)) <= 5
    assert len(number(value)) <= 7
    assert len(span(min(value, 86_000.0))) <= 6
    assert len(uptime(min(value, 1e9))) <= 6


@pytest.mark.parametrize(("seconds", "words"), [(1.0, "1 s"), (59.9, "59 s"), (60.0, "1m00s")])
def test_a_minute_is_written_in_one_way(seconds: float, words: str) -> None:
    assert whole_seconds(seconds) == words
