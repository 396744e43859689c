"""The number of workers that the plugins of a service require at most, from their `service_workers` hooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from reactorhost.errors import PluginError
from reactorhost.plugins.contract import source_of
from reactorhost.plugins.guard import loading
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.plugins.registry import Registry


class WorkerLimit(NamedTuple):
    """The most workers that may serve a service, and the name of the plugin that requires it."""

    workers: int
    plugin: str


def from_plugins(service: str, plugins: Sequence[LoadedPlugin]) -> WorkerLimit | None:
    """Return the smallest number that a plugin of a service declares, or None if none declares one.

    Raises:
        PluginError: a hook raised an exception, or returned anything else than a number or None.
    """
    # Not the first result, as of `framing`: a plugin that needs one worker needs it behind any other plugin too.
    smallest: WorkerLimit | None = None
    for found in Registry(plugins).implementations("service_workers"):
        plugin = found.plugin
        with loading(plugin.identity, "failed in service_workers", plugin.home):
            workers = found.call(service)
        if workers is None:
            continue
        if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
            what = f"plugin {plugin.identity}: service_workers returned {workers!r}"
            hint = "return a whole number from 1, or None for no limit"
            raise PluginError(what, where=source_of(found.hook.function), hint=hint)
        if smallest is None or workers < smallest.workers:
            smallest = WorkerLimit(workers, plugin.name)
    return smallest
