"""When jobs are due: each tick and each time once, in one process or handed over to others."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo

import pytest
from hypothesis import given, strategies

from reactorhost.ipc.moments import Moment
from reactorhost.worker.hooks import job_times
from reactorhost.worker.hooks.job_times import CronTimes, Ticks, cron_times, tick_of

INTERVALS = strategies.floats(0.001, 100_000.0)
HOUR = 3600.0


def at(seconds: float, unix: float = 0.0) -> Moment:
    return Moment(seconds, unix)


# Ticks.


@given(interval=INTERVALS, start=strategies.floats(0.0, 1e7), steps=strategies.lists(strategies.floats(0.0, 3.0)))
def test_no_tick_is_started_twice_and_the_last_one_always(interval: float, start: float, steps: list[float]) -> None:
    """Steps are in intervals; each moment may be looked at by the same leader or be a hand-over."""
    now, until = start, start
    ticks = Ticks(interval)
    ticks.begin(at(until))
    started = []
    for number, step in enumerate(steps):
        now += step * interval
        if number % 3 == 2:
            # Another process takes over; it knows only up to when the one before has started ticks.
            ticks = Ticks(interval)
            ticks.begin(at(until))
        if ticks.passed(at(now)):
            started.append(tick_of(now, interval))
            until = now
        assert started[-1:] == [tick_of(now, interval)] or tick_of(now, interval) == tick_of(start, interval)
    assert len(set(started)) == len(started)


@given(interval=INTERVALS, now=strategies.floats(0.0, 1e7))
def test_a_tick_is_due_when_the_time_that_is_left_is_over_and_not_before(interval: float, now: float) -> None:
    ticks = Ticks(interval)
    ticks.begin(at(now))
    left = ticks.seconds_left(at(now))
    assert 0 < left <= interval * (1 + 1e-9) + 1e-6
    # Less is rounded away by the addition.
    if left > 1e-6:
        assert not ticks.passed(at(now + left * 0.99))
    # What a timer adds is rounded, so it may look twice.
    later = now + left
    assert ticks.passed(at(later)) or ticks.seconds_left(at(later)) <= 1e-6


def test_a_tick_whose_multiple_is_rounded_down_is_due_with_the_next_number() -> None:
    due = 2001 * 0.001
    assert tick_of(due, 0.001) == 2000
    ticks = Ticks(0.001)
    ticks.begin(at(2.0005))
    left = ticks.seconds_left(at(2.0005))
    assert tick_of(2.0005 + left, 0.001) == 2001
    assert left < 0.00051


def test_processes_count_the_same_ticks_whenever_they_began() -> None:
    first, second = Ticks(10.0), Ticks(10.0)
    first.begin(at(3.0))
    second.begin(at(9.9))
    assert (first.seconds_left(at(3.0)), second.seconds_left(at(9.0))) == (7.0, 1.0)


def test_several_missed_ticks_are_started_once() -> None:
    ticks = Ticks(1.0)
    ticks.begin(at(0.5))
    assert [ticks.passed(at(now)) for now in (0.9, 4.2, 4.9, 5.0)] == [False, True, False, True]


def test_a_moment_before_the_hand_over_starts_nothing() -> None:
    ticks = Ticks(1.0)
    ticks.begin(at(5.0))
    assert not ticks.passed(at(4.9))
    assert not ticks.passed(at(5.5))
    assert ticks.passed(at(6.0))


# Cron.


def unix(text: str, zone: str = "Europe/Berlin", fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def started(expression: str, moments: list[float], since: float, zone: str = "Europe/Berlin") -> list[str]:
    """Return the moments at which a job is started, as local times."""
    times = CronTimes(expression, ZoneInfo(zone))
    times.begin(at(0.0, since))
    until = Moment(0.0, since)
    found = []
    for number, moment in enumerate(moments):
        until = until.moved_to(Moment(float(number), moment))
        if times.passed(until):
            found.append(datetime.fromtimestamp(moment, ZoneInfo(zone)).strftime("%d %H:%M"))
    return found


def minutes(begin: float, end: float, step: float = 60.0) -> list[float]:
    return [begin + step * number for number in range(int((end - begin) / step) + 1)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("30 2 * * *", ["28 02:30", "29 03:00", "30 02:30"]),
        ("0 */12 * * *", ["28 00:00", "28 12:00", "29 00:00", "29 12:00", "30 00:00", "30 12:00"]),
    ],
)
def test_a_time_that_summer_time_leaves_out_is_made_up_for(expression: str, expected: list[str]) -> None:
    moments = minutes(unix("2026-03-28T00:00"), unix("2026-03-30T23:00"))
    assert started(expression, moments, moments[0] - 1) == expected


def test_a_time_that_comes_twice_is_started_once_but_each_hour_of_the_clock() -> None:
    moments = minutes(unix("2026-10-25T00:00"), unix("2026-10-25T05:00"))
    assert started("30 2 * * *", moments, moments[0]) == ["25 02:30"]
    assert len(started("0 * * * *", moments, moments[0])) == 6


def test_a_process_that_starts_in_the_repeated_hour_does_not_repeat_the_first() -> None:
    second = unix("2026-10-25T02:10", fold=1)
    assert started("30 2 * * *", minutes(second, second + 4 * HOUR), since=second) == []


def test_missed_times_are_started_once() -> None:
    since = unix("2026-11-01T00:00")
    assert started("0 * * * *", [since + 5.5 * HOUR, since + 5.6 * HOUR, since + 6 * HOUR], since) == [
        "01 05:30",
        "01 06:00",
    ]


def test_a_clock_that_is_set_back_repeats_nothing_unless_it_was_wrong() -> None:
    noon = unix("2026-11-01T12:00")
    back = [noon, *minutes(noon - HOUR, noon + HOUR)]
    assert started("0 * * * *", back, noon - 60) == ["01 12:00", "01 13:00"]
    corrected = [noon, *minutes(noon - 5 * HOUR, noon - 3 * HOUR)]
    assert started("0 * * * *", corrected, noon - 60) == ["01 12:00", "01 08:00", "01 09:00"]


def test_the_wall_clock_is_looked_at_once_a_minute_at_least() -> None:
    times = CronTimes("0 12 * * *", UTC)
    times.begin(at(0.0, 0.0))
    assert times.seconds_left(at(0.0, 0.0)) == 60.0
    assert times.seconds_left(at(0.0, 12 * HOUR - 5)) == 5.0


@pytest.mark.parametrize(
    ("expression", "timezone", "sentence"),
    [
        ("* * * *", None, "must have five fields: minute, hour, day of the month, month, weekday"),
        ("* * * * * *", None, "must have five fields"),
        ("60 * * * *", None, "has a wrong field: minute"),
        ("* 24 * * *", None, "has a wrong field: hour"),
        ("0 0 30 2 *", None, "has a wrong field: day-of-month"),
        ("* * * * someday", None, "has a wrong field: day-of-week"),
        ("@daily", None, "must have five fields"),
        (f"{'9' * 5000} * * * *", None, "has a wrong field"),
        ("* * * * *", "Europe/Atlantis", "there is no time zone 'Europe/Atlantis' on this system"),
        ("* * * * *", "../etc/passwd", "there is no time zone"),
        ("* * * * *", "", "there is no time zone"),
        ("* * * * *", "a\0b", "there is no time zone"),
    ],
)
def test_what_is_wrong_is_refused_with_a_sentence(expression: str, timezone: str | None, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        cron_times(expression, timezone)


@pytest.mark.parametrize(("expression", "timezone"), [(5, None), (None, None), ("* * * * *", 5), (b"* * * * *", None)])
def test_what_is_not_a_text_is_refused(expression: str, timezone: str | None) -> None:
    with pytest.raises(TypeError, match="must be a text, not"):
        cron_times(expression, timezone)


@given(strategies.lists(strategies.text("0123456789*/,-#LW MONJAN", min_size=1, max_size=6), min_size=5, max_size=5))
def test_any_expression_is_taken_or_refused_with_a_sentence(fields: list[str]) -> None:
    try:
        times = cron_times(" ".join(fields), "UTC")
    except ValueError as error:
        assert str(error).startswith("the cron expression")  # noqa: PT017  either end is right
    else:
        times.begin(at(0.0, 1e9))
        assert times.seconds_left(at(0.0, 1e9)) > 0


@pytest.mark.parametrize("variable", ["Asia/Tokyo", ":Asia/Tokyo", "FILE"])
def test_without_a_time_zone_that_of_the_system_counts(
    variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    zone_file = next(Path(each) / "Asia/Tokyo" for each in TZPATH if Path(each).exists())
    if variable == "FILE":
        monkeypatch.delenv("TZ", raising=False)
        monkeypatch.setattr(job_times, "_LOCAL_TIME", zone_file)
    else:
        monkeypatch.setenv("TZ", variable)
    times = cron_times("0 12 * * *", None)
    midnight = unix("2026-11-01T11:59:30", "Asia/Tokyo")
    times.begin(at(0.0, midnight))
    assert times.seconds_left(at(0.0, midnight)) == 30.0


def test_a_system_without_a_time_zone_is_in_utc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr(job_times, "_LOCAL_TIME", tmp_path / "localtime")
    times = cron_times("0 12 * * *", None)
    times.begin(at(0.0, 12 * HOUR - 7))
    assert times.seconds_left(at(0.0, 12 * HOUR - 7)) == 7.0
