"""Choose the framing that connections of a service start with: the operator's, else that of a `framing` hook.

The operator chooses among the built-in ones and those that the plugins of the service bring by the hook `framings`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from reactorhost.errors import ConfigError, PluginError, Problem, most_similar
from reactorhost.framing import Framing, framing_named
from reactorhost.framing.contract import is_session
from reactorhost.framing.named import BUILT_IN, NAME, kind_of, may_be_brought
from reactorhost.plugins.contract import source_of
from reactorhost.plugins.discovery import installed
from reactorhost.plugins.guard import loading
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.plugins.registry import Registry

_OF_SESSIONS = ("accept", "closing", "frame", "opening", "ended")

Kinds = Mapping[str, Callable[..., Framing]]
"""Framings that a plugin brings by the hook `framings`, by name."""


@dataclass(frozen=True, slots=True)
class NewFraming:
    """Makes the framing of each connection.

    Attributes:
        is_session: whether the framing speaks to the peer by itself.
    """

    make: Callable[[], Framing]
    is_session: bool

    def __call__(self) -> Framing:
        """Return a framing without pending bytes."""
        return self.make()


def brought_by(plugin: LoadedPlugin) -> Kinds:
    """Return the framings of a plugin that is configured.

    Raises:
        PluginError: the hook raised an exception, or returned something else, or a name that is invalid or built in.
    """
    kinds: dict[str, Callable[..., Framing]] = {}
    for found in Registry([plugin]).implementations("framings"):
        with loading(plugin.identity, "failed in framings", plugin.home):
            returned = found.call()
            items = dict(returned)
        for name, make in items.items():
            problem = _problem(name, make)
            if problem is not None:
                where = source_of(found.hook.function)
                raise PluginError(f"plugin {plugin.identity}: framings: {problem}", where=where)
        kinds |= items
    return kinds


def _problem(name: object, make: object) -> str | None:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        return f"the name {name!r} does not begin with a letter, or has characters other than a-z, 0-9 and _"
    if name in BUILT_IN:
        return f"{name!r} is the name of a framing of the host"
    return None if callable(make) else f"{name!r} is {make!r}, which cannot be called"


@dataclass(frozen=True, slots=True)
class ServiceKinds:
    """The framings that the plugins of a service bring, and the plugin of each, by name."""

    kinds: Kinds = field(default_factory=dict)
    plugins: Mapping[str, LoadedPlugin] = field(default_factory=dict)


def brought_by_all(service: str, plugins: Sequence[LoadedPlugin], brought: Mapping[str, Kinds]) -> ServiceKinds:
    """Return the framings that the plugins of a service bring; `brought` has those of a plugin by its name.

    Raises:
        PluginError: two plugins bring a framing of one name.
    """
    owners: dict[str, LoadedPlugin] = {}
    for plugin in plugins:
        for name in brought.get(plugin.name, ()):
            first = owners.setdefault(name, plugin)
            if first is not plugin:
                what = f"service {service!r}: {first.name!r} and {plugin.name!r} both bring the framing {name!r}"
                raise PluginError(what, hint="name one of them in the plugins of the service")
    return ServiceKinds({name: brought[plugin.name][name] for name, plugin in owners.items()}, owners)


def from_config(
    service: str, framing: str | Mapping[str, object], where: str | None, brought: ServiceKinds | None = None
) -> NewFraming:
    """Return a factory for the framing that the configuration of a service names.

    Raises:
        ConfigError: there is no such framing, or a parameter is invalid.
        PluginError: the framing of a plugin raises anything but a TypeError or a ValueError.
    """
    brought = brought or ServiceKinds()
    kind = kind_of(framing)
    plugin = brought.plugins.get(kind) if isinstance(kind, str) else None
    try:
        with nullcontext() if plugin is None else loading(plugin.identity, "failed in its framing", plugin.home):
            return factory(framing_named(framing, brought.kinds))
    except (TypeError, ValueError) as error:
        problem = str(error)
    except PluginError as error:
        # What a callable raises about its parameters is a fault of the operator.
        if not isinstance(error.__cause__, TypeError | ValueError):
            raise
        problem = str(error.__cause__)
    if plugin is None and may_be_brought(framing):
        problem = _unknown(str(kind), (*BUILT_IN, *brought.kinds)) or problem
    raise ConfigError([Problem(f"service {service!r}: {problem}", where)])


def _unknown(kind: str, known: Iterable[str]) -> str | None:
    """Return what to do about a kind that is, or resembles, the name of an installed plugin; None if there is none."""
    plugins = {identity.name.replace("-", "_"): identity.name for identity in installed()}
    if kind in plugins:
        return f"there is no framing {kind!r}; add the plugin {plugins[kind]!r} to the plugins of the service"
    similar = most_similar(kind, {*plugins, *known})
    if similar in plugins:
        return f"there is no framing {kind!r}; did you mean {similar!r}, of the plugin {plugins[similar]!r}?"
    return None


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
        TypeError: it is neither, or lacks a method that a session needs.
    """
    # A framing may be callable itself, so `feed` decides.
    makes_framings = isinstance(framing, type) or (callable(framing) and not _has_feed(framing))
    first = framing() if makes_framings else framing
    if not _has_feed(first):
        raise TypeError(f"{first!r} has no method feed(data)")
    session = is_session(first)
    if session:
        missing = [name for name in _OF_SESSIONS if not hasattr(first, name)]
        if missing:
            raise TypeError(f"{first!r} has outgoing(), as a session has, but no {' and no '.join(missing)}")
    make: Callable[[], Framing] | None = framing if makes_framings else getattr(framing, "fresh", None)
    # A deep copy, because the plugin's own framing may have pending bytes in any attribute.
    return NewFraming(make if make is not None else lambda: copy.deepcopy(framing), session)


def _has_feed(framing: Any) -> bool:
    return callable(getattr(framing, "feed", None))
