"""Tell whose code an exception came out of, or a thread stands in, by the functions and files on the way."""

from __future__ import annotations

import inspect
import traceback
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.plugins.registry import Registry
from reactorhost.plugins.tracebacks import leads_to_plugins, lies_in
from reactorhost.plugins.wrappers import WrapperError


@dataclass(frozen=True, slots=True)
class _Owner:
    plugin: LoadedPlugin
    hook: str
    bound_to: object


_Owners = tuple[_Owner, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where in a plugin's code a stack stands; `hook` is None where no hook is on it."""

    plugin: str
    hook: str | None
    where: str


@dataclass(frozen=True, slots=True)
class Attribution:
    """Several plugins and the code of their hooks; a hook's owner comes with the object that the hook is bound to."""

    plugins: Sequence[LoadedPlugin]
    owners: Mapping[types.CodeType, _Owners]

    def plugin(self, error: BaseException) -> LoadedPlugin | None:
        """Return the plugin of the innermost hook on the traceback, else of the innermost file, else the only one."""
        if isinstance(error, WrapperError) and error.code in self.owners:
            return self.owners[error.code][0].plugin
        of_hook = of_file = None
        for frame, _ in traceback.walk_tb(error.__traceback__):
            owner = self._owner_of_hook(frame)
            of_hook = owner.plugin if owner else of_hook
            of_file = self._owner_of_file(frame.f_code.co_filename) or of_file
        return of_hook or of_file or (self.plugins[0] if len(self.plugins) == 1 else None)

    def name(self, error: BaseException) -> str:
        """Return the name of that plugin, or `?`."""
        plugin = self.plugin(error)
        return plugin.name if plugin else "?"

    def standing(self, innermost: types.FrameType, callers: Mapping[types.CodeType, str]) -> Standing | None:
        """Return where in a plugin's code a stack stands, or None when it stands in none.

        `callers` names the functions of the host that call plugins back, with what stands for the hook then.
        """
        frames = [innermost]
        while (owner := self._owner_of_hook(frames[-1])) is None and (back := frames[-1].f_back) is not None:
            frames.append(back)
        hook = owner.hook if owner else next(filter(None, (callers.get(each.f_code) for each in frames)), None)
        plugin = owner.plugin if owner else next(filter(None, map(self._owner_of_frame, frames)), None)
        if plugin is None and hook is None:
            return None
        name = plugin.name if plugin else self.plugins[0].name if len(self.plugins) == 1 else "?"
        return Standing(name, hook, _place(frames, plugin))

    def _owner_of_frame(self, frame: types.FrameType) -> LoadedPlugin | None:
        return self._owner_of_file(frame.f_code.co_filename)

    def _owner_of_hook(self, frame: types.FrameType) -> _Owner | None:
        code = frame.f_code
        owners = self.owners.get(code, ())
        if len(owners) < 2:
            return owners[0] if owners else None
        # Two plugins that are instances of one class share their code; what it was called on tells them apart.
        called_on = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
        return next((owner for owner in owners if owner.bound_to is called_on), owners[0])

    def _owner_of_file(self, file: str) -> LoadedPlugin | None:
        return next((plugin for plugin in self.plugins if plugin.home and lies_in(plugin.home, file)), None)


def _place(frames: Sequence[types.FrameType], plugin: LoadedPlugin | None) -> str:
    """Return `FILE:LINE` of the innermost frame in the plugin's home, else of the innermost that is not the host's."""
    others = [each for each in frames if not leads_to_plugins(each.f_code.co_filename)]
    home = plugin.home if plugin else None
    at_home = [each for each in others if home and lies_in(home, each.f_code.co_filename)]
    frame = next(iter(at_home or others), frames[0])
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def blame_among(registry: Registry) -> Attribution:
    """Return what tells the plugins of a registry apart."""
    owners: dict[types.CodeType, _Owners] = {}
    for found in registry.all_implementations():
        function = found.hook.function
        bound_to = function.__self__ if isinstance(function, types.MethodType) else None
        for layer in {function, inspect.unwrap(function)}:
            code: types.CodeType = layer.__code__
            owners[code] = (*owners.get(code, ()), _Owner(found.plugin, found.hook.name, bound_to))
    return Attribution(registry.plugins, owners)
