"""Tell whose code an exception came out of, by the functions and files that its traceback passed through."""

from __future__ import annotations

import inspect
import traceback
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.plugins.onion import WrapperError
from reactorhost.plugins.registry import Registry
from reactorhost.plugins.tracebacks import lies_in

_Owners = tuple[tuple[LoadedPlugin, object], ...]


@dataclass(frozen=True, slots=True)
class Blame:
    """Several plugins and the code of their hooks; a hook's owner comes with the object that the hook is bound to."""

    plugins: Sequence[LoadedPlugin]
    owners: Mapping[types.CodeType, _Owners]

    def plugin(self, error: BaseException) -> LoadedPlugin | None:
        """Return the plugin of the innermost hook on the traceback, else of the innermost file, else the only one."""
        if isinstance(error, WrapperError) and error.code in self.owners:
            return self.owners[error.code][0][0]
        of_hook = of_file = None
        for frame, _ in traceback.walk_tb(error.__traceback__):
            of_hook = self._owner_of_hook(frame) or of_hook
            of_file = self._owner_of_file(frame.f_code.co_filename) or of_file
        return of_hook or of_file or (self.plugins[0] if len(self.plugins) == 1 else None)

    def name(self, error: BaseException) -> str:
        """Return the name of that plugin, or `?`."""
        plugin = self.plugin(error)
        return plugin.name if plugin else "?"

    def _owner_of_hook(self, frame: types.FrameType) -> LoadedPlugin | None:
        code = frame.f_code
        owners = self.owners.get(code, ())
        if len(owners) < 2:
            return owners[0][0] if owners else None
        # Two plugins that are instances of one class share their code; what it was called on tells them apart.
        called_on = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
        return next((plugin for plugin, bound_to in owners if bound_to is called_on), owners[0][0])

    def _owner_of_file(self, file: str) -> LoadedPlugin | None:
        return next((plugin for plugin in self.plugins if plugin.home and lies_in(plugin.home, file)), None)


def blame_among(registry: Registry) -> Blame:
    """Return what tells the plugins of a registry apart."""
    owners: dict[types.CodeType, _Owners] = {}
    for found in registry.all_implementations():
        function = found.hook.function
        bound_to = function.__self__ if isinstance(function, types.MethodType) else None
        for layer in {function, inspect.unwrap(function)}:
            code: types.CodeType = layer.__code__
            owners[code] = (*owners.get(code, ()), (found.plugin, bound_to))
    return Blame(registry.plugins, owners)
