"""The calls of plain hooks: in turn, wrapped, and guarded. `awaiting` has the same for hooks that may be async."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from reactorhost.plugins import wrappers
from reactorhost.plugins.guard import OnError, guarded, guarded_ends
from reactorhost.plugins.wrappers import every_result, wrapped

__all__ = ["every_result", "first_result", "guarded", "guarded_wrapper", "wrapped"]

Call = Callable[..., Any]


def first_result(calls: Sequence[Call]) -> Call:
    """Return a callable that makes the calls in turn, until one returns something; a single one is that itself."""
    return calls[0] if len(calls) == 1 else wrappers.first_result(calls)


def guarded_wrapper(plugin: str, hook: str, wrapper: Call, inner: Call, on_error: OnError) -> Call:
    """Return a callable that calls `inner` with the wrapper around it; what the wrapper raises goes to `on_error`."""
    start, finish = guarded_ends(plugin, hook, wrapper, on_error)

    def call(subject: Any, *rest: Any) -> Any:
        generator = start(subject, *rest)
        result = inner(subject, *rest)
        if generator is None:
            return result
        outcome = finish(subject, generator, result)
        return result if outcome is None else outcome[0]

    return call
