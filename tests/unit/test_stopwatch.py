"""The stopwatch times some turns, each plugin's own time, and costs nothing in the others."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from reactorhost.worker import stopwatch
from reactorhost.worker.stopwatch import Stopwatch


class PaperReactor:
    """Remembers what was asked for."""

    def __init__(self) -> None:
        self.soon: deque[Callable[[], object]] = deque()
        self.later: list[tuple[float, Callable[..., object], tuple[Any, ...]]] = []

    def call_soon(self, callback: Callable[[], object]) -> None:
        self.soon.append(callback)

    def call_later(self, seconds: float, callback: Callable[..., object], *args: Any) -> None:
        self.later.append((seconds, callback, args))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A clock that a test moves: its one element, in nanoseconds."""
    now = [1000]
    monkeypatch.setattr(stopwatch, "perf_counter_ns", lambda: now[0])
    return now


def made(wanted: list[bool], *plugins: str) -> tuple[Stopwatch, PaperReactor]:
    reactor = PaperReactor()
    watch = Stopwatch(reactor, wanted.append)  # type: ignore[arg-type]  # what it needs of one
    watch.start(plugins)
    return watch, reactor


def test_a_turn_is_timed_then_none_until_a_rest_is_over() -> None:
    wanted: list[bool] = []
    watch, reactor = made(wanted, "echo")
    call = watch.around("echo", "receive", lambda: None)
    call()
    call()
    assert wanted == [True]
    assert len(reactor.soon) == 1, "one end for all calls of the turn"
    reactor.soon.popleft()()
    assert wanted == [True, False]
    ((seconds, callback, args),) = reactor.later
    assert seconds == pytest.approx(0.02)
    callback(*args)
    assert wanted == [True, False, True]
    assert watch.turns == 1


def test_nothing_is_asked_of_the_reactor_while_nothing_comes() -> None:
    _, reactor = made([], "echo")
    assert not reactor.soon
    assert not reactor.later


def test_time_inside_another_plugin_is_that_plugins(clock: list[int]) -> None:
    watch, _ = made([], "outer", "inner")

    def spend(nanoseconds: int) -> None:
        clock[0] += nanoseconds

    inner = watch.around("inner", "receive", lambda: spend(300_000))

    def wrapping() -> None:
        spend(50_000)
        inner()
        inner()
        spend(25_000)

    watch.around("outer", "receive", wrapping)()
    whole, outer, nested = watch.timings()
    assert (outer.calls, outer.nanoseconds) == (1, 75_000)
    assert (nested.calls, nested.nanoseconds) == (2, 600_000)
    assert whole.calls == 0


def test_the_whole_receive_is_timed_with_everything_in_it(clock: list[int]) -> None:
    watch, _ = made([], "echo")

    def spend() -> str:
        clock[0] += 40_000
        return "consumed"

    assert watch.around_receive(spend)() == "consumed"
    whole = watch.timings()[0]
    assert whole.calls == sum(whole.receive) == 1


@pytest.mark.parametrize("hook", ["connect", "close", "receive"])
def test_only_receive_counts_as_a_call_and_every_hook_takes_time(clock: list[int], hook: str) -> None:
    watch, _ = made([], "echo")
    ticks = itertools.repeat(10_000)

    def spend() -> None:
        clock[0] += next(ticks)

    watch.around("echo", hook, spend)()
    echo = watch.timings()[1]
    assert echo.nanoseconds == 10_000
    assert echo.calls == (1 if hook == "receive" else 0)


def test_an_exception_is_passed_on_and_its_time_taken(clock: list[int]) -> None:
    watch, _ = made([], "echo")

    def spoil() -> None:
        clock[0] += 7000
        raise ValueError("spoiled")

    with pytest.raises(ValueError, match="spoiled"):
        watch.around("echo", "receive", spoil)()
    watch.failed("echo")
    watch.failed("a stranger")
    echo = watch.timings()[1]
    assert (echo.nanoseconds, echo.errors, echo.calls) == (7000, 1, 1)
    watch.around("echo", "receive", lambda: None)()
    assert echo.calls == 2, "the stack of running calls is clean"
