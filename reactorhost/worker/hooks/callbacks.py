"""Functions that plugins pass to the host: which ones are accepted, and how a log names them."""

from __future__ import annotations

import functools
import inspect
from typing import Any


def name_of(function: Any) -> str:
    """Return the qualified name of a function, of what a `partial` calls, or of a callable object's class."""
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def check_function(name: str, function: object) -> None:
    """Check a callback of a plugin, that the parameter `name` is for.

    Raises:
        TypeError: it is not callable, or is a coroutine function.
    """
    if not callable(function):
        raise TypeError(f"{name} takes a function, not {function!r}")
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
        raise TypeError(f"{name} takes a plain function, and {function!r} is a coroutine function: await it instead")
