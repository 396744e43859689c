"""Calls of a worker's hooks while its loop runs: at the end of the turn, in order, one after another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from reactorhost.plugins.chain import LoopHook
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller
from reactorhost.worker.hooks.worker_calls import WorkerCalls

VARIABLE = ContextVar("VARIABLE", default="none")


def worker_of(plugin: str) -> str:
    return f"worker of {plugin}"


class World:
    """A reactor, and calls whose hooks note what happens; turns are made within a loop of asyncio."""

    def __init__(self, **hooks: Callable[..., Any]) -> None:
        clock = FakeClock()
        self.reactor = Reactor(FakePoller(clock), clock)
        self.seen: list[Any] = []
        self.loop = asyncio.new_event_loop()
        found = {name: LoopHook(hook, asyncio.iscoroutinefunction(hook)) for name, hook in hooks.items()}
        self.calls = WorkerCalls(self.reactor, found, worker_of, copy_context())

    def turn(self, times: int = 1) -> None:
        """Make turns of the reactor, and let the tasks run after each."""

        async def turns() -> None:
            for _ in range(times):
                self.reactor.turn(0)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                await asyncio.sleep(0)

        self.loop.run_until_complete(turns())


@pytest.fixture
def world() -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def start(**hooks: Callable[..., Any]) -> World:
        worlds.append(World(**hooks))
        return worlds[-1]

    yield start
    for each in worlds:
        for task in asyncio.all_tasks(each.loop):
            task.cancel()
        each.turn()
        each.loop.close()


Start = Callable[..., World]


def test_hooks_are_called_at_the_end_of_the_turn_in_order_and_then_what_follows_them(world: Start) -> None:
    it: World = world(
        joined=lambda workers, group: it.seen.append((workers("made"), group)),
        left=lambda workers, group: it.seen.append(group),
    )
    it.calls.call("joined", "a", then=lambda: it.seen.append("then"))
    it.calls.call("left", "b")
    assert it.seen == []
    it.turn()
    assert it.seen == [("worker of made", "a"), "then", "b"]
    assert [it.calls.has(name) for name in ("joined", "gap")] == [True, False]


@pytest.mark.parametrize("then", [True, False])
def test_a_hook_that_no_plugin_has_is_skipped_but_not_what_follows_it(world: Start, then: bool) -> None:
    it = world()
    it.calls.call("gap", then=(lambda: it.seen.append("then")) if then else None)
    it.turn()
    assert it.seen == (["then"] if then else [])


def test_a_hook_that_causes_its_own_call_lets_the_loop_turn_between(world: Start) -> None:
    def joined(workers: object) -> None:
        it.seen.append(it.reactor.turns)
        it.calls.call("joined")

    it: World = world(joined=joined)
    it.calls.call("joined")
    it.turn(3)
    # A limited number in each, so that clients are served between.
    assert it.seen == [1] * 100 + [2] * 100 + [3] * 100


def test_the_calls_of_an_iterator_are_requested_when_they_can_be_made(world: Start) -> None:
    async def joined(workers: object, group: str) -> None:
        it.seen.append(f"{group} begins")
        await asyncio.sleep(0)
        it.seen.append(f"{group} ends")

    def changes() -> Iterator[tuple[str, tuple[str, ...]]]:
        for name in ("joined", "unknown", "left", "joined"):
            it.seen.append(f"{name} is requested")
            yield name, ("x",)

    it: World = world(joined=joined, left=lambda workers, group: it.seen.append("left"))
    it.calls.call_each(changes())
    it.calls.call("left", "x", then=lambda: it.seen.append("then"))
    assert it.seen == []
    it.turn(4)
    assert it.seen == [
        *("joined is requested", "x begins", "x ends", "unknown is requested", "left is requested", "left"),
        *("joined is requested", "x begins", "x ends", "left", "then"),
    ]


def test_an_async_hook_ends_before_the_next_call(world: Start) -> None:
    released = asyncio.Event()

    async def joined(workers: object) -> None:
        it.seen.append("begins")
        await released.wait()
        it.seen.append("ends")

    it: World = world(joined=joined, left=lambda workers: it.seen.append("left"))
    it.calls.call("joined", then=lambda: it.seen.append("then"))
    it.calls.call("left")
    it.turn(3)
    it.calls.call("left")
    it.turn(3)
    assert it.seen == ["begins"]
    released.set()
    it.turn(3)
    assert it.seen == ["begins", "ends", "then", "left", "left"]


@pytest.mark.parametrize("is_async", [True, False])
def test_hooks_run_in_the_context_of_the_worker(world: Start, is_async: bool) -> None:
    def plain(workers: object) -> None:
        it.seen.append(VARIABLE.get())

    async def awaits(workers: object) -> None:
        plain(workers)

    VARIABLE.set("the worker's")
    it: World = world(gap=awaits if is_async else plain)
    VARIABLE.set("none")
    it.calls.call("gap")
    it.turn(2)
    assert it.seen == ["the worker's"]


async def hangs(seen: list[Any], name: str) -> None:
    seen.append(f"{name} begins")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        seen.append(f"{name} is cancelled")
        raise


def hanging(seen: Callable[[], list[Any]], name: str) -> Callable[[object], Coroutine[Any, Any, None]]:
    async def hook(workers: object) -> None:
        await hangs(seen(), name)

    return hook


def test_hurry_cancels_what_runs_and_what_waits_but_not_what_is_called_later(world: Start) -> None:
    it: World = world(
        leader_start=hanging(lambda: it.seen, "start"),
        leader_stop=hanging(lambda: it.seen, "stop"),
    )
    it.calls.call("leader_start")
    it.calls.call("leader_start", then=lambda: it.seen.append("then"))
    it.turn(2)
    it.calls.hurry()
    it.calls.call("leader_stop")
    it.turn(8)
    assert it.seen == [
        *("start begins", "start is cancelled"),
        *("start begins", "start is cancelled", "then"),
        "stop begins",
    ]


def test_hurry_before_anything_began_lets_each_hook_begin(world: Start) -> None:
    it: World = world(leader_start=hanging(lambda: it.seen, "start"))
    it.calls.hurry()
    it.calls.call("leader_start")
    it.calls.hurry()
    it.turn(4)
    assert it.seen == ["start begins", "start is cancelled"]
