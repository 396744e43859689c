"""What the watchdog reports: the code that blocks the loop, while it does, and not too often."""

from __future__ import annotations

import itertools
import logging
import sys
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given, settings, strategies

from reactorhost.ipc.stall import Stall
from reactorhost.logs import ContextFormatter, EventLog
from reactorhost.plugins.attribution import StackPosition
from reactorhost.reactor import Reactor
from reactorhost.worker.monitor.watchdog import StallDetector, Watchdog
from reactorhost.worker.process.alarm import Alarm, OnAlarm

HERE = StackPosition("made", "receive", "made.py:3", "10.0.0.7:4711")
THERE = StackPosition("other", None, "other.py:9")
STEP = 1 / 16


class Checks:
    """Checks of a loop, two within the limit of 1/8 s, and what was reported."""

    def __init__(self) -> None:
        self.reports: list[tuple[object, ...]] = []
        self.report_times: list[float] = []
        self.noted: list[tuple[StackPosition, float] | None] = [None]
        self.progress = 0
        self.now = 1024.0
        self.detector = StallDetector(STEP * 2, self)

    def stall_at(self, standing: StackPosition, seconds: float) -> None:
        self.noted.append((standing, seconds))

    def stall_over(self) -> None:
        self.noted.append(None)

    def stall_found(self, standing: StackPosition, seconds: float, suppressed: int) -> None:
        self.reports.append((standing.plugin, seconds, suppressed))
        self.report_times.append(self.now)

    def stall_ended(self, standing: StackPosition, seconds: float) -> None:
        self.reports.append((standing.plugin, seconds))

    def idle(self, seconds: float = 10.0) -> None:
        self.block(None, seconds)

    def block(self, standing: StackPosition | None, seconds: float) -> None:
        """Let the loop turn once, then block it for some seconds, and check meanwhile."""
        self.progress += 1
        for _ in range(round(seconds / STEP) + 1):
            self.detector.check(self.progress, self.now, lambda: standing)
            self.now += STEP


def test_a_loop_that_waits_for_clients_is_not_reported() -> None:
    checks = Checks()
    checks.idle()
    assert checks.reports == []


def test_a_stall_is_reported_once_while_it_lasts_and_once_when_it_has_ended() -> None:
    checks = Checks()
    checks.block(HERE, 0.5)
    assert checks.reports == [("made", 0.125, 0)]
    checks.idle()
    assert checks.reports == [("made", 0.125, 0), ("made", 0.5625)]


def test_a_stall_after_a_long_wait_is_reported() -> None:
    checks = Checks()
    checks.idle()
    checks.progress -= 1  # the turn that waited
    checks.block(HERE, 0.25)
    assert [report[0] for report in checks.reports] == ["made"]


def test_a_stall_is_noted_past_the_limit_even_if_it_is_not_reported_again() -> None:
    checks = Checks()
    for _ in range(3):
        checks.block(HERE, STEP)
        checks.block(HERE, 0.125)
        checks.block(None, 0.0)
    assert checks.noted == [None, *[(HERE, 0.125), None] * 3]
    assert len(checks.reports) == 2


def test_the_place_is_noted_again_when_the_code_has_moved_on() -> None:
    checks = Checks()
    checks.block(HERE, 0.125)
    checks.detector.check(checks.progress, checks.now, lambda: THERE)
    # In code of no plugin, which the last place has called.
    checks.detector.check(checks.progress, checks.now, lambda: None)
    assert checks.noted == [None, (HERE, 0.125), (THERE, 0.1875)]


def test_an_idle_loop_begins_a_new_period() -> None:
    checks = Checks()
    checks.block(HERE, 0.25)
    checks.detector.idle(checks.now)
    assert checks.reports == [("made", 0.125, 0), ("made", 0.3125)]
    checks.progress -= 1
    checks.block(HERE, STEP)
    assert len(checks.reports) == 2


def test_code_that_returns_in_time_is_not_reported() -> None:
    checks = Checks()
    for _ in range(20):
        checks.block(HERE, STEP)
    assert checks.reports == []


def test_a_stall_within_the_same_second_is_reported_later_if_it_lasts() -> None:
    checks = Checks()
    checks.block(HERE, 0.25)
    checks.block(THERE, 5.0)
    assert checks.reports == [("made", 0.125, 0), ("made", 0.3125), ("other", 0.8125, 0)]


def test_a_place_is_reported_once_a_minute_with_a_count_of_suppressed_reports() -> None:
    checks = Checks()
    for _ in range(4):
        checks.block(HERE, 0.25)
        checks.idle()
    assert checks.reports == [("made", 0.125, 0), ("made", 0.3125)]
    checks.idle(60.0)
    checks.block(HERE, 0.25)
    assert checks.reports[2:] == [("made", 0.125, 3)]


def test_code_that_never_returns_is_reported_again_after_a_minute() -> None:
    checks = Checks()
    checks.block(HERE, 0.25)
    checks.block(HERE, 90.0)
    assert [report[0] for report in checks.reports] == ["made"] * 3
    assert checks.reports[2][2] == 0


def test_a_suppressed_report_counts_for_the_place_that_was_suppressed() -> None:
    checks = Checks()
    for standing in (HERE, THERE):
        checks.block(standing, 0.25)
        checks.idle()
    checks.reports.clear()
    # One stall that is at two places, both reported within the minute before; then it lasts.
    checks.progress += 1
    for standing, count in ((HERE, 4), (THERE, 1024)):
        for _ in range(count):
            checks.detector.check(checks.progress, checks.now, lambda standing=standing: standing)  # type: ignore[misc]
            checks.now += STEP
    assert [report[2] for report in checks.reports] == [0]


def test_the_number_of_remembered_places_is_limited() -> None:
    checks = Checks()
    for number in range(500):
        checks.block(StackPosition("made", None, f"made.py:{number}"), 0.25)
    assert len(checks.detector._lines_of_places._windows) == 200


@settings(max_examples=30)
@given(strategies.lists(strategies.tuples(strategies.integers(0, 5), strategies.sampled_from([0.0, 0.25, 2.0]))))
def test_no_second_has_two_reports(plan: list[tuple[int, float]]) -> None:
    checks = Checks()
    for number, seconds in plan:
        checks.block(StackPosition("made", None, f"made.py:{number}"), seconds)
    assert all(later - earlier >= 1.0 for earlier, later in itertools.pairwise(checks.report_times))


class Watched:
    """A watchdog with a limit of 1 s on a fake loop and a fake alarm, and what was logged."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        limit_seconds: float = 1.0,
        quiet_seconds: float = 0.0,
    ) -> None:
        self.limit_seconds = limit_seconds
        self.now = 1000.0
        self.turns = 0
        self.pauses: list[float] = []
        self._on_alarm: OnAlarm | None = None
        self._postpone: Callable[[], object] | None = None
        self._on_wake: Callable[[bool], object] | None = None
        self._caplog = caplog
        self.notes: list[Stall | None] = []
        monkeypatch.setattr("reactorhost.worker.monitor.watchdog.time.monotonic", lambda: self.now)
        self.waited = 0.0
        monkeypatch.setattr("reactorhost.worker.monitor.watchdog.procfs.waited_seconds", lambda: self.waited)
        log = EventLog(logging.getLogger("reactorhost"))
        mine = cast("Any", self)
        self.watchdog = Watchdog(
            cast("Reactor", mine),
            cast("Alarm", mine),
            limit_seconds,
            lambda: self.turns,
            self.locate,
            self.notes.append,
            log,
            quiet_seconds,
        )
        self.watchdog.start()

    # The reactor.

    def call_later(self, seconds: float, callback: Callable[[], object]) -> None:
        assert seconds == self.limit_seconds / 2
        self._postpone = callback

    def call_when_woken(self, callback: Callable[[bool], object]) -> None:
        self._on_wake = callback

    # The alarm.

    def watch(self, on_alarm: OnAlarm) -> None:
        self._on_alarm = on_alarm

    def set(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        return True

    def stop(self) -> None:
        self._on_alarm = None

    def locate(self, frame: object) -> StackPosition:
        return HERE

    def alarm_after(self, seconds: float) -> None:
        self.now += seconds
        assert self._on_alarm is not None
        self._on_alarm(sys._getframe())

    def turn_after(self, seconds: float) -> None:
        self.now += seconds
        self.turns += 1
        postpone, self._postpone = self._postpone, None
        assert postpone is not None
        postpone()

    def wake_after(self, seconds: float) -> None:
        self.now += seconds
        self.turns += 1
        on_wake, self._on_wake = self._on_wake, None
        assert on_wake is not None
        on_wake(True)

    def is_idle(self) -> bool:
        return self._postpone is None

    def events(self) -> list[str]:
        return [record.message.partition(" ")[0] for record in self._caplog.records]


def test_a_loop_that_turns_postpones_the_alarm(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(monkeypatch, caplog)
    for _ in range(5):
        watched.turn_after(0.5)
    assert watched.pauses == [0.75] * 6
    assert watched.events() == []


def test_the_first_alarm_past_the_limit_logs_the_code_that_blocks_the_loop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(monkeypatch, caplog)
    watched.turns += 1
    watched.alarm_after(0.75)
    for _ in range(3):
        watched.alarm_after(0.25)
    assert watched.events() == []
    watched.alarm_after(0.25)
    assert watched.events() == ["slow_hook"]
    watched.turn_after(0.1)
    assert watched.events() == ["slow_hook", "slow_hook_ended"]
    assert [ContextFormatter({}).fields_of(record)["peer"] for record in caplog.records] == ["10.0.0.7:4711"] * 2
    assert set(watched.notes[:-1]) == {Stall("made", "receive", "made.py:3", 1000.75, "10.0.0.7:4711")}
    assert watched.notes[-1] is None


def test_the_end_of_the_loop_ends_the_stall_of_its_last_turn(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(monkeypatch, caplog)
    watched.turns += 1
    watched.alarm_after(1.8)
    watched.now += 0.2
    watched.watchdog.stop()
    assert watched.notes == [Stall("made", "receive", "made.py:3", 1000.75, "10.0.0.7:4711"), None]
    assert watched.events() == ["slow_hook", "slow_hook_ended"]


def test_a_late_alarm_logs_the_code_that_delayed_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(monkeypatch, caplog)
    watched.turns += 1
    watched.alarm_after(1.8)
    assert watched.events() == ["slow_hook"]


def test_repeated_alarms_become_less_frequent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(monkeypatch, caplog)
    for _ in range(100):
        watched.alarm_after(watched.pauses[-1])
    assert watched.pauses[1:16] == [0.25] * 15
    assert watched.pauses[17:20] == [0.5, 1.0, 2.0]
    assert watched.pauses[-1] == 3600.0
    watched.turn_after(1.0)
    assert watched.pauses[-1] == 0.75


def test_time_without_a_processor_is_not_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(monkeypatch, caplog)
    watched.turns += 1
    watched.waited += 2.0
    watched.alarm_after(2.75)
    assert watched.events() == []
    watched.alarm_after(1.0)
    assert watched.events() == ["slow_hook"]


def test_what_is_reported_is_how_long_a_client_waits_also_for_a_processor(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(monkeypatch, caplog)
    watched.turns += 1
    watched.alarm_after(0.75)
    watched.waited += 9.0
    watched.alarm_after(10.0)
    watched.waited += 14.0
    watched.turn_after(15.0)
    seconds = [ContextFormatter({}).fields_of(record)["seconds"] for record in caplog.records]
    assert seconds == [10.0, 25.0]
    (noted, _) = watched.notes
    assert noted is not None
    assert noted.since == 1000.75


def test_an_idle_loop_has_no_timer_until_it_is_woken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(monkeypatch, caplog, limit_seconds=0.125)
    for _ in range(3):
        watched.turns += 100
        watched.turn_after(0.0625)
        assert not watched.is_idle()
    watched.turn_after(0.0625)
    assert watched.is_idle()
    assert watched.pauses[-1] > 1.0
    # What wakes it is watched from its beginning.
    watched.wake_after(0.75)
    assert not watched.is_idle()
    assert watched.pauses[-1] == 0.09375
    for _ in range(2):
        watched.alarm_after(0.125)
    assert watched.events() == ["slow_hook"]


def test_a_loop_with_async_hooks_is_watched_for_a_while_after_the_last_turn(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(monkeypatch, caplog, limit_seconds=0.125, quiet_seconds=1.0)
    watched.turns += 100
    watched.turn_after(0.0625)
    for _ in range(15):
        watched.turn_after(0.0625)
        assert not watched.is_idle()
    watched.turn_after(0.0625)
    assert watched.is_idle()
