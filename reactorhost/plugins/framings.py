"""Choose the framing that connections of a service start with: the operator's, else that of a `framing` hook."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reactorhost.errors import ConfigError, PluginError, Problem
from reactorhost.framing import Framing, framing_named
from reactorhost.plugins.contract import source_of
from reactorhost.plugins.guard import loading
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.plugins.registry import Registry

NewFraming = Callable[[], Framing]


def from_config(service: str, framing: str | Mapping[str, object], where: str | None) -> NewFraming:
    """Return a factory for the framing that the configuration of a service names.

    Raises:
        ConfigError: there is no such framing, or a parameter is invalid.
    """
    try:
        return factory(framing_named(framing))
    except ValueError as error:
        raise ConfigError([Problem(f"service {service!r}: {error}", where)]) from None


def from_plugins(service: str, plugins: Sequence[LoadedPlugin]) -> NewFraming | None:
    """Return a factory for the framing of the first plugin whose hook returns one, or None if none does.

    Raises:
        PluginError: the hook raised an exception, or returned an object that is not a framing.
    """
    for found in Registry(plugins).implementations("framing"):
        plugin = found.plugin
        with loading(plugin.identity, "failed in framing", plugin.home):
            returned = found.call(service)
        if returned is not None:
            try:
                return factory(returned)
            except TypeError as error:
                hint = "return Lines(), another framing, or a callable that returns one"
                where = source_of(found.hook.function)
                raise PluginError(f"plugin {plugin.identity}: framing: {error}", where=where, hint=hint) from None
    return None


def factory(framing: Any) -> NewFraming:
    """Return a factory of framings for connections, from a framing to copy or a callable that returns framings.

    Raises:
        TypeError: it is neither.
    """
    # A framing may be callable itself, so `feed` decides.
    makes_framings = isinstance(framing, type) or (callable(framing) and not _has_feed(framing))
    first = framing() if makes_framings else framing
    if not _has_feed(first):
        raise TypeError(f"{first!r} has no method feed(data)")
    new_framing: NewFraming | None = framing if makes_framings else getattr(framing, "fresh", None)
    # A deep copy, because the plugin's own framing may have pending bytes in any attribute.
    return new_framing if new_framing is not None else lambda: copy.deepcopy(framing)


def _has_feed(framing: Any) -> bool:
    return callable(getattr(framing, "feed", None))
