"""Find the plugin that serves the clients of a service with asyncio's protocols or streams."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any

from reactorhost.errors import PluginError
from reactorhost.plugins.contract import source_of
from reactorhost.plugins.guard import loading
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.plugins.registry import Implementation, Registry

# What the adapter calls, without awaiting it.
_METHODS = (
    "connection_made",
    "data_received",
    "get_buffer",
    "buffer_updated",
    "eof_received",
    "pause_writing",
    "resume_writing",
    "connection_lost",
    "drain_requested",
)


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
    if isinstance(factory, type):
        method = async_method(factory)
        if method is not None:
            name = f"{factory.__name__}.{method}"
            what = f"plugin {plugin.identity}: {name} is async, but a protocol's methods are not awaited"
            hint = "write a plain method that starts a task, or serve clients with stream_handler"
            raise PluginError(what, where=source_of(getattr(factory, method)), hint=hint)
    new_protocol: Callable[[], Any] | None = factory
    return new_protocol


def async_method(protocol: object) -> str | None:
    """Return the name of a method of a protocol, or of its class, that is async and would never run."""
    return next((name for name in _METHODS if iscoroutinefunction(getattr(protocol, name, None))), None)
