"""Operations that several coroutines may await: each gets the outcome, and the last one cancelled cancels it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from reactorhost.api.awaitable import AwaitableTask, TaskState


class Operation(AwaitableTask[str]):
    """An operation that a test ends."""

    def __init__(self) -> None:
        super().__init__()
        self.stopped = 0
        self.abandoned_in: list[TaskState] = []

    def _on_cancel(self) -> None:
        self.stopped += 1

    def _on_abandoned(self) -> None:
        self.abandoned_in.append(self.state)
        super()._on_abandoned()


async def waiting(operation: Operation) -> str:
    return await operation


async def begun(operation: Operation, count: int) -> list[asyncio.Task[str]]:
    """Return tasks that await an operation already."""
    tasks = [asyncio.create_task(waiting(operation)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


def run(test: Callable[[Operation], Coroutine[Any, Any, None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(20):
            await test(Operation())

    asyncio.run(within())


async def outcome(awaitable: Awaitable[str]) -> object:
    try:
        return await awaitable
    except ValueError as error:
        return error
    except asyncio.CancelledError:
        return "cancelled"


def test_every_coroutine_gets_the_result_before_and_after_the_end() -> None:
    async def test(operation: Operation) -> None:
        early = await begun(operation, 2)
        operation.set_result("done")
        assert [await outcome(task) for task in early] == ["done", "done"]
        assert await operation == "done"
        operation.cancel()
        assert (operation.state, operation.stopped) == (TaskState.DONE, 0)

    run(test)


def test_every_coroutine_gets_the_exception_before_and_after_the_end() -> None:
    async def test(operation: Operation) -> None:
        early = await begun(operation, 2)
        error = ValueError("broken")
        assert operation.set_exception(error)
        assert [await outcome(task) for task in early] == [error, error]
        assert await outcome(operation) is error
        assert operation.state is TaskState.FAILED

    run(test)


def test_set_exception_returns_whether_a_coroutine_gets_it() -> None:
    async def test(operation: Operation) -> None:
        (task,) = await begun(operation, 1)
        other = asyncio.create_task(waiting(operation))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert operation.set_exception(ValueError())
        assert isinstance(await outcome(other), ValueError)
        unwatched = Operation()
        assert not unwatched.set_exception(ValueError())

    run(test)


def test_cancel_stops_the_operation_once_and_cancels_every_coroutine() -> None:
    async def test(operation: Operation) -> None:
        early = await begun(operation, 2)
        operation.cancel()
        operation.cancel()
        assert [await outcome(task) for task in early] == ["cancelled", "cancelled"]
        assert await outcome(operation) == "cancelled"
        assert (operation.state, operation.stopped) == (TaskState.CANCELLED, 1)

    run(test)


def test_a_committed_operation_is_not_cancelled_and_its_result_follows() -> None:
    async def test(operation: Operation) -> None:
        early = await begun(operation, 1)
        operation.commit()
        operation.cancel()
        late = await begun(operation, 1)
        operation.set_result("done")
        assert [await outcome(task) for task in early + late] == ["done", "done"]
        assert operation.stopped == 0

    run(test)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_cancelling_coroutines_cancels_the_operation_with_the_last_one(order: tuple[int, ...]) -> None:
    async def test(operation: Operation) -> None:
        tasks = await begun(operation, 3)
        for number, index in enumerate(order, 1):
            assert operation.state is TaskState.PENDING
            tasks[index].cancel()
            await asyncio.wait([tasks[index]])
            assert operation.stopped == (number == 3)
        assert operation.state is TaskState.CANCELLED

    run(test)


@pytest.mark.parametrize("first", [0, 1])
def test_a_result_is_abandoned_only_when_no_coroutine_has_got_it(first: int) -> None:
    async def test(operation: Operation) -> None:
        tasks = await begun(operation, 2)
        operation.set_result("done")
        # The future has its result; the coroutine is cancelled before its next step.
        tasks[first].cancel()
        assert await outcome(tasks[1 - first]) == "done"
        assert await outcome(tasks[first]) == "cancelled"
        assert operation.abandoned_in == []
        alone = Operation()
        (task,) = await begun(alone, 1)
        alone.set_result("done")
        task.cancel()
        assert await outcome(task) == "cancelled"
        assert alone.abandoned_in == [TaskState.DONE]

    run(test)


def test_a_coroutine_that_is_closed_while_it_awaits_cancels_nothing() -> None:
    async def test(operation: Operation) -> None:
        coroutine = waiting(operation)
        coroutine.send(None)
        coroutine.close()
        assert operation.stopped == 0
        (task,) = await begun(operation, 1)
        task.cancel()
        await asyncio.wait([task])
        assert operation.stopped == 1

    run(test)
