"""Call wrappers around what they wrap, as pluggy does, without pluggy's cost.

A wrapper is a generator that yields once. It is sent the result of what it wraps, or has its exception thrown in;
what it returns or raises takes the place of that.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from types import CodeType
from typing import Any

Call = Callable[..., Any]
Wrapper = Generator[None, Any, Any]


class WrapperError(RuntimeError):
    """A wrapper yielded twice, or not at all; `code` is the code of its function."""

    def __init__(self, generator: Wrapper, what: str) -> None:
        self.code: CodeType = generator.gi_code  # type: ignore[attr-defined]  # a hook that yields is a real generator
        super().__init__(f"wrapper {self.code.co_name!r} {self.code.co_filename}:{self.code.co_firstlineno} {what}")


def first_result(calls: Sequence[Call]) -> Call:
    """Return a callable that makes the calls in turn, until one returns something."""

    def first(*arguments: Any) -> Any:
        for call in calls:
            result = call(*arguments)
            if result is not None:
                return result
        return None

    return first


def every_result(calls: Sequence[Call]) -> Call:
    """Return a callable that makes all the calls and returns what they returned, without the Nones."""

    def every(*arguments: Any) -> list[Any]:
        return [result for call in calls if (result := call(*arguments)) is not None]

    return every


def wrapped(wrapper: Call, inner: Call) -> Call:
    """Return a callable that calls `inner` with the wrapper around it."""

    def call(*arguments: Any) -> Any:
        generator = start(wrapper, *arguments)
        try:
            result = inner(*arguments)
        except BaseException as error:  # noqa: BLE001 - the wrapper has it, and decides
            return finish_with_error(generator, error)
        return finish(generator, result)

    return call


def start(wrapper: Call, *arguments: Any) -> Wrapper:
    """Run a wrapper up to its yield."""
    generator: Wrapper = wrapper(*arguments)
    try:
        next(generator)
    except StopIteration:
        raise WrapperError(generator, "did not yield") from None
    return generator


def finish(generator: Wrapper, result: Any) -> Any:
    """Send a wrapper the result, and return its own."""
    try:
        generator.send(result)
    except StopIteration as stop:
        return stop.value
    raise _second_yield(generator)


def finish_with_error(generator: Wrapper, error: BaseException) -> Any:
    """Throw an exception into a wrapper, and return what it makes of it."""
    try:
        generator.throw(error)
    except StopIteration as stop:
        return stop.value
    except RuntimeError as raised:
        # Python does not let a StopIteration out of a generator, and wraps it.
        if isinstance(error, StopIteration) and raised.__cause__ is error:
            raise error from None
        raise
    raise _second_yield(generator)


def _second_yield(generator: Wrapper) -> WrapperError:
    generator.close()
    return WrapperError(generator, "yielded twice")
