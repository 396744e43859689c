"""Check handlers: the objects with which plugins handle their own connections to other hosts.

A handler's methods need no `@hookimpl`: those that have the name of a hook below are called like that hook.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from reactorhost.errors import did_you_mean
from reactorhost.framing import Framing
from reactorhost.plugins.chain import Around, Chain, as_it_is, resolve_one
from reactorhost.plugins.contract import HOOKS, UNMARKED, Hook, kept_hint, lacks_self
from reactorhost.plugins.framings import factory
from reactorhost.plugins.guard import OnError
from reactorhost.plugins.identity import LoadedPlugin, PluginIdentity
from reactorhost.plugins.registry import Implementation, adapted

_ON_LOOP = ("connect", "receive", "close", "drain")
METHODS: Mapping[str, tuple[str, ...]] = {
    **{name: HOOKS[name] for name in (*_ON_LOOP, "framing")},
    "failed": ("error",),
}
"""The methods that a handler may have, and the names of their arguments."""


@dataclass(frozen=True, slots=True)
class Handler:
    """The methods of a handler.

    `awaits` says whether a method of the connection is a coroutine function, `failed_awaits` whether `failed` is one.
    """

    plugin: LoadedPlugin
    implementations: Mapping[str, Implementation]
    framing: Callable[[str], Any] | None
    failed: Callable[[Exception], Any] | None
    awaits: bool
    failed_awaits: bool

    def new_framing(self, service: str) -> Framing | None:
        """Return a framing for a new connection, or None if the handler has none.

        Raises:
            TypeError: `framing` returned an object that is not a framing, or one that is a session.
        """
        returned = None if self.framing is None else self.framing(service)
        if returned is None:
            return None
        new_framing = factory(returned)
        if new_framing.is_session:
            raise TypeError(f"the framing {returned!r} is a session, which works only for the clients of a service")
        return new_framing()

    def chain(self, on_error: OnError, around: Around = as_it_is) -> Chain:
        """Return the handler's methods as a chain."""
        return resolve_one(self.plugin, self.implementations, on_error, around)


def check(plugin: str, handler: object) -> Handler:
    """Find and check the methods of a handler that belongs to the plugin of this name.

    Raises:
        TypeError: it has no methods, or one that cannot be called like its hook.
    """
    if isinstance(handler, type):
        raise TypeError(f"the handler is the class {handler.__name__}: pass an instance of it")
    loaded = LoadedPlugin(PluginIdentity(plugin, None, None, plugin), handler, (), None)
    found: dict[str, Implementation] = {}
    for name in METHODS:
        function = getattr(handler, name, None)
        if callable(function):
            hook = Hook(name, function, _arguments(handler, name, function), UNMARKED)
            found[name] = Implementation(loaded, hook, adapted(hook, METHODS[name]))
    if not found:
        raise TypeError(f"the handler {handler!r} has none of the methods {', '.join(METHODS)}")
    framing, failed = found.pop("framing", None), found.pop("failed", None)
    if framing is not None and framing.hook.awaits:
        raise TypeError(f"{_named(handler, 'framing')} is async, but its result is needed immediately")
    return Handler(
        loaded,
        found,
        None if framing is None else framing.call,
        None if failed is None else failed.call,
        any(each.hook.awaits for each in found.values()),
        failed is not None and failed.hook.awaits,
    )


def _arguments(handler: object, name: str, function: Callable[..., Any]) -> tuple[str, ...]:
    known = METHODS[name]
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{_named(handler, name)} yields, so calling it does nothing")
    if lacks_self(function, known):
        raise TypeError(f"{_named(handler, name)} has no self: add it as the first argument of the method")
    try:
        # Not by the code object, as for hooks: a method of a handler need not be a function, a partial will do.
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        raise TypeError(f"{_named(handler, name)} has no signature, so its arguments are unknown") from None
    for each in parameters:
        if each.kind not in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) or each.default is not each.empty:
            raise TypeError(f"{_named(handler, name)} has the argument {each}: use plain arguments without a default")
        if each.name not in known:
            hint = kept_hint(each.name) or did_you_mean(each.name, known) or f"they are {', '.join(known)}"
            raise TypeError(f"{_named(handler, name)} has an unknown argument {each.name!r}; {hint}")
    return tuple(each.name for each in parameters)


def _named(handler: object, method: str) -> str:
    return f"{method} of the handler {getattr(handler, '__name__', type(handler).__name__)}"
