"""Hook timing: which calls are timed, and each plugin's own time."""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import pytest

from reactorhost.ipc.service_pages import ServiceTimings
from reactorhost.plugins.host_task import _frames
from reactorhost.worker.hooks import hook_timing
from reactorhost.worker.hooks.hook_timing import HookTiming, ServiceTiming


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


# Async hooks.


@types.coroutine
def pause() -> Generator[None, object, object]:
    return (yield)


def run(coroutine: Coroutine[Any, Any, object], clock: list[int], wait: int) -> object:
    """Run a coroutine, with this time between its steps; each step is sent the number of the steps before it."""
    for number in itertools.count(1):
        try:
            coroutine.send(None if number == 1 else number - 1)
        except StopIteration as stop:
            return stop.value
        clock[0] += wait
    return None


def test_what_an_async_hook_awaits_is_not_its_work(clock: list[int]) -> None:
    watch, _ = made([], "echo")

    async def receive(started: int) -> object:
        clock[0] += 100
        number = await pause()
        clock[0] += 30
        await pause()
        clock[0] += 20
        return (started, number)

    assert run(watch.around("echo", "receive", receive)(7), clock, 1000) == (7, 1)
    echo = watch.timings()[1]
    assert (echo.nanoseconds, echo.waiting_nanoseconds) == (150, 2000)
    assert (echo.calls, echo.receive_nanoseconds, watch.calls) == (1, 2150, 1)


def test_the_wait_of_a_wrapped_hook_is_not_that_of_its_wrapper(clock: list[int]) -> None:
    watch, _ = made([], "outer", "inner")

    async def receive() -> None:
        clock[0] += 40
        await pause()
        clock[0] += 2

    inner = watch.around("inner", "receive", receive)

    async def wrapping() -> None:
        clock[0] += 5
        await inner()
        await pause()
        clock[0] += 6

    run(watch.around("outer", "receive", wrapping)(), clock, 1000)
    _, outer, nested = watch.timings()
    assert (outer.nanoseconds, outer.waiting_nanoseconds) == (11, 1000)
    assert (nested.nanoseconds, nested.waiting_nanoseconds) == (42, 1000)


def test_hooks_that_await_at_the_same_time_have_their_own_steps(clock: list[int]) -> None:
    watch, _ = made([], "one", "two")

    async def receive(nanoseconds: int) -> None:
        for _ in range(2):
            clock[0] += nanoseconds
            await pause()

    first, second = (watch.around(name, "receive", receive)(spent) for name, spent in (("one", 10), ("two", 300)))
    for coroutine in (first, second, first, second):
        coroutine.send(None)
    for coroutine in (first, second):
        with pytest.raises(StopIteration):
            coroutine.send(None)
    _, one, two = watch.timings()
    assert (one.nanoseconds, one.waiting_nanoseconds) == (20, 600)
    assert (two.nanoseconds, two.waiting_nanoseconds) == (600, 10)


def test_an_async_hook_receives_what_is_raised_where_it_awaits(clock: list[int]) -> None:
    watch, _ = made([], "echo")
    seen: list[BaseException] = []

    async def receive() -> None:
        try:
            await pause()
        except KeyError as error:
            seen.append(error)
            clock[0] += 9
        await pause()

    call = watch.around("echo", "receive", receive)()
    call.send(None)
    call.throw(KeyError("cancelled"))
    with pytest.raises(ValueError, match="last"):
        call.throw(ValueError("last"))
    echo = watch.timings()[1]
    assert (len(seen), echo.nanoseconds, echo.calls) == (1, 9, 1)
    # Of one that never began, or is closed where it waits.
    for steps in (0, 1):
        call = watch.around("echo", "receive", receive)()
        for _ in range(steps):
            call.send(None)
        call.close()
    assert watch.timings()[1].calls == 2


def test_the_place_where_a_timed_hook_waits_is_found(clock: list[int]) -> None:
    watch, _ = made([], "echo")

    async def receive() -> None:
        await pause()

    call = watch.around("echo", "receive", receive)()
    call.send(None)
    assert [frame.f_code.co_name for frame, _ in _frames(call)][-2:] == ["receive", "pause"]
    call.close()


def test_a_service_has_the_work_of_its_plugins_and_the_duration_of_its_chain(clock: list[int]) -> None:
    watch, _ = made([], "log", "echo")
    first, second = ServiceTimings(), ServiceTimings()
    timing = ServiceTiming(watch, ["log", "echo"], first)
    other = ServiceTiming(watch, ["echo"], second)

    async def receive() -> None:
        clock[0] += 50
        await pause()

    def plain() -> None:
        clock[0] += 8

    timing.around("log", "receive", plain)()
    run(timing.around_receive(timing.around("echo", "receive", receive))(), clock, 1000)
    other.around_receive(other.around("echo", "receive", plain))()
    assert (first.work[:3], first.calls, first.receive_nanoseconds) == ([8, 50, 0], 1, 1050)
    assert (second.work[:2], second.calls, second.receive_nanoseconds) == ([8, 0], 1, 8)
    whole, _, echo = watch.timings()
    assert (whole.calls, whole.receive_nanoseconds, echo.nanoseconds) == (2, 1058, 58)
