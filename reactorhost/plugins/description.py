"""What a plugin says of itself: the first paragraph of its docstring."""

from __future__ import annotations

import inspect
import sys
import types

from reactorhost.plugins.identity import LoadedPlugin

_MAX_CHARACTERS = 2000


def description(plugin: LoadedPlugin) -> str | None:
    """Return the first paragraph as one line, of the class or module that the plugin is, else of the class's module."""
    for holder in _holders(plugin.object):
        text = vars(holder).get("__doc__")
        if isinstance(text, str) and text.strip():
            paragraph = inspect.cleandoc(text).partition("\n\n")[0]
            return " ".join(paragraph.split())[:_MAX_CHARACTERS]
    return None


def _holders(plugin: object) -> tuple[object, ...]:
    if isinstance(plugin, types.ModuleType):
        return (plugin,)
    kind = type(plugin)
    # A namespace of Python's own says nothing about the plugin that was made of it.
    if kind.__module__ in sys.stdlib_module_names:
        return ()
    return tuple(filter(None, (kind, sys.modules.get(kind.__module__))))
