"""Check handlers: the objects with which plugins handle their own connections to other hosts.

A handler's methods need no `@hookimpl`: those that have the name of a hook below are called like that hook.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from reactorhost.errors import did_you_mean
from reactorhost.framing import Framing
from reactorhost.plugins.attribution import Attribution
from reactorhost.plugins.chain import Around, Chain, as_it_is, resolve_one
from reactorhost.plugins.contract import HOOKS, kept_hint, lacks_self
from reactorhost.plugins.framings import factory
from reactorhost.plugins.guard import OnError
from reactorhost.plugins.identity import LoadedPlugin, PluginIdentity
from reactorhost.plugins.registry import adapted

_ON_LOOP = ("connect", "receive", "eof", "close", "drain")
METHODS: Mapping[str, tuple[str, ...]] = {
    **{name: HOOKS[name] for name in (*_ON_LOOP, "framing")},
    "failed": ("error",),
}
"""The methods that a handler may have, and the names of their arguments."""


class Handler(NamedTuple):
    """The methods of a handler.

    Attributes:
        attribution: finds one plugin only, that of the handler.
        methods: those of the connection by name, each called with all arguments of its hook.
        awaiting: the names of those that are coroutine functions.
        failed_awaits: whether `failed` is one.
    """

    attribution: Attribution
    methods: Mapping[str, Callable[..., Any]]
    awaiting: Collection[str]
    framing: Callable[..., Any] | None
    failed: Callable[..., Any] | None
    failed_awaits: bool

    @property
    def awaits(self) -> bool:
        """Whether a method of the connection is a coroutine function."""
        return bool(self.awaiting)

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
        return resolve_one(self.attribution, self.methods, self.awaiting, on_error, around)


def check(plugin: str, handler: object) -> Handler:
    """Find and check the methods of a handler that belongs to the plugin of this name.

    Raises:
        TypeError: it has no methods, or one that cannot be called like its hook.
    """
    if isinstance(handler, type):
        raise TypeError(f"the handler is the class {handler.__name__}: pass an instance of it")
    handler_name: str = getattr(handler, "__name__", type(handler).__name__)
    found: dict[str, Callable[..., Any]] = {}
    awaiting = set()
    for name, hook_arguments in METHODS.items():
        function = getattr(handler, name, None)
        if not callable(function):
            continue
        if isinstance(function, types.MethodType):
            arguments, awaits = _of_method(handler_name, name, function.__func__)
        else:
            arguments, awaits = _signature(handler_name, name, function)
        found[name] = adapted(function, arguments, hook_arguments, awaits=awaits)
        if awaits:
            awaiting.add(name)
    if not found:
        raise TypeError(f"the handler {handler!r} has none of the methods {', '.join(METHODS)}")
    for name in ("framing", "eof"):
        if name in awaiting:
            raise TypeError(f"{_named(handler_name, name)} is async, but its result is needed immediately")
    framing, failed, failed_awaits = found.pop("framing", None), found.pop("failed", None), "failed" in awaiting
    awaiting.discard("failed")
    return Handler(_attribution(plugin), found, awaiting, framing, failed, failed_awaits)


@functools.lru_cache(maxsize=64)
def _attribution(plugin: str) -> Attribution:
    # The home is not known here, and with one plugin it does not matter.
    return Attribution([LoadedPlugin(PluginIdentity(plugin, None, None, plugin), None, (), None)], {})


@functools.lru_cache(maxsize=256)
def _of_method(handler: str, name: str, function: Callable[..., Any]) -> tuple[tuple[str, ...], bool]:
    # A proxy makes a handler for each client, and signatures were a sixth of what such a client costs. The binding
    # differs each time, the function below it does not.
    return _signature(handler, name, types.MethodType(function, handler))


def _signature(handler: str, name: str, function: Callable[..., Any]) -> tuple[tuple[str, ...], bool]:
    """Return the names of a method's arguments, and whether it is a coroutine function."""
    return _arguments(handler, name, function), inspect.iscoroutinefunction(function)


def _arguments(handler: str, name: str, function: Callable[..., Any]) -> tuple[str, ...]:
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


def _named(handler: str, method: str) -> str:
    return f"{method} of the handler {handler}"


NONE = Handler(_attribution("?"), {}, (), None, None, False)
"""A handler without methods."""
