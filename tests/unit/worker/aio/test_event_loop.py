"""The asyncio bridge on real loops: in which context the reactor turns."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from contextvars import ContextVar, copy_context

import pytest

from event_loops import LOOPS
from reactorhost.reactor import Reactor, new_poller
from reactorhost.worker.aio.event_loop import AsyncioBridge, new_loop

name: ContextVar[str] = ContextVar("name", default="-")


@pytest.mark.parametrize("kind", LOOPS)
@pytest.mark.parametrize("schedule", [Reactor.call_soon, lambda reactor, call: reactor.call_later(0.001, call)])
def test_the_reactor_turns_outside_of_the_context_of_the_hook_that_schedules(
    kind: str, schedule: Callable[[Reactor, Callable[[], object]], object]
) -> None:
    reactor = Reactor(new_poller("epoll"))
    loop = new_loop(kind)
    seen: list[str] = []
    called = asyncio.Event()

    def call() -> None:
        seen.append(name.get())
        called.set()

    async def hook() -> None:
        name.set("client")
        schedule(reactor, call)
        await called.wait()

    variables = copy_context()
    with contextlib.closing(loop), contextlib.closing(reactor):
        AsyncioBridge(reactor, loop).complete(hook(), variables)
    assert seen == ["-"]
    assert variables[name] == "client"


@pytest.mark.parametrize("kind", LOOPS)
def test_the_time_of_the_turns_of_the_reactor_is_measured(kind: str) -> None:
    reactor = Reactor(new_poller("epoll"))
    loop = new_loop(kind)
    called = asyncio.Event()

    def work() -> None:
        until = time.monotonic() + 0.002
        while time.monotonic() < until:
            pass
        called.set()

    async def hook() -> None:
        reactor.call_soon(work)
        await called.wait()

    with contextlib.closing(loop), contextlib.closing(reactor):
        AsyncioBridge(reactor, loop).complete(hook(), copy_context())
    assert reactor.busy_seconds >= reactor.longest_turn >= 0.002


@pytest.mark.parametrize("kind", LOOPS)
def test_a_coroutine_completes_although_the_loop_was_stopped(kind: str) -> None:
    reactor = Reactor(new_poller("epoll"))
    loop = new_loop(kind)

    done: list[str] = []

    async def stop_the_loop() -> None:
        for _ in range(3):
            loop.stop()
            loop.stop()
            await asyncio.sleep(0)
        done.append("done")

    with contextlib.closing(loop), contextlib.closing(reactor):
        bridge = AsyncioBridge(reactor, loop)
        bridge.complete(stop_the_loop(), copy_context())
        loop.stop()
        assert bridge.close(1.0) == []
    assert done == ["done"]


@pytest.mark.parametrize(("name", "before"), [(None, ""), ("poller", "poller at ")])
def test_a_task_that_does_not_end_is_described_by_its_place(name: str | None, before: str) -> None:
    reactor = Reactor(new_poller("epoll"))
    loop = new_loop("asyncio")

    async def ignore() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    async def wait() -> None:
        await ignore()

    with contextlib.closing(loop), contextlib.closing(reactor):
        bridge = AsyncioBridge(reactor, loop)
        task = loop.create_task(wait(), name=name)
        bridge.complete(asyncio.sleep(0), copy_context())
        assert bridge.close(0.0) == [f"{before}{__file__}:{wait.__code__.co_firstlineno + 1}"]
        task.cancel()
        loop.run_until_complete(asyncio.wait([task]))


@pytest.mark.parametrize("kind", LOOPS)
def test_the_reactor_turns_once_for_each_timer(kind: str) -> None:
    reactor = Reactor(new_poller("epoll"))
    loop = new_loop(kind)
    left = 20

    def call() -> None:
        nonlocal left
        left -= 1
        if left:
            reactor.call_later(0.0103, call)
        else:
            reactor.stop()

    reactor.call_later(0.0103, call)
    with contextlib.closing(loop), contextlib.closing(reactor):
        AsyncioBridge(reactor, loop).run()
    # The first turn, and one that finds nothing because a clock is read in between.
    assert reactor.turns <= 2 * 20 + 1
