"""Functions that threads and signal handlers pass to the loop: each is called once, in order, with its own plugin."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from reactorhost import Worker, hookimpl
from reactorhost.plugins.attribution import attribution_of
from reactorhost.plugins.loading import load_object
from reactorhost.plugins.registry import Registry
from reactorhost.testing import PluginBench
from reactorhost.worker import hook_watchdog
from reactorhost.worker.hooks.soon_calls import SoonCalls

Bench = Callable[..., PluginBench]
variable: ContextVar[str] = ContextVar("variable", default="unset")


class Idle:
    @hookimpl
    def receive(self, data: bytes) -> None:
        """Discard what comes."""


class AsyncIdle:
    @hookimpl
    async def receive(self, data: bytes) -> None:
        """Discard what comes."""


def in_a_thread(function: Callable[[], object]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def failures_of(calls: list[tuple[str, str, str]]) -> Callable[..., None]:
    def failed(plugin: str, hook: str, connection: object, error: Exception) -> None:
        calls.append((plugin, hook, str(error)))

    return failed


@pytest.mark.parametrize("plugin", [Idle, AsyncIdle])
def test_a_thread_has_functions_called_in_the_loop_in_its_order(plugin_bench: Bench, plugin: type) -> None:
    bench, calls = plugin_bench(plugin), list[tuple[int, threading.Thread]]()

    def work() -> None:
        for number in range(250):
            bench.worker.call_soon_threadsafe(lambda number=number: calls.append((number, threading.current_thread())))

    in_a_thread(work)
    assert calls == []
    bench.settle()
    assert calls == [(number, threading.main_thread()) for number in range(250)]


def test_what_a_function_in_a_thread_passes_on_is_called_before_its_result(plugin_bench: Bench) -> None:
    calls: list[str] = []

    class Progress:
        @hookimpl
        def worker_start(self, worker: Worker) -> None:
            self.worker = worker

        def work(self) -> str:
            for step in ("one", "two"):
                self.worker.call_soon_threadsafe(calls.append, step)
            return "done"

        @hookimpl
        def receive(self, data: bytes) -> None:
            self.worker.run_in_thread(self.work, on_result=calls.append)

    plugin_bench(Progress).connect().send(b"x")
    assert calls == ["one", "two", "done"]


def test_calls_are_made_between_turns_of_the_loop() -> None:
    woken: list[str] = []
    calls: list[int] = []
    soon = SoonCalls(failures_of([]), lambda: woken.append("wake"))
    for number in range(150):
        soon.add("made", calls.append, (number,))
    woken.clear()
    assert soon.run()
    assert (len(calls), woken) == (100, ["wake"])
    assert soon.run()
    assert (calls, woken) == (list(range(150)), ["wake"])
    assert not soon.run()


def test_a_function_that_adds_itself_is_called_once_in_a_turn() -> None:
    calls: list[int] = []
    soon = SoonCalls(failures_of([]), lambda: None)

    def again() -> None:
        calls.append(1)
        soon.add("made", again, ())

    again()
    soon.run()
    assert len(calls) == 2


@pytest.mark.parametrize("error", [ValueError("spoiled"), SystemExit("spoiled")])
def test_an_exception_is_reported_under_the_plugin_and_ends_nothing(error: BaseException) -> None:
    failures: list[tuple[str, str, str]] = []
    calls: list[str] = []
    soon = SoonCalls(failures_of(failures), lambda: None)

    def fail() -> None:
        raise error

    soon.add("first", fail, ())
    soon.add("second", calls.append, ("called",))
    soon.run()
    assert [(plugin, hook) for plugin, hook, _ in failures] == [("first", "call_soon_threadsafe")]
    assert "spoiled" in failures[0][2]
    assert calls == ["called"]


def test_a_function_runs_in_a_copy_of_the_context_in_which_it_was_passed(plugin_bench: Bench) -> None:
    bench, seen = plugin_bench(Idle), list[str]()

    def look() -> None:
        seen.append(variable.get())
        variable.set("changed by the function")

    def work() -> None:
        variable.set("of the thread")
        bench.worker.call_soon_threadsafe(look)
        bench.worker.call_soon_threadsafe(look)

    in_a_thread(work)
    bench.settle()
    assert seen == ["of the thread", "of the thread"]
    assert variable.get() == "unset"


def test_an_async_function_runs_as_a_task_until_the_worker_stops(plugin_bench: Bench) -> None:
    seen: list[str] = []

    class Stops(AsyncIdle):
        @hookimpl
        async def worker_stop(self) -> None:
            await asyncio.sleep(0)
            seen.append("worker_stop")

    bench = plugin_bench(Stops)

    async def sleep() -> None:
        await asyncio.sleep(1)
        seen.append("slept")
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            seen.append("cancelled")

    in_a_thread(lambda: bench.worker.call_soon_threadsafe(sleep))
    bench.advance(0.9)
    assert seen == []
    bench.advance(0.2)
    assert seen == ["slept"]
    bench.stop()
    assert seen == ["slept", "cancelled", "worker_stop"]


def test_an_async_function_fails_in_a_plain_worker(plugin_bench: Bench) -> None:
    bench = plugin_bench(Idle)

    async def never() -> None:
        """Be closed without a warning."""

    bench.worker.call_soon_threadsafe(never)
    with pytest.raises(TypeError, match="an async function requires a worker with async hooks"):
        bench.settle()


def test_what_is_not_callable_is_refused_in_the_thread(plugin_bench: Bench) -> None:
    bench = plugin_bench(Idle)
    given: Any = "print"
    with pytest.raises(TypeError, match="call_soon_threadsafe needs a function to call, not 'print'"):
        bench.worker.call_soon_threadsafe(given)


def test_a_signal_handler_may_interrupt_the_call_of_the_same_thread() -> None:
    calls: list[str] = []
    soon = SoonCalls(failures_of([]), lambda: signal.raise_signal(signal.SIGUSR1) if not calls else None)

    def handle(number: int, frame: object) -> None:
        calls.append("handled")
        soon.add("made", calls.append, ("of the handler",))

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        soon.add("made", calls.append, ("interrupted",))
    finally:
        signal.signal(signal.SIGUSR1, before)
    soon.run()
    assert calls == ["handled", "interrupted", "of the handler"]


def test_a_thread_ends_the_wait_of_an_async_hook_of_the_worker(plugin_bench: Bench) -> None:
    class Waits:
        @hookimpl
        async def worker_start(self, worker: Worker) -> None:
            done = asyncio.Event()
            thread = threading.Thread(target=lambda: worker.call_soon_threadsafe(done.set))
            thread.start()
            await done.wait()
            thread.join()

    plugin_bench(Waits)


def test_nothing_is_called_after_the_end_of_the_worker(plugin_bench: Bench) -> None:
    bench, calls = plugin_bench(AsyncIdle), list[str]()
    bench.worker.call_soon_threadsafe(calls.append, "before")
    bench.stop()
    in_a_thread(lambda: bench.worker.call_soon_threadsafe(calls.append, "after"))
    assert calls == ["before"]


def test_the_end_waits_for_the_calls_that_wait() -> None:
    calls: list[int | str] = []
    soon = SoonCalls(failures_of([]), lambda: None)
    soon.when_idle(lambda: calls.append("idle"))
    assert calls == ["idle"]
    for number in range(150):
        soon.add("made", calls.append, (number,))
    soon.when_idle(lambda: calls.append("idle again"))
    soon.run()
    assert len(calls) == 101
    soon.run()
    assert calls == ["idle", *range(150), "idle again"]


def test_a_forked_child_makes_no_call_that_its_parent_is_to_make() -> None:
    calls: list[str] = []
    woken: list[str] = []
    soon = SoonCalls(failures_of([]), lambda: woken.append("wake"))
    soon.add("made", soon.stop, ())
    soon.add("made", calls.append, ("of the parent",))
    woken.clear()
    soon.run()
    soon.add("made", calls.append, ("of the child",))
    soon.run()
    assert (calls, woken) == ([], [])


def test_the_log_names_a_call_that_holds_the_loop(plugin_bench: Bench) -> None:
    loaded = load_object(Idle(), "made")
    found: list[Any] = []
    bench = plugin_bench(Idle)
    attribution = attribution_of(Registry([loaded]))
    bench.worker.call_soon_threadsafe(lambda: found.append(attribution.locate(sys._getframe(), hook_watchdog.CALLERS)))
    bench.settle()
    assert found[0].hook == "call_soon_threadsafe"
