"""Which framing a service's connections begin with: the operator's, else what a plugin's `framing` hook says."""

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


def written(service: str, framing: str | Mapping[str, object], where: str | None) -> NewFraming:
    """Return what makes the framing that the operator wrote for a service.

    Raises:
        ConfigError: there is no such framing, or it cannot be with these values.
    """
    try:
        return maker(framing_named(framing))
    except ValueError as error:
        raise ConfigError([Problem(f"service {service!r}: {error}", where)]) from None


def of_plugins(service: str, plugins: Sequence[LoadedPlugin]) -> NewFraming | None:
    """Return what makes the framing of the first plugin that says one, None if none does.

    Raises:
        PluginError: the hook raised, or returned something else.
    """
    for found in Registry(plugins).implementations("framing"):
        plugin = found.plugin
        with loading(plugin.identity, "failed in framing", plugin.home):
            said = found.call(service)
        if said is not None:
            try:
                return maker(said)
            except TypeError as error:
                hint = "return Lines(), another framing, or a callable that makes one"
                where = source_of(found.hook.function)
                raise PluginError(f"plugin {plugin.identity}: framing: {error}", where=where, hint=hint) from None
    return None


def maker(framing: Any) -> NewFraming:
    """Return what makes a framing for each connection, out of a pattern or of what makes them.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(framing, type) or (callable(framing) and not _feeds(framing)):
        framing_made: Framing = framing()
        if not _feeds(framing_made):
            raise TypeError(f"{framing_made!r} has no method feed(data)")
        make: NewFraming = framing
        return make
    if not _feeds(framing):
        raise TypeError(f"{framing!r} has no method feed(data)")
    fresh: NewFraming | None = getattr(framing, "fresh", None)
    return fresh if fresh is not None else lambda: copy.deepcopy(framing)


def _feeds(framing: Any) -> bool:
    return callable(getattr(framing, "feed", None))
