"""Import a plugin by name, and check it before any of its hooks is called."""

from __future__ import annotations

import dataclasses
import importlib

# For `invalidate_caches`, which imports it late: in a worker the files may not be readable any more for its user.
import importlib.metadata
import importlib.util
import inspect
import linecache
import os
import sys
import types
import zlib
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from typing import Any

from reactorhost.api.worker import Worker
from reactorhost.bus.backend import Backend
from reactorhost.errors import PluginError, did_you_mean
from reactorhost.plugins import name_hints
from reactorhost.plugins.contract import HOOKS, only_class_with_hooks, scan, source_of
from reactorhost.plugins.discovery import check_host, find, find_backend, installed, names_a_file, split_target
from reactorhost.plugins.guard import loading
from reactorhost.plugins.identity import LoadedPlugin, PluginIdentity
from reactorhost.plugins.options import declared

BackendFactory = Callable[[Worker, str], Backend]
"""What an entry point of a bus names; called with a worker and the URL."""


def load(named: str, host_version: str) -> LoadedPlugin:
    """Import a plugin and check its hooks.

    Raises:
        PluginError: it does not exist, cannot be imported, has invalid hooks, or requires another version of the host.
    """
    # Finders keep a folder's listing by its modification time, which is too coarse for a file written a moment ago.
    importlib.invalidate_caches()
    identity = find(named)
    check_host(identity, host_version)
    _make_importable(named)
    if names_a_file(named):
        module = _import_file(identity)
        # The author of a package names the object in the entry point; the name of a file has no place for it.
        return _checked(identity, only_class_with_hooks(module) or module, home=identity.target)
    return _load_module(identity)


def load_object(plugin: object, name: str) -> LoadedPlugin:
    """Check the hooks of a module, an object or a class that is imported already.

    Raises:
        PluginError: the hooks are invalid.
    """
    module = plugin if isinstance(plugin, types.ModuleType) else sys.modules.get(getattr(plugin, "__module__", ""))
    home = getattr(module, "__file__", None)
    return _checked(PluginIdentity(name, None, None, name), plugin, home=home)


def _make_importable(named: str) -> None:
    """Put the working directory (`module:object`) or the folder of a plugin file on `sys.path`."""
    if names_a_file(named):
        folder = os.path.dirname(os.path.abspath(named))
    elif ":" in named:
        folder = os.getcwd()
    else:
        return
    # At the end, so that nothing there hides an installed module.
    if folder not in sys.path and name_hints.searches_cwd():
        sys.path.append(folder)


def load_backend(scheme: str, host_version: str) -> tuple[PluginIdentity, BackendFactory]:
    """Import the backend of the bus for URLs of a scheme.

    Raises:
        PluginError: there is none, it cannot be imported, or requires another version of the host.
    """
    importlib.invalidate_caches()
    identity = find_backend(scheme)
    check_host(identity, host_version)
    factory, _, home = _target(identity)
    if not callable(factory):
        what = f"plugin {identity}: {identity.target} is a bus, but cannot be called"
        raise PluginError(what, where=home, hint="name a function (worker, url) in its entry point")
    return identity, factory


def _load_module(identity: PluginIdentity) -> LoadedPlugin:
    plugin, module, home = _target(identity)
    if isinstance(plugin, types.FunctionType | types.MethodType):
        file = inspect.unwrap(plugin).__code__.co_filename
        hint = name_hints.for_function(identity.target, file, installed())
        raise PluginError(f"plugin {identity} is a function", where=source_of(plugin), hint=hint)
    return _checked(identity, plugin, home=home, file=getattr(module, "__file__", None))


def _target(identity: PluginIdentity) -> tuple[Any, types.ModuleType, str | None]:
    """Return the object that an entry point names, its module, and the folder or file of all its code."""
    with loading(identity, "has an invalid entry point", None):
        module_name, attributes = split_target(identity.target)
    with loading(identity, "failed to import", None):
        home = _home(module_name)
    with loading(identity, "failed to import", home):
        module = importlib.import_module(module_name)
    plugin: Any = module
    for attribute in attributes.split(".") if attributes else ():
        plugin = _attribute(identity, plugin, attribute, home)
    return plugin, module, home


def _checked(identity: PluginIdentity, plugin: object, *, home: str | None, file: str | None = None) -> LoadedPlugin:
    if isinstance(plugin, type):
        with loading(identity, f"failed to create a {plugin.__name__}", home):
            plugin = plugin()
    scanned = scan(identity, plugin)
    found = {hook.name for hook in scanned}
    hooks = tuple(name for name in HOOKS if name in found)
    # A protocol of asyncio needs a loop, although none of its methods is a coroutine function.
    awaits = "protocol" in found or any(hook.awaits for hook in scanned)
    loaded = LoadedPlugin(identity, plugin, hooks, file or home, home=home, awaits=awaits)
    return dataclasses.replace(loaded, options=declared(loaded)) if "options" in found else loaded


def _attribute(identity: PluginIdentity, holder: object, name: str, home: str | None) -> object:
    with loading(identity, f"failed to return {name!r}", home):
        found = getattr(holder, name, _attribute)
    if found is _attribute:
        what = f"plugin {identity}: there is no {name!r} in {identity.target.partition(':')[0]}"
        raise PluginError(what, where=home, hint=did_you_mean(name, dir(holder)))
    return found


def _home(module_name: str) -> str | None:
    """Return the folder of a module's top-level package, or the file of a single module, without importing it."""
    spec = importlib.util.find_spec(module_name.partition(".")[0])
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return os.path.abspath(spec.submodule_search_locations[0])
    return spec.origin


class _FreshLoader(SourceFileLoader):
    """Compiles a file's current content: a cached .pyc has a resolution of a second, and reloads can be faster."""

    def get_code(self, fullname: str) -> types.CodeType:
        source = self.get_data(self.path)
        code: types.CodeType = self.source_to_code(source, self.path)
        # linecache never reads an entry without a modification time again, so tracebacks show the lines that were
        # loaded even if the file has changed since.
        lines = importlib.util.decode_source(source).splitlines(keepends=True)
        linecache.cache[self.path] = (len(source), None, lines, self.path)
        return code


def _import_file(identity: PluginIdentity) -> types.ModuleType:
    path = identity.target
    # The path makes the name unique, and the prefix keeps it from hiding an importable module.
    name = f"reactorhost_file_{zlib.crc32(os.fsencode(path)):08x}_{identity.name.replace('.', '_')}"
    loader = _FreshLoader(name, path)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with loading(identity, "failed to import", path):
        try:
            loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return module
