"""Holds keep a draining worker from leaving, are reported while they alone do, and end at the deadline."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import Mock, call

import pytest

from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller
from reactorhost.worker.hooks.holds import Holds, PluginHold
from reactorhost.worker.hooks.loop_thread import LoopThread


class Held:
    """The holds of one worker, with what they report, log and call."""

    def __init__(self) -> None:
        self.clock = FakeClock(100.0)
        self.reactor = Reactor(FakePoller(self.clock), self.clock)
        self.reports: list[list[dict[str, str]]] = []
        self.log: Any = Mock()
        self.holds = Holds(
            self.reactor, lambda report: self.reports.append(report["holds"]), self.log, LoopThread().check
        )
        self.released = 0
        self.holds.on_released = self._released

    def _released(self) -> None:
        self.released += 1

    def hold(self, reason: str = "saving") -> PluginHold:
        return self.holds.hold("store", reason, None)

    def advance(self, seconds: float) -> None:
        self.clock.now += seconds
        self.reactor.turn(0)


@pytest.fixture
def held() -> Held:
    return Held()


def test_a_hold_keeps_the_worker_until_it_is_released(held: Held) -> None:
    first, second = held.hold(), held.hold()
    held.holds.drain()
    assert held.holds.keep()
    first.release()
    first.release()
    held.advance(0)
    assert (first.active, second.active, held.released) == (False, True, 0)
    assert held.holds.keep()
    second.release()
    assert held.released == 0, "not within the hook that releases it"
    held.advance(0)
    assert held.released == 1
    assert not held.holds.keep()


def test_a_hold_is_not_released_in_another_thread(held: Held) -> None:
    hold = held.hold()
    with ThreadPoolExecutor(1) as threads, pytest.raises(RuntimeError, match="works only in the event loop"):
        threads.submit(hold.release).result()
    assert hold.active


def test_a_worker_that_serves_is_not_concerned(held: Held) -> None:
    with held.hold() as hold:
        assert hold.active
    held.advance(10.0)
    assert (hold.active, held.released, held.reports) == (False, 0, [])


def test_holds_are_reported_while_nothing_else_keeps_the_worker(held: Held) -> None:
    hold = held.hold("a snapshot is written")
    held.holds.drain()
    held.advance(1.0)
    assert held.reports == [], "it may have connections for an hour"
    held.holds.keep()
    held.advance(1.0)
    assert held.reports == [[{"plugin": "store", "reason": "a snapshot is written"}]]
    held.hold("the disk is full")
    hold.release()
    held.advance(1.0)
    assert held.reports[1:] == [[{"plugin": "store", "reason": "the disk is full"}]]


@pytest.mark.parametrize("released", [True, False], ids=["all released", "abandoned"])
def test_the_end_is_reported_before_the_worker_goes_on(held: Held, released: bool) -> None:
    hold = held.hold("a snapshot is written")
    held.holds.drain()
    held.holds.keep()
    held.advance(1.0)
    if released:
        hold.release()
    held.holds.end()
    assert held.reports[-1] == ([] if released else [{"plugin": "store", "reason": "a snapshot is written"}])
    held.advance(10.0)
    assert len(held.reports) == (2 if released else 1)


def test_a_hold_that_is_released_after_the_deadline_was_not_in_vain(held: Held) -> None:
    first, second = held.hold("first"), held.hold("second")
    held.holds.end()
    assert held.reports == [[{"plugin": "store", "reason": "first"}, {"plugin": "store", "reason": "second"}]]
    first.release()
    held.advance(10.0)
    assert (second.active, held.released, len(held.reports)) == (False, 0, 1), "the worker leaves anyway"
    held.holds.report()
    assert held.reports[1:] == [[{"plugin": "store", "reason": "second"}]]


def test_what_lasts_for_a_moment_is_not_reported(held: Held) -> None:
    hold = held.hold()
    held.holds.drain()
    held.holds.keep()
    held.advance(0.1)
    hold.release()
    for _ in range(10):
        held.hold().release()
    held.advance(10.0)
    assert held.reports == []
    assert held.log.mock_calls == []


def test_what_lasts_is_logged_and_at_the_deadline_abandoned(held: Held) -> None:
    hold = held.hold()
    held.holds.drain()
    held.holds.keep()
    held.advance(4.9)
    assert held.log.mock_calls == []
    held.advance(0.2)
    assert held.log.mock_calls == [call.warning("worker_held", plugin="store", reason="saving", seconds=5.0)]
    held.holds.end()
    held.holds.end()
    held.advance(10.0)
    assert held.log.mock_calls[1:] == [call.warning("hold_abandoned", plugin="store", reason="saving")]
    assert not hold.active
    assert not held.hold().active, "made too late"
    assert not held.holds.keep()


def test_a_plugin_is_notified_once_of_the_drain_or_at_once_while_the_worker_drains(held: Held) -> None:
    calls: list[str] = []
    held.holds.hold("store", "before", lambda: calls.append("before"))
    held.holds.hold("store", "gone", lambda: calls.append("gone")).release()
    held.holds.drain()
    held.holds.drain()
    held.holds.hold("store", "after", lambda: calls.append("after"))
    held.holds.end()
    held.holds.hold("store", "late", lambda: calls.append("late"))
    assert calls == ["before", "after"]


def test_a_reason_is_a_short_text_of_one_line(held: Held) -> None:
    held.hold("two\nlines \x1b" + "x" * 1000)
    (reason,) = [each["reason"] for each in held.holds.reasons]
    assert reason.startswith("two\\nlines \\u001b")
    assert len(reason) == 200
    with pytest.raises(TypeError, match="takes a text as reason, not int"):
        held.holds.hold("store", 1, None)  # type: ignore[arg-type]
