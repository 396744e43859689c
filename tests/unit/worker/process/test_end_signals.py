"""The handlers that end a worker, beside those of plugins."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from reactorhost.worker.process.end_signals import EndSignals

NUMBER = signal.SIGUSR1


class Handled:
    """The handler of a worker, and what was called."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        signal.signal(NUMBER, self.own)
        self.end_signals = EndSignals([NUMBER], lambda number, raised: self.calls.append(repr(raised)))

    def own(self, *args: object) -> None:
        self.calls.append("own")

    def of_plugin(self, *args: object) -> None:
        self.calls.append("plugin")

    def raised(self) -> list[str]:
        signal.raise_signal(NUMBER)
        return self.calls


@pytest.fixture
def handled() -> Iterator[Handled]:
    before = signal.getsignal(NUMBER)
    yield Handled()
    signal.signal(NUMBER, before)


def test_the_handler_of_a_plugin_is_called_after_the_own(handled: Handled) -> None:
    signal.signal(NUMBER, handled.of_plugin)
    handled.end_signals.keep()
    assert handled.raised() == ["own", "plugin"]


@pytest.mark.parametrize("kept", [False, True])
def test_a_signal_whose_handler_was_just_replaced_is_handled_too(handled: Handled, kept: bool) -> None:
    signal.signal(NUMBER, handled.of_plugin)
    assert handled.raised() == ["plugin"]
    if kept:
        # As after `worker_start`, before the loop turns.
        handled.end_signals.keep()
    # The loop finds the byte of the wake-up descriptor.
    handled.end_signals.arrived(NUMBER)
    handled.end_signals.arrived(NUMBER)
    assert handled.calls == ["plugin", "own"]


def test_a_signal_that_was_handled_is_not_handled_again_for_its_byte(handled: Handled) -> None:
    handled.end_signals.arrived(NUMBER)
    signal.signal(NUMBER, handled.of_plugin)
    handled.end_signals.keep()
    assert handled.raised() == ["own", "plugin"]
    handled.end_signals.arrived(NUMBER)
    assert handled.calls == ["own", "plugin"]


@pytest.mark.parametrize("default", [signal.SIG_DFL, signal.SIG_IGN])
def test_a_default_or_ignored_signal_is_handled_again(handled: Handled, default: signal.Handlers) -> None:
    signal.signal(NUMBER, handled.of_plugin)
    handled.end_signals.keep()
    signal.signal(NUMBER, default)
    handled.end_signals.keep()
    assert handled.raised() == ["own"]


def test_a_handler_of_a_plugin_that_calls_the_one_before_it_does_not_recur(handled: Handled) -> None:
    before = signal.getsignal(NUMBER)

    def chained(number: int, frame: FrameType | None) -> None:
        handled.of_plugin()
        assert callable(before)
        before(number, frame)

    signal.signal(NUMBER, chained)
    handled.end_signals.keep()
    assert handled.raised() == ["own", "plugin"]


def test_a_signal_that_interrupts_the_handler_of_a_plugin_for_another_one_is_handled(handled: Handled) -> None:
    before = signal.signal(signal.SIGUSR2, lambda *_: handled.calls.append("other"))
    try:
        end_signals = EndSignals([NUMBER, signal.SIGUSR2], lambda number, raised: None)
        signal.signal(NUMBER, lambda *_: signal.raise_signal(signal.SIGUSR2))
        end_signals.keep()
        assert handled.raised() == ["own", "other"]
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_a_handler_of_a_plugin_that_exits_does_not_end_the_worker(handled: Handled) -> None:
    def leave(*args: object) -> None:
        raise SystemExit(0)

    signal.signal(NUMBER, leave)
    handled.end_signals.keep()
    assert handled.raised() == ["own", "SystemExit(0)"]


def test_a_forked_child_keeps_the_handler_of_a_plugin(handled: Handled) -> None:
    signal.signal(NUMBER, handled.of_plugin)
    handled.end_signals.keep()
    handled.end_signals.release_in_child()
    assert handled.raised() == ["plugin"]


def test_a_forked_child_has_the_default_action_without_a_plugin(handled: Handled) -> None:
    handled.end_signals.release_in_child()
    assert signal.getsignal(NUMBER) is signal.SIG_DFL
