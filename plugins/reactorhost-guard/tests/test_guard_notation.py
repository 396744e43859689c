"""What operators write: rates, durations and networks."""

from __future__ import annotations

import pytest

from reactorhost_guard import notation


@pytest.mark.parametrize(
    ("text", "rate", "burst"),
    [
        ("10/s burst 50", 10, 50),
        ("10/s", 10, 10),
        ("600/m", 10, 600),
        ("36/h burst 3", 0.01, 3),
        ("864/d burst 1", 0.01, 1),
    ],
)
def test_a_rate_has_a_burst_which_is_the_amount_if_none_is_written(text: str, rate: float, burst: float) -> None:
    found = notation.rate(text)
    assert found[:2] == pytest.approx((rate, burst))
    assert found.slow_seconds is None


@pytest.mark.parametrize(
    ("text", "rate", "burst"),
    [("1MiB/s burst 8MiB", 1 << 20, 8 << 20), ("64 KiB/s", 65536, 65536), ("100B/s burst 200", 100, 200)],
)
def test_a_rate_of_bytes_may_have_units(text: str, rate: float, burst: float) -> None:
    assert notation.rate(text, of_bytes=True) == (rate, burst, None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10/s slow", 10), ("10/s burst 5 slow", 10), ("10/s slow 3s", 3), ("1/s burst 5 slow 2m", 120)],
)
def test_a_rate_may_slow_down_for_some_time(text: str, seconds: float) -> None:
    assert notation.rate(text).slow_seconds == seconds
    assert notation.rate(text, of_bytes=True).slow_seconds == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10",
        "10/w",
        "-1/s",
        "1.5/s",
        "10/s burst",
        "10/s burst 5 ",
        "1KiB/s",
        "1/s burst 1B",
        "1/s slow 5",
        "1/s slow burst 5",
    ],
)
def test_what_is_not_a_rate_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as '10/s burst 50', not"):
        notation.rate(text)


def test_a_time_in_which_not_even_one_is_allowed_slows_nothing() -> None:
    assert notation.rate("6/m slow").slow_seconds == 10.0
    with pytest.raises(ValueError, match="one is allowed in 20s, so it must be 'slow 20s' or longer, in '3/m slow'"):
        notation.rate("3/m slow")
    with pytest.raises(ValueError, match="so it must be 'slow 1s' or longer, in '2/s slow 0s'"):
        notation.rate("2/s slow 0s")


@pytest.mark.parametrize("text", ["0/s", "1/s burst 0"])
def test_a_rate_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="above 0"):
        notation.rate(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200), ("7d", 604800), ("1.5m", 90), ("3 s", 3)]
)
def test_a_duration_has_a_unit(text: str, seconds: float) -> None:
    assert notation.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "90", "0s", "m", "1w", "-1s", "1e3s"])
def test_what_is_not_a_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a duration above 0"):
        notation.duration(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7/32", "203.0.113.7"),
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("2001:DB8::/48", "2001:db8::/48"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
    ],
)
def test_a_network_has_one_form(text: str, shown: str) -> None:
    assert notation.shown(notation.network(text)) == shown


@pytest.mark.parametrize("text", ["", "203.0.113.7/24", "203.0.113", "example.com", "1::2::3"])
def test_what_is_not_a_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an address or a network"):
        notation.network(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(60, "1m"), (90, "90s"), (7200, "2h"), (86400, "1d"), (59.01, "1m"), (0.2, "1s"), (0, "0s")]
)
def test_a_duration_is_shown_in_the_largest_unit_without_a_fraction(seconds: float, text: str) -> None:
    assert notation.shown_duration(seconds) == text


@pytest.mark.parametrize(
    ("outer", "inner", "contains"),
    [
        ("203.0.113.0/24", "203.0.113.7", True),
        ("203.0.113.7", "203.0.113.0/24", False),
        ("::/0", "203.0.113.7", False),
    ],
)
def test_a_network_contains_another(outer: str, inner: str, contains: bool) -> None:
    assert notation.contains(notation.network(outer), notation.network(inner)) is contains
