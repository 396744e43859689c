"""Register plugins with pluggy, which decides the order of their hooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pluggy

from reactorhost.api import hookspecs
from reactorhost.errors import PluginError
from reactorhost.plugins.contract import HOOKS, Hook, scan
from reactorhost.plugins.identity import LoadedPlugin


@dataclass(frozen=True, slots=True, eq=False)
class Implementation:
    """One hook function, its plugin, and a callable that takes all arguments of the hook in order."""

    plugin: LoadedPlugin
    hook: Hook
    call: Callable[..., Any]


class _Holder:
    """The object that is registered with pluggy for a plugin: pluggy compares plugins, and theirs may define `==`."""

    def __init__(self, plugin: LoadedPlugin, added: Sequence[Hook]) -> None:
        self.hooks: dict[str, Implementation] = {}
        # What is registered last is called first: what is added is called after the plugin's own hooks, and at the end
        # of a connection before them.
        begin = [hook for hook in added if hook.name != "close"]
        end = [hook for hook in added if hook.name == "close"]
        for number, hook in enumerate([*begin, *scan(plugin.identity, plugin.object), *end]):
            # Several functions of a plugin can implement one hook (`specname`), and pluggy registers in the order of
            # dir(): the number keeps the order of `scan`.
            attribute = f"{hook.name}_{number:04}"
            setattr(self, attribute, hook.function)
            call = adapted(hook.function, hook.arguments, HOOKS[hook.name], awaits=hook.awaits)
            self.hooks[attribute] = Implementation(plugin, hook, call)


class _Registry(pluggy.PluginManager):
    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        assert isinstance(plugin, _Holder)
        found = plugin.hooks.get(name)
        return None if found is None else {**found.hook.options, "specname": found.hook.name}


class Registry:
    """The hooks of several plugins; the first plugin is called first."""

    def __init__(
        self, plugins: Sequence[LoadedPlugin], added: Mapping[str, Sequence[Hook]] = MappingProxyType({})
    ) -> None:
        """Register the plugins, and under the names of some of them the hooks that the host adds to theirs.

        Raises:
            PluginError: a plugin's hooks are invalid, two have the same name, or two are the same object.
        """
        _refuse_duplicates(plugins)
        self.plugins = tuple(plugins)
        self._manager = _Registry(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._implementations: dict[tuple[str, str, Callable[..., Any]], Implementation] = {}
        # pluggy calls the plugin that was registered last first.
        for plugin in reversed(plugins):
            holder = _Holder(plugin, added.get(plugin.name, ()))
            self._manager.register(holder, plugin.name)
            for found in holder.hooks.values():
                self._implementations[plugin.name, found.hook.name, found.hook.function] = found
        self._manager.check_pending()

    def implementations(self, hook: str) -> list[Implementation]:
        """Return the implementations of a hook in the order of calls: first the wrappers, the outermost first."""
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        ordered = reversed(caller.get_hookimpls())
        return [self._implementations[found.plugin_name, hook, found.function] for found in ordered]

    def call(self, hook: str, **arguments: object) -> Any:
        """Call a hook through pluggy, for hooks that are not called often."""
        return getattr(self._manager.hook, hook)(**arguments)


def _refuse_duplicates(plugins: Sequence[LoadedPlugin]) -> None:
    names: dict[str, LoadedPlugin] = {}
    objects: dict[int, LoadedPlugin] = {}
    for plugin in plugins:
        if plugin.name in names:
            targets = f"{names[plugin.name].identity.target} and {plugin.identity.target}"
            raise PluginError(f"two plugins are named {plugin.name!r}", where=targets, hint="name each plugin once")
        first = objects.setdefault(id(plugin.object), plugin)
        if first is not plugin:
            what = f"{first.name!r} and {plugin.name!r} are the same plugin"
            raise PluginError(what, where=plugin.file, hint="name each plugin once")
        names[plugin.name] = plugin


def adapted(
    function: Callable[..., Any], own: tuple[str, ...], arguments: tuple[str, ...], *, awaits: bool
) -> Callable[..., Any]:
    """Return what takes all arguments of a hook in order: the function itself, or what passes it those of its own."""
    if own == arguments:
        return function
    selecting = _selecting(function, own, arguments)
    if not awaits:
        return selecting

    async def selecting_async(*given: Any) -> Any:
        return await selecting(*given)

    return selecting_async


def _selecting(function: Callable[..., Any], own: tuple[str, ...], arguments: tuple[str, ...]) -> Callable[..., Any]:
    indexes = tuple(arguments.index(name) for name in own)
    # Lambdas and not one general function: each call of a hook goes through this.
    match len(arguments), indexes:
        case 1, ():
            return lambda first: function()
        case 2, ():
            return lambda first, second: function()
        case 2, (0,):
            return lambda first, second: function(first)
        case 2, (1,):
            return lambda first, second: function(second)
        case 2, (1, 0):
            return lambda first, second: function(second, first)
    return lambda *given: function(*[given[index] for index in indexes])
