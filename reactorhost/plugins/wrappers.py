"""Run wrapper hooks as pluggy does, without the cost of pluggy's call machinery.

A wrapper is a generator that yields once. At the yield it is sent the result of the hooks that it wraps, or their
exception is raised there; what it then returns or raises replaces that.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import CodeType
from typing import Any

Call = Callable[..., Any]
Wrapper = Generator[None, Any, Any]


class WrapperError(RuntimeError):
    """A wrapper yielded twice, or not at all; `code` is the code object of its function."""

    def __init__(self, generator: Wrapper, what: str) -> None:
        self.code: CodeType = generator.gi_code  # type: ignore[attr-defined]  # a generator function made it
        super().__init__(f"wrapper {self.code.co_name!r} {self.code.co_filename}:{self.code.co_firstlineno} {what}")


def start(wrapper: Call, *arguments: Any) -> Wrapper:
    """Run a wrapper up to its yield."""
    generator: Wrapper = wrapper(*arguments)
    try:
        next(generator)
    except StopIteration:
        raise WrapperError(generator, "did not yield") from None
    return generator


def finish(generator: Wrapper, result: Any) -> Any:
    """Send a wrapper the result, and return the wrapper's own."""
    try:
        generator.send(result)
    except StopIteration as stop:
        return stop.value
    raise _second_yield(generator)


def finish_with_error(generator: Wrapper, error: BaseException) -> Any:
    """Raise an exception at a wrapper's yield, and return the wrapper's result if it handles it."""
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
    generator.close()
    return WrapperError(generator, "yielded twice")
