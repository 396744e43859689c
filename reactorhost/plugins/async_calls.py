"""The calls of `onion` and `guard` for hooks of which some are coroutine functions: the same order, the same results.

Each returns a coroutine function, which calls plain hooks as they are and awaits the others.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from reactorhost.plugins import wrappers
from reactorhost.plugins.guard import OnError, as_error, guarded_ends

Call = Callable[..., Any]
Awaited = Callable[..., Awaitable[Any]]


def first_result(calls: Sequence[Call]) -> Awaited:
    """Return a callable that makes the calls in turn, until one returns something."""
    awaited = [_awaited(call) for call in calls]
    if len(awaited) == 1:
        return awaited[0]

    async def first(*arguments: Any) -> Any:
        for call in awaited:
            result = await call(*arguments)
            if result is not None:
                return result
        return None

    return first


def every_result(calls: Sequence[Call]) -> Awaited:
    """Return a callable that makes all the calls and returns what they returned, without the Nones."""
    awaited = [_awaited(call) for call in calls]

    async def every(*arguments: Any) -> list[Any]:
        return [result for call in awaited if (result := await call(*arguments)) is not None]

    return every


def wrapped(wrapper: Call, inner: Call) -> Awaited:
    """Return a callable that calls `inner` with the wrapper around it."""
    awaited = _awaited(inner)

    async def call(*arguments: Any) -> Any:
        generator = wrappers.start(wrapper, *arguments)
        try:
            result = await awaited(*arguments)
        except BaseException as error:  # noqa: BLE001 - the wrapper has it, and decides
            return wrappers.finish_with_error(generator, error)
        return wrappers.finish(generator, result)

    return call


def guarded(plugin: str, hook: str, function: Call, on_error: OnError) -> Awaited:
    """Return a callable that hands what `function` raises to `on_error`, with its first argument, and returns None."""
    awaited = _awaited(function)

    async def call(subject: Any, *rest: Any) -> Any:
        try:
            return await awaited(subject, *rest)
        except BaseException as raised:  # noqa: BLE001 - as in the guard of plain hooks
            if not was_cancelled_by_others(raised):
                on_error(plugin, hook, subject, as_error(raised))
            return None

    return call


def guarded_wrapper(plugin: str, hook: str, wrapper: Call, inner: Call, on_error: OnError) -> Awaited:
    """Return a callable that calls `inner` with the wrapper around it; what the wrapper raises goes to `on_error`."""
    awaited = _awaited(inner)
    start, finish = guarded_ends(plugin, hook, wrapper, on_error)

    async def call(subject: Any, *rest: Any) -> Any:
        generator = start(subject, *rest)
        result = await awaited(subject, *rest)
        if generator is None:
            return result
        outcome = finish(subject, generator, result)
        return result if outcome is None else outcome[0]

    return call


def was_cancelled_by_others(raised: BaseException) -> bool:
    """Tell whether this is the end of a task that somebody cancelled, and not of one that awaited what was."""
    task = asyncio.current_task()
    return isinstance(raised, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _awaited(call: Call) -> Awaited:
    if inspect.iscoroutinefunction(call):
        return call

    async def plain(*arguments: Any) -> Any:
        return call(*arguments)

    return plain
