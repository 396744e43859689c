"""Return the description of a plugin: the first paragraph of its docstring."""

from __future__ import annotations

import inspect
import sys
import types

from reactorhost.plugins.identity import LoadedPlugin

_MAX_CHARACTERS = 2000


def description(plugin: LoadedPlugin) -> str | None:
    """Return the first paragraph as one line, from the plugin's module or class, else from the module of its class."""
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
    # An object such as types.SimpleNamespace has the docstring of a class of Python.
    if kind.__module__ in sys.stdlib_module_names:
        return ()
    return tuple(filter(None, (kind, sys.modules.get(kind.__module__))))
