"""Functions that run in threads: each outcome is delivered once, in the loop, to a callback or to an await."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NoReturn

import pytest
from hypothesis import given, settings, strategies

from reactorhost import ThreadQueueFullError, ThreadTask
from reactorhost.worker.hooks.thread_pool import ThreadPool, name_of

DEADLINE_SECONDS = 20.0


class Loop:
    """A loop that turns when a test calls `turn`, with the thread pool of a worker."""

    def __init__(self, threads: int = 1, queue: int = 100) -> None:
        self.failures: list[tuple[str, str, Exception]] = []
        self.woken = threading.Event()
        self.threads = ThreadPool(threads, queue, self.failed, self.woken.set)

    def failed(self, plugin: str, hook: str, connection: object, error: Exception) -> None:
        assert threading.current_thread() is threading.main_thread()
        self.failures.append((plugin, hook, error))

    def run(
        self,
        function: Callable[..., Any],
        *args: object,
        on_result: Callable[[Any], object] | None = None,
        on_error: Callable[[Exception], object] | None = None,
    ) -> ThreadTask[Any]:
        return self.threads.run("made", function, args, on_result, on_error)

    def turn(self) -> None:
        """Turn until every call is delivered."""
        while self.threads.busy:
            assert self.woken.wait(DEADLINE_SECONDS), "no thread has woken the loop"
            self.woken.clear()
            self.threads.deliver()

    def fill(self) -> threading.Event:
        """Occupy one thread until the returned event is set."""
        began, release = threading.Event(), threading.Event()

        def hold() -> None:
            began.set()
            assert release.wait(DEADLINE_SECONDS)

        self.run(hold)
        assert began.wait(DEADLINE_SECONDS)
        return release


@pytest.fixture
def made() -> Iterator[list[Loop]]:
    """Return a list of loops whose threads are joined after the test."""
    loops: list[Loop] = []
    yield loops
    for loop in loops:
        loop.threads.join()


@pytest.fixture
def loop(made: list[Loop]) -> Loop:
    made.append(Loop())
    return made[0]


def fail(error: BaseException) -> NoReturn:
    raise error


def test_a_function_runs_in_a_thread_and_its_result_is_delivered_in_the_loop(loop: Loop) -> None:
    seen: list[object] = []

    def record(thread: threading.Thread) -> None:
        seen.extend((thread, threading.current_thread()))

    loop.run(threading.current_thread, on_result=record)
    assert seen == []
    loop.turn()
    assert seen[0] is not seen[1] is threading.main_thread()
    assert loop.failures == []


def test_no_thread_is_started_before_the_first_call(made: list[Loop]) -> None:
    before = threading.active_count()
    made.append(loop := Loop(threads=3))
    assert threading.active_count() == before
    loop.run(int)
    assert threading.active_count() == before + 1
    loop.turn()


def test_an_exception_goes_to_on_error_and_nowhere_else(loop: Loop) -> None:
    error = ValueError("no such user")
    seen: list[object] = []
    loop.run(fail, error, on_result=seen.append, on_error=seen.append)
    loop.turn()
    assert seen == [error]
    assert loop.failures == []


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (ValueError("spoiled"), "spoiled"),
        (SystemExit(3), r"the plugin called sys.exit\(3\)"),
        (KeyboardInterrupt(), "the plugin raised KeyboardInterrupt"),
    ],
)
def test_an_unhandled_exception_is_reported(loop: Loop, raised: BaseException, words: str) -> None:
    loop.run(fail, raised)
    loop.turn()
    ((plugin, hook, error),) = loop.failures
    assert (plugin, hook) == ("made", "thread")
    with pytest.raises(Exception, match=words):
        raise error


@pytest.mark.parametrize("name", ["on_result", "on_error"])
def test_an_exception_of_a_callback_is_reported_and_the_next_callback_is_called(loop: Loop, name: str) -> None:
    seen: list[object] = []

    def spoil(outcome: object) -> NoReturn:
        raise SystemExit

    if name == "on_result":
        loop.run(int, on_result=spoil)
    else:
        loop.run(fail, ValueError(), on_error=spoil)
    loop.run(int, on_result=seen.append)
    loop.turn()
    assert [(plugin, hook) for plugin, hook, _ in loop.failures] == [("made", name)]
    assert seen == [0]


def test_a_call_beyond_the_queue_limit_raises_and_the_others_are_kept(made: list[Loop]) -> None:
    made.append(loop := Loop(threads=1, queue=2))
    release = loop.fill()
    seen: list[int] = []
    waiting = [loop.run(int, number, on_result=seen.append) for number in (1, 2)]
    with pytest.raises(
        ThreadQueueFullError, match="2 functions already wait for one of 1 threads, the limit of thread_queue"
    ):
        loop.run(int, 3, on_result=seen.append)
    waiting[0].cancel()
    loop.run(int, 4, on_result=seen.append)
    release.set()
    loop.turn()
    assert seen == [2, 4]


def test_cancelled_calls_do_not_accumulate_behind_a_thread_that_hangs(made: list[Loop]) -> None:
    made.append(loop := Loop(threads=1, queue=1))
    release = loop.fill()
    for _ in range(1000):
        loop.run(int).cancel()
    assert loop.threads.cancelled() == []
    assert len(loop.threads._waiting) == 0
    release.set()
    loop.turn()


def test_a_cancelled_call_is_not_made_and_the_result_of_one_that_runs_is_discarded(loop: Loop) -> None:
    ran: list[object] = []
    began, release = threading.Event(), threading.Event()

    def hold() -> NoReturn:
        began.set()
        assert release.wait(DEADLINE_SECONDS)
        raise ValueError

    running = loop.run(hold, on_result=ran.append, on_error=ran.append)
    waiting = loop.run(ran.append, "waiting")
    assert began.wait(DEADLINE_SECONDS)
    for task in (running, waiting, waiting):
        task.cancel()
    release.set()
    loop.turn()
    running.cancel()
    assert ran == []
    assert loop.failures == []


class Large:
    """An argument or a callback that can be weakly referenced."""

    def __call__(self, result: object = None) -> None: ...


def test_a_cancelled_call_holds_nothing_of_the_plugin_while_every_thread_hangs(loop: Loop) -> None:
    argument, callback = Large(), Large()
    kept = [weakref.ref(argument), weakref.ref(callback)]
    began, release = threading.Event(), threading.Event()

    def hang() -> None:
        began.set()
        assert release.wait(DEADLINE_SECONDS)

    running = loop.run(hang, on_result=callback)
    waiting = loop.run(int, argument, on_error=callback)
    assert began.wait(DEADLINE_SECONDS)
    running.cancel()
    waiting.cancel()
    del argument, callback
    assert [reference() for reference in kept] == [None, None]
    release.set()
    loop.turn()


def test_a_failed_call_holds_nothing_once_it_is_delivered(loop: Loop) -> None:
    argument = Large()
    kept = weakref.ref(argument)
    task = loop.run(int, argument, on_error=lambda error: None)
    loop.turn()
    loop.threads.join()
    assert repr(task) == "<ThreadTask int>"
    del argument, task
    # Without the help of the garbage collector: no cycle of call, exception and frame.
    assert kept() is None


def test_a_plugins_finalizer_may_cancel_a_task_while_the_queue_is_locked(loop: Loop) -> None:
    release = loop.fill()
    waiting = loop.run(int)
    with loop.threads._lock:
        waiting.cancel()
    release.set()
    loop.turn()
    assert loop.threads.cancelled() == []


async def fetch() -> None: ...


class Fetch:
    async def __call__(self) -> None: ...


@pytest.mark.parametrize("wrong", [fetch, Fetch(), "fetch"], ids=["coroutine", "callable", "text"])
@pytest.mark.parametrize("place", ["run_in_thread", "on_result", "on_error"])
def test_an_object_that_is_not_a_plain_function_raises_at_once(loop: Loop, wrong: Any, place: str) -> None:
    functions: dict[str, Any] = {"run_in_thread": int, place: wrong}
    with pytest.raises(TypeError, match=rf"^{place} takes a "):
        loop.run(functions.pop("run_in_thread"), **functions)
    assert not loop.threads.busy


def test_finish_cancels_what_waits_and_waits_for_what_runs(loop: Loop) -> None:
    seen: list[object] = []
    release = loop.fill()
    loop.run(seen.append, "never")
    loop.threads.finish(lambda: seen.append("idle"))
    assert (loop.threads.running(), loop.threads.cancelled()) == (["Loop.fill.<locals>.hold"], ["list.append"])
    assert seen == []
    release.set()
    loop.turn()
    assert seen == ["idle"]


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (fail, "fail"),
        ([].append, "list.append"),
        (partial(partial(fail, ValueError("x" * 10_000))), "fail"),
        (Loop(), "Loop"),
    ],
)
def test_a_task_has_the_name_of_its_function(loop: Loop, function: Any, name: str) -> None:
    task: ThreadTask[Any] = ThreadTask(loop.threads, "made", name_of(function), has_callbacks=False)
    assert (task.name, repr(task)) == (name, f"<ThreadTask {name}>")


def test_finish_of_an_idle_pool_calls_back_at_once(loop: Loop) -> None:
    seen: list[object] = []
    loop.threads.finish(lambda: seen.append("idle"))
    assert seen == ["idle"]
    assert loop.threads.cancelled() == []


def test_a_thread_that_cannot_be_started_raises_and_the_next_call_works(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda thread: fail(RuntimeError("can't start new thread")))
        with pytest.raises(RuntimeError, match="can't start"):
            loop.run(int)
    assert not loop.threads.busy
    seen: list[object] = []
    loop.run(int, 5, on_result=seen.append)
    loop.turn()
    assert seen == [5]


def test_calls_of_one_turn_are_run_by_one_thread_if_none_blocks(made: list[Loop]) -> None:
    made.append(loop := Loop(threads=3))
    threads: list[int] = []
    with loop.threads._lock:
        for _ in range(10):
            loop.run(threading.get_ident, on_result=threads.append)
    loop.threads.join()
    loop.turn()
    assert len(threads) == 10
    assert len(set(threads)) == 1


def test_a_call_that_blocks_does_not_hold_back_those_behind_it(made: list[Loop]) -> None:
    made.append(loop := Loop(threads=3))
    together = threading.Barrier(3)
    with loop.threads._lock:
        for _ in range(3):
            loop.run(together.wait, DEADLINE_SECONDS)
    loop.turn()
    assert loop.failures == []


def test_awaited_calls_that_block_run_at_once_while_no_reactor_turns() -> None:
    async def test(loop: AsyncLoop) -> None:
        loop.threads.max_threads = 2
        loop.threads.wake = lambda: None
        together = threading.Barrier(2)
        await asyncio.gather(loop.run(together.wait, DEADLINE_SECONDS), loop.run(together.wait, DEADLINE_SECONDS))

    in_asyncio(test)


def test_a_call_waits_for_a_thread_if_no_other_can_be_started(
    made: list[Loop], monkeypatch: pytest.MonkeyPatch
) -> None:
    made.append(loop := Loop(threads=2))
    release = loop.fill()
    seen: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda thread: fail(RuntimeError("can't start new thread")))
        loop.run(int, 5, on_result=seen.append)
    release.set()
    loop.turn()
    assert seen == [5]


def test_finish_lets_the_calls_run_for_which_there_are_threads(made: list[Loop]) -> None:
    made.append(loop := Loop(threads=2))
    seen: list[int] = []
    with loop.threads._lock:
        for number in range(3):
            loop.run(int, number, on_result=seen.append)
        loop.threads.finish(lambda: seen.append(-1))
    loop.turn()
    assert sorted(seen) == [-1, 0, 1]
    assert loop.threads.cancelled() == ["int"]


@settings(max_examples=30, deadline=None)
@given(strategies.lists(strategies.tuples(strategies.booleans(), strategies.booleans()), max_size=30))
def test_one_thread_delivers_every_call_that_is_not_cancelled_once_and_in_order(
    plan: list[tuple[bool, bool]],
) -> None:
    loop = Loop(threads=1, queue=1000)
    delivered: list[int] = []
    kept: list[int] = []
    release = loop.fill()
    for number, (fails, cancelled) in enumerate(plan):
        if fails:
            task = loop.run(fail, ValueError(number), on_error=lambda error: delivered.append(error.args[0]))
        else:
            task = loop.run(int, number, on_result=delivered.append)
        if cancelled:
            task.cancel()
        else:
            kept.append(number)
    release.set()
    loop.turn()
    loop.threads.join()
    assert delivered == kept


# Awaited.


class AsyncLoop(Loop):
    """The same in an asyncio loop, which delivers by itself."""

    def __init__(self) -> None:
        super().__init__()
        asyncio_loop = asyncio.get_running_loop()

        def wake() -> None:
            asyncio_loop.call_soon_threadsafe(self.threads.deliver)

        self.threads = ThreadPool(1, 100, self.failed, wake)


def in_asyncio(test: Callable[[AsyncLoop], Any]) -> None:
    async def run() -> None:
        loop = AsyncLoop()
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await test(loop)
        finally:
            loop.threads.join()

    asyncio.run(run())


def test_a_task_can_be_awaited_for_its_result_more_than_once() -> None:
    async def test(loop: AsyncLoop) -> None:
        task = loop.run(int, "7")
        assert [await task, await task] == [7, 7]
        assert await asyncio.gather(*(loop.run(int, number) for number in range(5))) == [0, 1, 2, 3, 4]

    in_asyncio(test)


def test_a_task_can_be_awaited_while_no_reactor_turns() -> None:
    async def test(loop: AsyncLoop) -> None:
        loop.threads.wake = lambda: None
        assert await loop.run(int, "7") == 7
        began = threading.Event()
        early = loop.run(began.set)
        assert began.wait(DEADLINE_SECONDS)
        loop.threads.join()
        await early

    in_asyncio(test)


def test_an_awaited_exception_is_raised_there_and_not_reported() -> None:
    async def test(loop: AsyncLoop) -> None:
        with pytest.raises(ValueError, match="spoiled"):
            await loop.run(fail, ValueError("spoiled"))
        with pytest.raises(RuntimeError, match="fail raised StopIteration"):
            await loop.run(fail, StopIteration())
        # Fails long before it is awaited.
        early = loop.run(fail, ValueError("early"))
        await loop.run(int)
        with pytest.raises(ValueError, match="early"):
            await early
        del early
        gc.collect()
        await loop.run(int)
        assert loop.failures == []

    in_asyncio(test)


def test_an_exception_that_is_never_awaited_is_reported_when_its_task_is_collected() -> None:
    async def test(loop: AsyncLoop) -> None:
        task = loop.run(fail, ValueError("lost"))
        await loop.run(int)
        assert loop.failures == []
        del task
        await loop.run(int)
        assert [(plugin, hook, str(error)) for plugin, hook, error in loop.failures] == [("made", "thread", "lost")]

    in_asyncio(test)


def test_a_waiting_call_is_withdrawn_when_its_awaiting_coroutine_is_cancelled() -> None:
    async def test(loop: AsyncLoop) -> None:
        release = loop.fill()
        ran: list[str] = []

        async def wait() -> None:
            await loop.run(ran.append, "ran")

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        release.set()
        await loop.run(int)
        assert ran == []

    in_asyncio(test)


def test_an_exception_is_reported_when_every_awaiting_coroutine_was_cancelled() -> None:
    async def test(loop: AsyncLoop) -> None:
        release = loop.fill()
        ran: list[object] = []
        held = [loop.run(fail, ValueError("lost"), on_result=ran.append)]

        async def wait() -> None:
            await held[0]

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        release.set()
        await loop.run(int)
        held.clear()
        del waiting
        await loop.run(int)
        assert [str(error) for _, _, error in loop.failures] == ["lost"]
        assert ran == []

    in_asyncio(test)


def test_awaiting_a_cancelled_task_raises_cancelled_error() -> None:
    async def test(loop: AsyncLoop) -> None:
        release = loop.fill()
        task = loop.run(int)
        awaiting = asyncio.ensure_future(task)
        await asyncio.sleep(0)
        task.cancel()
        release.set()
        for awaitable in (awaiting, task):
            with pytest.raises(asyncio.CancelledError):
                await awaitable

    in_asyncio(test)
