"""Hook timing: which calls are timed, and each plugin's own time."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from reactorhost.worker.hooks import hook_timing
from reactorhost.worker.hooks.hook_timing import HookTiming


class FakeReactor:
    """Records what was scheduled."""

    def __init__(self) -> None:
        self.later: list[tuple[float, Callable[[], object]]] = []
        self.waited: list[float] = []

    def call_later(self, seconds: float, callback: Callable[[], object]) -> object:
        self.later.append((seconds, callback))
        return callback

    def go_on(self) -> None:
        """Let the scheduled time pass."""
        seconds, callback = self.later.pop()
        self.waited.append(seconds)
        callback()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A clock that a test moves: its one element, in nanoseconds."""
    now = [1000]
    monkeypatch.setattr(hook_timing, "perf_counter_ns", lambda: now[0])
    return now


def made(wanted: list[bool], *plugins: str) -> tuple[HookTiming, FakeReactor]:
    reactor = FakeReactor()
    watch = HookTiming(reactor, wanted.append)  # type: ignore[arg-type]  # what it needs of one
    watch.start(plugins)
    return watch, reactor


def test_with_little_load_every_call_is_timed() -> None:
    wanted: list[bool] = []
    watch, reactor = made(wanted, "echo")
    call = watch.around("echo", "receive", lambda: None)
    for _ in range(5):
        call()
    watch.adjust(2000.0)
    assert wanted == [True]
    assert not reactor.later
    assert watch.calls == 5


def test_with_much_load_the_clock_opens_and_closes_windows() -> None:
    wanted: list[bool] = []
    watch, reactor = made(wanted, "echo")
    watch.adjust(20_000.0)
    assert wanted == [True, False]
    reactor.go_on()
    assert wanted == [True, False, True]
    reactor.go_on()
    assert wanted == [True, False, True, False]
    assert reactor.waited == [pytest.approx(0.009), pytest.approx(0.001)], (
        "a tenth of the time for a tenth of the calls"
    )
    watch.adjust(4000.0)
    assert len(reactor.later) == 1, "one clock, however often it is adjusted"


def test_after_the_load_every_call_is_timed_again() -> None:
    wanted: list[bool] = []
    watch, reactor = made(wanted, "echo")
    watch.adjust(20_000.0)
    watch.adjust(10.0)
    reactor.go_on()
    assert wanted[-1] is True
    assert not reactor.later
    watch.adjust(20_000.0)
    assert wanted[-1] is False


def test_time_in_another_plugin_inside_counts_for_that_plugin(clock: list[int]) -> None:
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


def test_the_whole_receive_chain_is_timed(clock: list[int]) -> None:
    watch, _ = made([], "echo")

    def spend() -> str:
        clock[0] += 40_000
        return "consumed"

    assert watch.around_receive(spend)() == "consumed"
    whole = watch.timings()[0]
    assert whole.calls == sum(whole.receive) == 1
    assert whole.receive_nanoseconds == 40_000


@pytest.mark.parametrize("hook", ["connect", "close", "receive"])
def test_every_hook_counts_as_time_and_only_receive_as_a_call(clock: list[int], hook: str) -> None:
    watch, _ = made([], "echo")
    ticks = itertools.repeat(10_000)

    def spend() -> None:
        clock[0] += next(ticks)

    watch.around("echo", hook, spend)()
    echo = watch.timings()[1]
    assert echo.nanoseconds == 10_000
    assert (echo.calls, echo.receive_nanoseconds) == ((1, 10_000) if hook == "receive" else (0, 0))


def test_a_call_that_raises_is_timed_and_the_exception_is_passed_on(clock: list[int]) -> None:
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
