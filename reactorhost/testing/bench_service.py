"""The service of a bench: its plugins loaded and configured, as a worker of the host does it."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence

from reactorhost import __version__
from reactorhost.errors import ConfigError, Problem, did_you_mean
from reactorhost.plugins import framings, loading, options, protocols, worker_limit
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.testing.fake_tls import FakeTlsRole
from reactorhost.worker.context import Limits
from reactorhost.worker.service import LoadedService


def load(
    name: str,
    named: Sequence[object],
    tables: Mapping[str, Mapping[str, object]],
    framing: str | Mapping[str, object] | None,
    limits: Limits,
    watcher: object,
) -> LoadedService:
    """Return a service `name` of these plugins, and of a `watcher` behind them.

    Raises:
        ReactorhostError: a host would not start.
    """
    plugins = [
        loading.load(each, __version__) if isinstance(each, str) else loading.load_object(each, _name_of(each))
        for each in named
    ]
    names = {plugin.name for plugin in plugins}
    for unknown in tables.keys() - names:
        what = f"options for {unknown!r}, which is not one of the plugins"
        raise ConfigError([Problem(what, hint=did_you_mean(unknown, names) or f"they are {', '.join(names)}")])
    for plugin in plugins:
        options.configure(plugin, tables.get(plugin.name, {}), lambda key: None, (name,))
    new_framing = _new_framing(name, plugins, framing)
    worker_limit.from_plugins(name, plugins)
    return LoadedService(
        name,
        [*plugins, loading.load_object(watcher, "(bench)")],
        limits,
        new_framing,
        serving=protocols.from_plugins(name, plugins),
        has_sessions=new_framing is not None and new_framing.is_session,
        tls_role=FakeTlsRole(),
    )


def _new_framing(
    name: str, plugins: Sequence[LoadedPlugin], framing: str | Mapping[str, object] | None
) -> framings.NewFraming | None:
    brought = {plugin.name: framings.brought_by(plugin) for plugin in plugins}
    kinds = framings.brought_by_all(name, plugins, brought)
    if framing is None:
        return framings.from_plugins(name, plugins)
    return framings.from_config(name, framing, None, kinds)


def _name_of(plugin: object) -> str:
    if isinstance(plugin, types.ModuleType):
        return plugin.__name__.rpartition(".")[2].removeprefix("reactorhost_")
    return plugin.__name__ if isinstance(plugin, type) else type(plugin).__name__
