"""Combine the hooks of several plugins into one callable, without the cost of pluggy's call machinery.

Each combination has two bodies: one for plain hooks, and with `awaits` a coroutine function, for when one of the hooks
is one. Two, because a service with plain hooks only must not pay for coroutines. In the second every call is awaited;
`as_async` makes a plain hook awaitable.

A wrapper hook is a generator that yields once. At the yield it is sent the result of the hooks that it wraps, or their
exception is raised there; what it then returns or raises replaces that.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from functools import partial
from types import CodeType
from typing import Any

from reactorhost.plugins.guard import OnError, as_error

Call = Callable[..., Any]
Wrapper = Generator[None, Any, Any]
Halves = tuple[Callable[..., Wrapper | None], Callable[..., Any]]
"""A wrapper up to its yield, called with the hook's arguments, and after it, called with the generator, the result of
the wrapped hooks and the tuple of the hook's arguments."""


class WrapperError(RuntimeError):
    """A wrapper yielded twice, or not at all; `code` is the code object of its function."""

    def __init__(self, generator: Wrapper, what: str) -> None:
        self.code: CodeType = generator.gi_code  # type: ignore[attr-defined]  # a generator function made it
        super().__init__(f"wrapper {self.code.co_name!r} {self.code.co_filename}:{self.code.co_firstlineno} {what}")


def as_async(call: Call) -> Call:
    """Return a coroutine function that calls a plain hook."""

    async def plain(*arguments: Any) -> Any:
        return call(*arguments)

    return plain


def first_result(calls: Sequence[Call], *, awaits: bool) -> Call:
    """Return a callable that makes the calls in turn until one returns a result; a single call is returned itself."""
    if len(calls) == 1:
        return calls[0]

    def first(*arguments: Any) -> Any:
        for call in calls:
            result = call(*arguments)
            if result is not None:
                return result
        return None

    async def first_async(*arguments: Any) -> Any:
        for call in calls:
            result = await call(*arguments)
            if result is not None:
                return result
        return None

    return first_async if awaits else first


def every_result(calls: Sequence[Call], *, awaits: bool) -> Call:
    """Return a callable that makes all calls and returns a list of their results that are not None."""

    def every(*arguments: Any) -> list[Any]:
        return [result for call in calls if (result := call(*arguments)) is not None]

    async def every_async(*arguments: Any) -> list[Any]:
        return [result for call in calls if (result := await call(*arguments)) is not None]

    return every_async if awaits else every


def wrapped(halves: Halves, inner: Call, *, awaits: bool) -> Call:
    """Return a callable that calls `inner` between the two halves of a wrapper."""
    start, finish = halves

    def call(*arguments: Any) -> Any:
        generator = start(*arguments)
        try:
            result = inner(*arguments)
        except BaseException as error:  # noqa: BLE001 - raised in the wrapper, which decides
            return _finish_with_error(generator, error)
        return finish(generator, result, arguments)

    async def call_async(*arguments: Any) -> Any:
        generator = start(*arguments)
        try:
            result = await inner(*arguments)
        except BaseException as error:  # noqa: BLE001 - raised in the wrapper, which decides
            return _finish_with_error(generator, error)
        return finish(generator, result, arguments)

    return call_async if awaits else call


def halves_of(plugin: str, hook: str, wrapper: Call, on_error: OnError | None) -> Halves:
    """Return the two halves of a wrapper; exceptions propagate, or go to `on_error` and then change no result."""
    # For `receive`: a guard that only raises again would cost each message two frames more.
    if on_error is None:
        return partial(_start, wrapper), _finish

    def start(subject: Any, *rest: Any) -> Wrapper | None:
        try:
            return _start(wrapper, subject, *rest)
        except BaseException as raised:  # noqa: BLE001 - plugin code; a worker's signal handlers never raise
            on_error(plugin, hook, subject, as_error(raised))
            return None

    def finish(generator: Wrapper | None, result: Any, arguments: tuple[Any, ...]) -> Any:
        if generator is None:
            return result
        try:
            return _finish(generator, result)
        except BaseException as raised:  # noqa: BLE001 - plugin code; a worker's signal handlers never raise
            on_error(plugin, hook, arguments[0], as_error(raised))
            return result

    return start, finish


def _start(wrapper: Call, *arguments: Any) -> Wrapper:
    """Run a wrapper up to its yield."""
    generator: Wrapper = wrapper(*arguments)
    try:
        next(generator)
    except StopIteration:
        raise WrapperError(generator, "did not yield") from None
    return generator


def _finish(generator: Wrapper, result: Any, _arguments: tuple[Any, ...] = ()) -> Any:
    """Send a wrapper the result, and return the wrapper's own."""
    try:
        generator.send(result)
    except StopIteration as stop:
        return stop.value
    raise _second_yield(generator)


def _finish_with_error(generator: Wrapper | None, error: BaseException) -> Any:
    """Raise an exception at a wrapper's yield, and return the wrapper's result if it handles it."""
    # Only a guarded wrapper that failed at its start has no generator.
    if generator is None:
        raise error
    try:
        generator.throw(error)
    except StopIteration as stop:
        return stop.value
    except RuntimeError as raised:
        # PEP 479: Python replaces a StopIteration that leaves a generator by a RuntimeError.
        if isinstance(error, StopIteration) and raised.__cause__ is error:
            raise error from None
        raise
    raise _second_yield(generator)


def _second_yield(generator: Wrapper) -> WrapperError:
    # Its `finally` blocks run now, and not when the generator is collected.
    generator.close()
    return WrapperError(generator, "yielded twice")
