"""Find the plugin that an exception came from, or whose code a stack is in.

A frame belongs to a plugin if its code object is that of one of the plugin's hooks, else if its file lies in the
plugin's home. Hooks come first: a plugin may use the code of another one, and is then itself at fault.
"""

from __future__ import annotations

import inspect
import traceback
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from reactorhost.plugins.calls import WrapperError
from reactorhost.plugins.contract import HOOKS, Hook
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.plugins.registry import Registry
from reactorhost.plugins.tracebacks import lies_in, place_of_frames


@dataclass(frozen=True, slots=True)
class _Owner:
    """A plugin's hook; `bound_to` is the object that the hook is a method of, or None."""

    plugin: LoadedPlugin
    hook: str
    bound_to: object


@dataclass(frozen=True, slots=True)
class StackPosition:
    """A position in a plugin's code; `hook` is None if no hook is on the stack, `peer` if no client is known."""

    plugin: str
    hook: str | None
    where: str
    peer: str | None = None


@dataclass(frozen=True, slots=True)
class Attribution:
    """Several plugins, and for each code object of a hook the hooks that it belongs to."""

    plugins: Sequence[LoadedPlugin]
    owners: Mapping[types.CodeType, tuple[_Owner, ...]]

    def with_hooks(self, plugin: LoadedPlugin, hooks: Iterable[Hook]) -> Attribution:
        """Return an attribution that knows hooks too which the host has added to those of a plugin."""
        owners = dict(self.owners)
        for hook in hooks:
            _add_owner(owners, plugin, hook)
        return replace(self, owners=owners)

    def plugin_of(self, error: BaseException) -> LoadedPlugin | None:
        """Return the plugin of the innermost hook on the traceback, else of the innermost file, else the only one."""
        # The host raises this error, so no frame of the wrapper is on the traceback.
        if isinstance(error, WrapperError) and error.code in self.owners:
            return self.owners[error.code][0].plugin
        of_hook = of_file = None
        for frame, _ in traceback.walk_tb(error.__traceback__):
            owner = self._owner_of_hook(frame)
            of_hook = owner.plugin if owner else of_hook
            of_file = self._owner_of_file(frame) or of_file
        return of_hook or of_file or self._only_plugin()

    def caller(self, frame: types.FrameType | None) -> LoadedPlugin | None:
        """Return the plugin whose code a stack is in, by the same rule."""
        of_file = only = self._only_plugin()
        while frame is not None and only is None:
            owner = self._owner_of_hook(frame)
            if owner is not None:
                return owner.plugin
            of_file = of_file or self._owner_of_file(frame)
            frame = frame.f_back
        return of_file

    def locate(self, innermost: types.FrameType, callers: Mapping[types.CodeType, str]) -> StackPosition | None:
        """Return where in a plugin's code a stack is, or None if it is in no plugin's code.

        `callers` maps functions of the host that call plugins back (timers, thread tasks) to the name that is
        reported instead of a hook.
        """
        frames = [innermost]
        while (owner := self._owner_of_hook(frames[-1])) is None and (back := frames[-1].f_back) is not None:
            frames.append(back)
        hook = owner.hook if owner else next(filter(None, (callers.get(each.f_code) for each in frames)), None)
        plugin = owner.plugin if owner else next(filter(None, map(self._owner_of_file, frames)), None)
        if plugin is None and hook is None:
            return None
        named = plugin or self._only_plugin()
        lines = ((frame, frame.f_lineno) for frame in frames)
        where = place_of_frames(lines, plugin.home if plugin else None, with_callees=True)
        return StackPosition(
            named.name if named else "?", hook, where or f"{innermost.f_code.co_filename}:{innermost.f_lineno}"
        )

    def _owner_of_hook(self, frame: types.FrameType) -> _Owner | None:
        code = frame.f_code
        owners = self.owners.get(code, ())
        if len(owners) < 2:
            return owners[0] if owners else None
        # Instances of one class share their code; the frame's first argument says which instance was called.
        called_on = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
        return next((owner for owner in owners if owner.bound_to is called_on), owners[0])

    def _owner_of_file(self, frame: types.FrameType) -> LoadedPlugin | None:
        file = frame.f_code.co_filename
        return next((plugin for plugin in self.plugins if plugin.home and lies_in(plugin.home, file)), None)

    def _only_plugin(self) -> LoadedPlugin | None:
        return self.plugins[0] if len(self.plugins) == 1 else None


def attribution_of(registry: Registry) -> Attribution:
    """Return the attribution for the plugins of a registry."""
    owners: dict[types.CodeType, tuple[_Owner, ...]] = {}
    for found in (each for hook in HOOKS for each in registry.implementations(hook)):
        _add_owner(owners, found.plugin, found.hook)
    return Attribution(registry.plugins, owners)


def _add_owner(owners: dict[types.CodeType, tuple[_Owner, ...]], plugin: LoadedPlugin, hook: Hook) -> None:
    function = hook.function
    bound_to = function.__self__ if isinstance(function, types.MethodType) else None
    # A decorated hook has two code objects: its decorator's, and its own below it.
    for layer in {function, inspect.unwrap(function)}:
        code: types.CodeType = layer.__code__
        owners[code] = (*owners.get(code, ()), _Owner(plugin, hook.name, bound_to))
