"""Plugins that are modules of a few functions."""

from __future__ import annotations

import types
from collections.abc import Callable

from reactorhost import hookimpl


def of(**hooks: Callable[..., object]) -> types.ModuleType:
    """Return a module with functions as hooks."""
    module = types.ModuleType("made")
    vars(module).update({name: hookimpl(hook) for name, hook in hooks.items()})
    return module
