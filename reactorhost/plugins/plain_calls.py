"""Combine plain hooks into one callable; `async_calls` does the same when some hooks are coroutine functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reactorhost.plugins import wrappers
from reactorhost.plugins.guard import OnError, guarded, guarded_halves
from reactorhost.plugins.wrappers import Call

__all__ = ["every_result", "first_result", "guarded", "guarded_wrapper", "wrapped"]


def first_result(calls: Sequence[Call]) -> Call:
    """Return a callable that makes the calls in turn until one returns a result; a single call is returned itself."""
    if len(calls) == 1:
        return calls[0]

    def first(*arguments: Any) -> Any:
        for call in calls:
            result = call(*arguments)
            if result is not None:
                return result
        return None

    return first


def every_result(calls: Sequence[Call]) -> Call:
    """Return a callable that makes all calls and returns a list of their results that are not None."""

    def every(*arguments: Any) -> list[Any]:
        return [result for call in calls if (result := call(*arguments)) is not None]

    return every


def wrapped(wrapper: Call, inner: Call) -> Call:
    """Return a callable that calls `inner` inside the wrapper."""

    def call(*arguments: Any) -> Any:
        generator = wrappers.start(wrapper, *arguments)
        try:
            result = inner(*arguments)
        except BaseException as error:  # noqa: BLE001 - raised in the wrapper, which decides
            return wrappers.finish_with_error(generator, error)
        return wrappers.finish(generator, result)

    return call


def guarded_wrapper(plugin: str, hook: str, wrapper: Call, inner: Call, on_error: OnError) -> Call:
    """Return a callable that calls `inner` inside the wrapper, and passes what the wrapper raises to `on_error`."""
    start, finish = guarded_halves(plugin, hook, wrapper, on_error)

    def call(subject: Any, *rest: Any) -> Any:
        generator = start(subject, *rest)
        result = inner(subject, *rest)
        if generator is None:
            return result
        replaced = finish(subject, generator, result)
        return result if replaced is None else replaced[0]

    return call
