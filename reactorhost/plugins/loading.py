"""Import a plugin that the operator named, and check it before anything of it is called."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import linecache
import os
import sys
import types
import zlib
from importlib.machinery import SourceFileLoader
from typing import Any

from reactorhost.errors import PluginError, did_you_mean
from reactorhost.plugins.compatibility import check_host
from reactorhost.plugins.contract import HOOKS, scan
from reactorhost.plugins.discovery import find, names_a_file, split_target
from reactorhost.plugins.guard import loading
from reactorhost.plugins.identity import LoadedPlugin, PluginIdentity
from reactorhost.plugins.options import declared


def load(named: str, host_version: str) -> LoadedPlugin:
    """Import a plugin and hold it against the contract.

    Raises:
        PluginError: it is not there, cannot be imported, breaks the contract, or wants another version of the host.
    """
    identity = find(named)
    check_host(identity, host_version)
    _make_importable(named)
    importlib.invalidate_caches()
    if names_a_file(named):
        return _checked(identity, _import_file(identity), home=identity.target)
    return _load_module(identity)


def load_object(plugin: object, name: str) -> LoadedPlugin:
    """Hold a module, an object or a class that was imported already against the contract.

    Raises:
        PluginError: it breaks the contract.
    """
    module = plugin if isinstance(plugin, types.ModuleType) else sys.modules.get(getattr(plugin, "__module__", ""))
    home = getattr(module, "__file__", None)
    return _checked(PluginIdentity(name, None, None, name), plugin, home=home)


def _make_importable(named: str) -> None:
    """Let a one-off import what lies beside it: `module:object` from the working directory, a file from its folder."""
    if names_a_file(named):
        folder = os.path.dirname(os.path.abspath(named))
    elif ":" in named:
        folder = os.getcwd()
    else:
        return
    # Last, so that nothing there hides what is installed; and not where Python was told to be safe from it.
    if folder not in sys.path and not sys.flags.safe_path:
        sys.path.append(folder)


def _load_module(identity: PluginIdentity) -> LoadedPlugin:
    with loading(identity, "has an entry point that is wrong", None):
        module_name, attributes = split_target(identity.target)
    with loading(identity, "failed to import", None):
        home = _home(module_name)
    with loading(identity, "failed to import", home):
        module = importlib.import_module(module_name)
    plugin: Any = module
    for attribute in attributes.split(".") if attributes else ():
        plugin = _attribute(identity, plugin, attribute, home)
    return _checked(identity, plugin, home=home, file=getattr(module, "__file__", None))


def _checked(identity: PluginIdentity, plugin: object, *, home: str | None, file: str | None = None) -> LoadedPlugin:
    if isinstance(plugin, type):
        with loading(identity, f"could not make a {plugin.__name__}", home):
            plugin = plugin()
    scanned = scan(identity, plugin)
    found = {hook.name for hook in scanned}
    hooks = tuple(name for name in HOOKS if name in found)
    awaits = any(hook.awaits for hook in scanned)
    loaded = LoadedPlugin(identity, plugin, hooks, file or home, home=home, awaits=awaits)
    return dataclasses.replace(loaded, options=declared(loaded)) if "options" in found else loaded


def _attribute(identity: PluginIdentity, holder: object, name: str, home: str | None) -> object:
    with loading(identity, f"failed to give {name!r}", home):
        found = getattr(holder, name, _attribute)
    if found is _attribute:
        what = f"plugin {identity}: there is no {name!r} in {identity.target.partition(':')[0]}"
        raise PluginError(what, where=home, hint=did_you_mean(name, dir(holder)))
    return found


def _home(module_name: str) -> str | None:
    """Return the folder or file that the code of a module and its neighbours lies in, without importing it."""
    spec = importlib.util.find_spec(module_name.partition(".")[0])
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return os.path.abspath(spec.submodule_search_locations[0])
    return spec.origin


class _FreshLoader(SourceFileLoader):
    """Compile a file as it is now; a cached .pyc goes by the second, and two reloads may come in one."""

    def get_code(self, fullname: str) -> types.CodeType:
        source = self.get_data(self.path)
        code: types.CodeType = self.source_to_code(source, self.path)
        # Without a modification time an entry is never read again: a traceback shows the lines that run, also when
        # the file has changed since.
        lines = importlib.util.decode_source(source).splitlines(keepends=True)
        linecache.cache[self.path] = (len(source), None, lines, self.path)
        return code


def _import_file(identity: PluginIdentity) -> types.ModuleType:
    path = identity.target
    # Two files of one name differ by their path, and none can hide an importable module.
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
