"""What is known about a plugin: its name before it is loaded, its hooks and options after."""

from __future__ import annotations

import inspect
import re
import sys
import types
from dataclasses import dataclass
from typing import Any

from reactorhost.api.option import Option

_MAX_DESCRIPTION = 2000
"""Characters of a description."""

RECEIVING_HOOKS = frozenset({"receive", "protocol", "stream_handler"})
"""The hooks that may process what clients send; a service with none of them discards it."""


@dataclass(frozen=True, slots=True)
class PluginIdentity:
    """The name of a plugin, and where its code is.

    `target` is the value of the entry point (`module` or `module:object`), or the absolute path of a file.
    `distribution` and `version` are None unless the plugin is installed as a distribution.
    """

    name: str
    distribution: str | None
    version: str | None
    target: str

    def __str__(self) -> str:
        if self.distribution is None:
            return self.name
        return f"{self.name} ({' '.join(filter(None, (self.distribution, self.version)))})"


def normalised(name: str) -> str:
    """Return the name of a distribution in the form in which pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclass(frozen=True, slots=True)
class LoadedPlugin:
    """A plugin that was imported and checked.

    `object` is the module or instance with the hooks, `hooks` are the names of those it implements, `file` is the file
    of its module. `home` is the folder or file that contains all its code, `awaits` says whether it needs a loop of
    asyncio, for an async hook or for a protocol.
    """

    identity: PluginIdentity
    object: object
    hooks: tuple[str, ...]
    file: str | None
    options: tuple[Option, ...] = ()
    home: str | None = None
    awaits: bool = False

    @property
    def name(self) -> str:
        """Return the name that the operator uses."""
        return self.identity.name

    def as_fields(self) -> dict[str, Any]:
        """Return what a worker reports to the master of a plugin that it has loaded."""
        identity = self.identity
        return {
            "name": identity.name,
            "distribution": identity.distribution,
            "version": identity.version,
            "hooks": self.hooks,
        }


@dataclass(frozen=True, slots=True)
class PluginReport:
    """The result of loading a plugin in a process of its own.

    If it failed, `error` has the lines of the error (what, where, hint) and `status` its exit status. `description`
    and `commands` (name and help) are set by `inspection.describe` only.
    """

    identity: PluginIdentity
    hooks: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    file: str | None = None
    error: tuple[str, ...] | None = None
    details: str | None = None
    status: int = 0
    description: str | None = None
    commands: tuple[tuple[str, str], ...] = ()


def description(plugin: LoadedPlugin) -> str | None:
    """Return the first paragraph of the docstring of the plugin's module or class, else of the module of its class.

    It is one line; None if there is no docstring.
    """
    for holder in _holders(plugin.object):
        text = vars(holder).get("__doc__")
        if isinstance(text, str) and text.strip():
            paragraph = inspect.cleandoc(text).partition("\n\n")[0]
            return " ".join(paragraph.split())[:_MAX_DESCRIPTION]
    return None


def _holders(plugin: object) -> tuple[object, ...]:
    if isinstance(plugin, types.ModuleType):
        return (plugin,)
    kind = type(plugin)
    # An object such as types.SimpleNamespace has the docstring of a class of Python.
    if kind.__module__ in sys.stdlib_module_names:
        return ()
    return tuple(filter(None, (kind, sys.modules.get(kind.__module__))))
