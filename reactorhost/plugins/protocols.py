"""Find the plugin that serves the clients of a service with asyncio's protocols or streams."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from reactorhost.errors import PluginError
from reactorhost.plugins.contract import source_of
from reactorhost.plugins.guard import loading
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.plugins.registry import Implementation, Registry


@dataclass(frozen=True, slots=True)
class ServingProtocol:
    """A plugin, and what returns the protocol of a new client."""

    plugin: LoadedPlugin
    new_protocol: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class ServingHandler:
    """A plugin, and what is called with the reader and the writer of a new client."""

    plugin: LoadedPlugin
    stream_handler: Callable[..., Coroutine[Any, Any, object]]


ServingPlugin = ServingProtocol | ServingHandler


def from_plugins(service: str, plugins: Sequence[LoadedPlugin]) -> ServingPlugin | None:
    """Return what serves a service with a `protocol` or a `stream_handler`, or None if no plugin has one for it.

    Raises:
        PluginError: a hook raised an exception or returned what cannot be called, or there are several.
    """
    found = list(_serving(service, plugins))
    if len(found) > 1:
        first, second = found[0].plugin, found[1].plugin
        by = f"{first.name} twice" if first is second else f"{first.name} and {second.name}"
        raise PluginError(
            f"service {service!r} has more than one protocol or stream_handler, by {by}",
            hint="name one of these plugins only, or let protocol return None for this service",
        )
    return found[0] if found else None


def _serving(service: str, plugins: Sequence[LoadedPlugin]) -> Iterator[ServingPlugin]:
    registry = Registry(plugins)
    for found in registry.implementations("protocol"):
        factory = _factory(service, found)
        if factory is not None:
            yield ServingProtocol(found.plugin, factory)
    for found in registry.implementations("stream_handler"):
        yield ServingHandler(found.plugin, found.call)


def _factory(service: str, found: Implementation) -> Callable[[], Any] | None:
    plugin = found.plugin
    with loading(plugin.identity, "failed in protocol", plugin.home):
        factory: Any = found.call(service)
    if factory is not None and not callable(factory):
        what = f"plugin {plugin.identity}: protocol returned {factory!r}, which cannot be called"
        hint = "return a class of protocols, or a function without arguments that makes one for each client"
        raise PluginError(what, where=source_of(found.hook.function), hint=hint)
    new_protocol: Callable[[], Any] | None = factory
    return new_protocol
