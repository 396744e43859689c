"""Combine hooks of which some are coroutine functions: `plain_calls` with the same order and results.

Every function returns a coroutine function, which calls plain hooks directly and awaits the others.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from reactorhost.plugins import wrappers
from reactorhost.plugins.guard import OnError, as_error, guarded_halves
from reactorhost.plugins.wrappers import Call

AsyncCall = Callable[..., Awaitable[Any]]


def first_result(calls: Sequence[Call]) -> AsyncCall:
    """Return a callable that makes the calls in turn until one returns a result."""
    async_calls = [_as_async(call) for call in calls]
    if len(async_calls) == 1:
        return async_calls[0]

    async def first(*arguments: Any) -> Any:
        for call in async_calls:
            result = await call(*arguments)
            if result is not None:
                return result
        return None

    return first


def every_result(calls: Sequence[Call]) -> AsyncCall:
    """Return a callable that makes all calls and returns a list of their results that are not None."""
    async_calls = [_as_async(call) for call in calls]

    async def every(*arguments: Any) -> list[Any]:
        return [result for call in async_calls if (result := await call(*arguments)) is not None]

    return every


def wrapped(wrapper: Call, inner: Call) -> AsyncCall:
    """Return a callable that calls `inner` inside the wrapper."""
    async_inner = _as_async(inner)

    async def call(*arguments: Any) -> Any:
        generator = wrappers.start(wrapper, *arguments)
        try:
            result = await async_inner(*arguments)
        except BaseException as error:  # noqa: BLE001 - raised in the wrapper, which decides
            return wrappers.finish_with_error(generator, error)
        return wrappers.finish(generator, result)

    return call


def guarded(plugin: str, hook: str, function: Call, on_error: OnError) -> AsyncCall:
    """Return a callable that calls `function`; an exception goes to `on_error`, and the result is then None."""
    async_function = _as_async(function)

    async def call(subject: Any, *rest: Any) -> Any:
        try:
            return await async_function(subject, *rest)
        except BaseException as raised:  # noqa: BLE001 - as in the guard of plain hooks
            # The host cancels the task of a hook when its connection closes: not an error of the plugin.
            if not was_cancelled_by_others(raised):
                on_error(plugin, hook, subject, as_error(raised))
            return None

    return call


def guarded_wrapper(plugin: str, hook: str, wrapper: Call, inner: Call, on_error: OnError) -> AsyncCall:
    """Return a callable that calls `inner` inside the wrapper, and passes what the wrapper raises to `on_error`."""
    async_inner = _as_async(inner)
    start, finish = guarded_halves(plugin, hook, wrapper, on_error)

    async def call(subject: Any, *rest: Any) -> Any:
        generator = start(subject, *rest)
        result = await async_inner(subject, *rest)
        if generator is None:
            return result
        replaced = finish(subject, generator, result)
        return result if replaced is None else replaced[0]

    return call


def was_cancelled_by_others(raised: BaseException) -> bool:
    """Return whether the current task itself was cancelled, and did not just await something that was."""
    task = asyncio.current_task()
    return isinstance(raised, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _as_async(call: Call) -> AsyncCall:
    if inspect.iscoroutinefunction(call):
        return call

    async def plain(*arguments: Any) -> Any:
        return call(*arguments)

    return plain
