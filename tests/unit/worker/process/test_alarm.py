"""The alarm: its two uses, and TERM in the middle of each function."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from reactorhost.worker.process.alarm import Alarm

MASTER = 4242
MODULE = "reactorhost.worker.process.alarm"


class FakeSignals:
    """The signal functions of a process, with a clock; TERM comes right before the call number `term_at`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.parent = MASTER
        self.timer: float | None = None
        self.handlers: dict[int, Any] = {signal.SIGALRM: signal.SIG_DFL}
        self.term_at = 0
        monkeypatch.setattr(f"{MODULE}.signal.signal", self.signal)
        monkeypatch.setattr(f"{MODULE}.signal.getsignal", self.handlers.get)
        monkeypatch.setattr(f"{MODULE}.signal.setitimer", self.setitimer)
        monkeypatch.setattr(f"{MODULE}.signal.raise_signal", lambda number: self.handlers[number](number, None))
        monkeypatch.setattr(f"{MODULE}.time.monotonic", lambda: self.now)
        monkeypatch.setattr(f"{MODULE}.os.getppid", lambda: self.parent)

    def signal(self, number: int, handler: Any) -> None:
        self._interrupted()
        self.handlers[number] = handler

    def setitimer(self, which: int, seconds: float) -> None:
        self._interrupted()
        self.timer = seconds or None

    def _interrupted(self) -> None:
        self.term_at -= 1
        if self.term_at == 0:
            self.term()

    def term(self) -> None:
        self.handlers[signal.SIGTERM](signal.SIGTERM, None)

    def quit(self) -> None:
        self.handlers[signal.SIGQUIT](signal.SIGQUIT, None)

    @property
    def ends_process(self) -> bool:
        return self.handlers[signal.SIGALRM] is signal.SIG_DFL and self.timer is not None


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> FakeSignals:
    return FakeSignals(monkeypatch)


def watching(frames: list[FrameType]) -> Alarm:
    alarm = Alarm()
    alarm.end_when_stuck(33.0, MASTER)
    alarm.watch(frames.append)
    return alarm


def test_the_alarm_passes_the_interrupted_frame(signals: FakeSignals) -> None:
    frames: list[FrameType] = []
    alarm = watching(frames)
    assert alarm.set(0.5)
    assert signals.timer == 0.5
    here = sys._getframe()
    signals.handlers[signal.SIGALRM](signal.SIGALRM, here)
    assert frames == [here]


def test_term_reserves_the_alarm_for_the_end(signals: FakeSignals) -> None:
    alarm = watching([])
    alarm.set(0.5)
    signals.term()
    assert signals.ends_process
    assert signals.timer == 33.0
    signals.now += 3.0
    assert not alarm.set(0.5)
    assert signals.timer == 30.0
    alarm.stop()
    assert signals.timer == 30.0


def test_a_worker_without_a_master_ends_soon(signals: FakeSignals) -> None:
    watching([])
    signals.parent = 1
    signals.term()
    assert signals.timer == 1.5


def test_quit_is_that_of_an_operator_or_once_the_end_of_the_master(signals: FakeSignals) -> None:
    calls: list[str] = []
    signals.handlers[signal.SIGQUIT] = lambda number, frame: calls.append("quit")
    signals.handlers[signal.SIGTERM] = lambda number, frame: calls.append("term")
    watching([])
    signals.quit()
    assert signals.timer is None
    signals.parent = 1
    signals.quit()
    assert signals.ends_process
    signals.quit()
    assert calls == ["quit", "term", "quit"]


ACTS: dict[str, Callable[[Alarm], object]] = {
    "set": lambda alarm: alarm.set(0.5),
    "stop": Alarm.stop,
    "watch": lambda alarm: alarm.watch(print),
}


@pytest.mark.parametrize("term_at", [1, 2, 3])
@pytest.mark.parametrize("act", ACTS)
def test_term_in_the_middle_of_a_function_still_ends_the_process(signals: FakeSignals, act: str, term_at: int) -> None:
    alarm = watching([])
    alarm.set(0.5)
    signals.term_at = term_at
    ACTS[act](alarm)
    if signals.term_at > 0:
        signals.term()
    assert signals.ends_process
    assert signals.timer == 33.0


def test_the_handler_of_a_plugin_is_left_alone(signals: FakeSignals) -> None:
    alarm = watching([])
    signals.handlers[signal.SIGALRM] = print
    assert not alarm.set(0.5)
    alarm.stop()
    assert signals.timer is None
    assert signals.handlers[signal.SIGALRM] is print


def test_stop_clears_the_timer_and_the_handler(signals: FakeSignals) -> None:
    alarm = watching([])
    alarm.set(0.5)
    alarm.stop()
    assert signals.timer is None
    assert signals.handlers[signal.SIGALRM] is signal.SIG_DFL
