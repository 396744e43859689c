"""What a watchdog says of looks at a loop: what holds it, while it does, and not too often."""

from __future__ import annotations

import itertools
import logging
import sys
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given, settings, strategies

from reactorhost.logs import EventLog
from reactorhost.plugins.attribution import Standing
from reactorhost.reactor import Reactor
from reactorhost.worker.monitor.alarm import Alarm, Rang
from reactorhost.worker.monitor.watchdog import StallDetector, Watchdog

HERE = Standing("made", "receive", "made.py:3")
THERE = Standing("other", None, "other.py:9")
STEP = 1 / 16


class Looks:
    """Looks at a loop twice within the limit of 1/8 s, and what was said."""

    def __init__(self) -> None:
        self.said: list[tuple[object, ...]] = []
        self.told: list[float] = []
        self.progress = 0
        self.now = 1024.0
        self.detector = StallDetector(STEP * 2, self)

    def holds(self, standing: Standing, seconds: float, suppressed: int) -> None:
        self.said.append((standing.plugin, seconds, suppressed))
        self.told.append(self.now)

    def held(self, standing: Standing, seconds: float) -> None:
        self.said.append((standing.plugin, seconds))

    def idle(self, seconds: float = 10.0) -> None:
        self.stand(None, seconds)

    def stand(self, standing: Standing | None, seconds: float) -> None:
        """Let the loop turn once, then stand so long, and look meanwhile."""
        self.progress += 1
        for _ in range(round(seconds / STEP) + 1):
            self.detector.look(self.progress, self.now, lambda: standing)
            self.now += STEP


def test_a_loop_that_waits_for_clients_is_nothing_to_tell_of() -> None:
    looks = Looks()
    looks.idle()
    assert looks.said == []


def test_what_holds_the_loop_is_told_once_while_it_does_and_once_when_it_ended() -> None:
    looks = Looks()
    looks.stand(HERE, 0.5)
    assert looks.said == [("made", 0.125, 0)]
    looks.idle()
    assert looks.said == [("made", 0.125, 0), ("made", 0.5625)]


def test_what_begins_after_a_long_wait_is_told() -> None:
    looks = Looks()
    looks.idle()
    looks.progress -= 1  # the very turn that waited
    looks.stand(HERE, 0.25)
    assert [said[0] for said in looks.said] == ["made"]


def test_a_look_that_finds_the_loop_at_rest_begins_anew() -> None:
    looks = Looks()
    looks.stand(HERE, 0.25)
    looks.detector.rest(looks.now)
    assert looks.said == [("made", 0.125, 0), ("made", 0.3125)]
    looks.progress -= 1
    looks.stand(HERE, STEP)
    assert len(looks.said) == 2


def test_what_returns_in_time_is_not_told() -> None:
    looks = Looks()
    for _ in range(20):
        looks.stand(HERE, STEP)
    assert looks.said == []


def test_at_most_a_line_a_second_and_what_still_holds_then_is_told_later() -> None:
    looks = Looks()
    looks.stand(HERE, 0.25)
    looks.stand(THERE, 5.0)
    assert looks.said == [("made", 0.125, 0), ("made", 0.3125), ("other", 0.8125, 0)]


def test_one_place_is_told_once_a_minute_with_how_often_it_was_not() -> None:
    looks = Looks()
    for _ in range(4):
        looks.stand(HERE, 0.25)
        looks.idle()
    assert looks.said == [("made", 0.125, 0), ("made", 0.3125)]
    looks.idle(60.0)
    looks.stand(HERE, 0.25)
    assert looks.said[2:] == [("made", 0.125, 3)]


def test_one_that_never_returns_is_told_though_its_place_was_told_before() -> None:
    looks = Looks()
    looks.stand(HERE, 0.25)
    looks.stand(HERE, 90.0)
    assert [said[0] for said in looks.said] == ["made"] * 3
    assert looks.said[2][2] == 0


def test_places_do_not_pile_up() -> None:
    looks = Looks()
    for number in range(500):
        looks.stand(Standing("made", None, f"made.py:{number}"), 0.25)
    assert len(looks.detector._places) == 200


@settings(max_examples=30)
@given(strategies.lists(strategies.tuples(strategies.integers(0, 5), strategies.sampled_from([0.0, 0.25, 2.0]))))
def test_no_second_has_two_lines(plan: list[tuple[int, float]]) -> None:
    looks = Looks()
    for number, seconds in plan:
        looks.stand(Standing("made", None, f"made.py:{number}"), seconds)
    assert all(later - earlier >= 1.0 for earlier, later in itertools.pairwise(looks.told))


class Watched:
    """A loop of paper with a watchdog whose limit is 1 s, an alarm of paper, and what was logged."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        self.now = 1000.0
        self.turns = 0
        self.pauses: list[float] = []
        self._rang: Rang | None = None
        self._put_off: Callable[[], object] | None = None
        self._caplog = caplog
        monkeypatch.setattr("reactorhost.worker.monitor.watchdog.time.monotonic", lambda: self.now)
        log = EventLog(logging.getLogger("reactorhost"))
        mine = cast("Any", self)
        self.watchdog = Watchdog(cast("Reactor", mine), cast("Alarm", mine), 1.0, lambda: self.turns, self.locate, log)
        self.watchdog.start()

    # The reactor.

    def call_later(self, seconds: float, callback: Callable[[], object]) -> None:
        assert seconds == 0.5
        self._put_off = callback

    # The alarm.

    def watch(self, rang: Rang) -> None:
        self._rang = rang

    def ring_in(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        return True

    def locate(self, frame: object) -> Standing:
        return HERE

    def rings_after(self, seconds: float) -> None:
        self.now += seconds
        assert self._rang is not None
        self._rang(sys._getframe())

    def turns_after(self, seconds: float) -> None:
        self.now += seconds
        self.turns += 1
        assert self._put_off is not None
        self._put_off()

    def said(self) -> list[str]:
        return [record.message.partition(" ")[0] for record in self._caplog.records]


def test_a_loop_that_comes_round_puts_the_alarm_off(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(monkeypatch, caplog)
    for _ in range(5):
        watched.turns_after(0.5)
    assert watched.pauses == [0.75] * 6
    assert watched.said() == []


def test_what_holds_the_loop_is_named_by_the_ring_that_finds_it_there_for_longer_than_the_limit(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(monkeypatch, caplog)
    watched.turns += 1
    watched.rings_after(0.75)
    for _ in range(3):
        watched.rings_after(0.25)
    assert watched.said() == []
    watched.rings_after(0.25)
    assert watched.said() == ["slow_hook"]
    watched.turns_after(0.1)
    assert watched.said() == ["slow_hook", "slow_hook_ended"]


def test_a_ring_that_comes_late_names_what_kept_it_from_coming(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(monkeypatch, caplog)
    watched.turns += 1
    watched.rings_after(1.8)
    assert watched.said() == ["slow_hook"]


def test_an_alarm_that_goes_on_rings_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watched = Watched(monkeypatch, caplog)
    for _ in range(100):
        watched.rings_after(watched.pauses[-1])
    assert watched.pauses[1:16] == [0.25] * 15
    assert watched.pauses[17:20] == [0.5, 1.0, 2.0]
    assert watched.pauses[-1] == 3600.0
    watched.turns_after(1.0)
    assert watched.pauses[-1] == 0.75
