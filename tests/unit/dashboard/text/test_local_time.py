"""Moments in local time: a date where the day is another one, and the zone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from documents import NOON
from reactorhost.dashboard.text.local_time import moment, zone

DAY = 86_400


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def be_in(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield be_in
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (NOON, "12:04:37"),
        (NOON - 12 * 3600, "00:04:37"),
        (NOON - 13 * 3600, "22 Nov 23:04:37"),
        (NOON - 365 * DAY, "23 Nov 2025 12:04:37"),
        (NOON + DAY, "24 Nov 12:04:37"),
    ],
)
def test_a_moment_of_another_day_has_a_date(seconds: float, text: str) -> None:
    assert moment(seconds, NOON) == text


@pytest.mark.parametrize(
    ("name", "clock", "text"),
    [
        ("UTC0", "12:04:37", "UTC"),
        ("XXX-1", "13:04:37", "UTC+1"),
        ("XXX3:30", "08:34:37", "UTC-3:30"),
        ("XXX-5:45", "17:49:37", "UTC+5:45"),
    ],
)
def test_times_are_local_and_the_zone_is_an_offset(
    local: Callable[[str], None], name: str, clock: str, text: str
) -> None:
    local(name)
    assert (moment(NOON, NOON), zone(NOON)) == (clock, text)
