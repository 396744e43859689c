"""Resolve the hooks of a service's plugins to plain callables, once, so that a message passes no pluggy frame.

pluggy decides the order of hooks; the calls are made here. `receive` behaves exactly as under pluggy, and with one
plugin it is that plugin's own function. `connect`, `close` and `drain` differ in one point: pluggy stops at the first
exception, here every plugin is called, so that each sees `close` exactly once for every `connect`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NoReturn

from reactorhost.api.close_reason import CloseReason
from reactorhost.api.connection import Connection
from reactorhost.errors import BootError
from reactorhost.plugins import calls, tracebacks
from reactorhost.plugins.attribution import Attribution, attribution_of
from reactorhost.plugins.calls import Call
from reactorhost.plugins.contract import LOOP_HOOKS, Hook
from reactorhost.plugins.guard import OnError, guarded
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.plugins.registry import Implementation, Registry


@dataclass(frozen=True, slots=True)
class Chain:
    """The hooks of one service.

    Attributes:
        connect: call the hook in every plugin; exceptions go to `on_error`.
        receive: call the hook until one consumes the data; exceptions propagate, `plugin_of` finds the plugin.
        eof: as `receive`, and never a coroutine function; None if no plugin has the hook.
        close: as `connect`.
        drain: as `connect`.
        has_drain: whether any plugin has the hook.
        awaits: whether `connect`, `receive`, `close` and `drain` are coroutine functions, because a hook is one.
    """

    connect: Callable[[Connection], Any]
    receive: Callable[[Connection, bytes], Any]
    eof: Callable[[Connection], Any] | None
    close: Callable[[Connection, CloseReason], Any]
    drain: Callable[[Connection], Any]
    has_drain: bool
    awaits: bool
    _attribution: Attribution

    def without_hooks(self) -> Chain:
        """Return a chain that calls nothing, and finds the plugin of an exception as this one does."""
        nothing = _NOTHING[False]
        return Chain(nothing, nothing, None, nothing, nothing, False, False, self._attribution)

    def plugin_of(self, error: BaseException) -> str:
        """Return the name of the plugin whose code raised the exception, or `?`."""
        plugin = self._attribution.plugin_of(error)
        return plugin.name if plugin else "?"

    def caller(self) -> str | None:
        """Return the name of the plugin whose code is calling the host now, or None if no plugin is on the stack."""
        plugin = self._attribution.caller(inspect.currentframe())
        return plugin.name if plugin else None


WorkerOf = Callable[[str], Any]
"""Returns the `Worker` object of the plugin of a name."""


@dataclass(frozen=True, slots=True)
class LoopHook:
    """One hook of the worker over all plugins, called with `WorkerOf` and the hook's other arguments.

    Attributes:
        call: call the hook in every plugin; exceptions go to `on_error`, with None for the connection.
        awaits: whether `call` is a coroutine function, because a hook is one.
    """

    call: Call
    awaits: bool


@dataclass(frozen=True, slots=True)
class WorkerHooks:
    """The hooks of one worker process, over the plugins of all its services; each plugin gets its own `Worker`.

    Attributes:
        worker_start: call the hook in order; raises BootError, with plugin and traceback, for the first that fails.
        worker_stop: call the hook in every plugin; exceptions go to `on_error`, with None for the connection.
        awaits: whether both are coroutine functions, because a hook is one.
        stats: the hook of each plugin that has it.
        in_loop: the hooks that are called while the loop runs, by name, without those that no plugin has.
        attribution: finds the plugin of an exception or a stack among all plugins of the worker.
    """

    worker_start: Callable[[WorkerOf], Any]
    worker_stop: Callable[[WorkerOf], Any]
    awaits: bool
    stats: Sequence[Implementation]
    in_loop: Mapping[str, LoopHook]
    attribution: Attribution


# What is called in place of a hook that no plugin has; the second one is a coroutine function.
_NOTHING = (calls.first_result((), awaits=False), calls.first_result((), awaits=True))

Around = Callable[[str, str, Call], Call]
"""Called with a plugin's name, a hook's name and its call; returns the callable that is called instead."""


def as_it_is(plugin: str, hook: str, call: Call) -> Call:
    """Return the call unchanged."""
    return call


def resolve(
    plugins: Sequence[LoadedPlugin],
    on_error: Callable[[str, str, Connection, Exception], object],
    around: Around = as_it_is,
    *,
    added: Mapping[str, Sequence[Hook]] = MappingProxyType({}),
) -> Chain:
    """Return the chain of a service with its plugins in the order in which they were named.

    `added` are hooks of the host, by the name of the plugin in whose place they are called. `around` is applied to each
    plugin's hooks; to a wrapper together with the hooks that it wraps.

    Raises:
        PluginError: a plugin breaks the contract, or two have the same name.
    """
    registry = Registry(plugins, added)
    implementations = registry.implementations
    connect, receive, close, drain = (implementations(hook) for hook in ("connect", "receive", "close", "drain"))
    eof = implementations("eof")
    awaits = _any_awaits(connect, receive, close, drain)
    composition = _Composition(awaits, around)
    return Chain(
        connect=composition.every_guarded(connect, on_error),
        # Not guarded: the transport has a guard of its own around the hot path, and closes the connection in it.
        receive=composition.unguarded(receive, calls.first_result),
        eof=_Composition(False, around).unguarded(eof, calls.first_result) if eof else None,
        close=composition.every_guarded(close, on_error),
        drain=composition.every_guarded(drain, on_error),
        has_drain=bool(drain),
        awaits=awaits,
        _attribution=attribution_of(registry),
    )


def resolve_one(
    attribution: Attribution,
    found: Mapping[str, Call],
    awaiting: Collection[str],
    on_error: Callable[[str, str, Connection, Exception], object],
    around: Around = as_it_is,
) -> Chain:
    """Return a chain of the only plugin of an attribution, from its hooks by name: one of each at most, no wrapper.

    Those in `awaiting` are coroutine functions. Each outbound connection has such a chain.
    """
    (plugin,) = attribution.plugins
    awaits = bool(awaiting)

    def guard(hook: str) -> Call:
        return guarded(plugin.name, hook, single(hook), on_error, awaits=awaits) if hook in found else _NOTHING[awaits]

    def single(hook: str) -> Call:
        call = around(plugin.name, hook, found[hook])
        return calls.as_async(call) if awaits and hook not in awaiting and hook != "eof" else call

    return Chain(
        connect=guard("connect"),
        receive=single("receive") if "receive" in found else _NOTHING[awaits],
        eof=single("eof") if "eof" in found else None,
        close=guard("close"),
        drain=guard("drain"),
        has_drain="drain" in found,
        awaits=awaits,
        _attribution=attribution,
    )


def resolve_worker(
    plugins: Sequence[LoadedPlugin], on_error: Callable[[str, str, None, Exception], object]
) -> WorkerHooks:
    """Return the worker's hooks; a plugin of several services is called once.

    Raises:
        PluginError: a plugin breaks the contract, or two have the same name.
    """
    # By id and not in a set: the object is a plugin's and may define `==` without a hash.
    registry = Registry(list({id(plugin.object): plugin for plugin in plugins}.values()))
    starts = [_with_own_worker(found) for found in registry.implementations("worker_start")]
    stops = [_with_own_worker(found) for found in registry.implementations("worker_stop")]
    awaits = _any_awaits(starts, stops)
    composition = _Composition(awaits, as_it_is)
    attribution = attribution_of(registry)

    # The guard around the whole chain does not know which plugin raised, hence "?" below and the attribution here.
    def fail_boot(_plugin: str, hook: str, _worker: object, error: Exception) -> NoReturn:
        raise _boot_error(attribution.plugin_of(error), hook, error) from error

    def report(plugin: str, hook: str, _worker: object, error: Exception) -> None:
        on_error(plugin, hook, None, error)

    in_loop = {}
    for name in LOOP_HOOKS:
        found = [_with_own_worker(each) for each in registry.implementations(name)]
        if found:
            in_loop_awaits = _any_awaits(found)
            call = _Composition(in_loop_awaits, as_it_is).every_guarded(found, report)
            in_loop[name] = LoopHook(call, in_loop_awaits)
    return WorkerHooks(
        worker_start=guarded(
            "?", "worker_start", composition.unguarded(starts, calls.every_result), fail_boot, awaits=awaits
        ),
        worker_stop=composition.every_guarded(stops, report),
        awaits=awaits,
        # Not combined: metrics are kept by plugin, and the failure of one plugin must not hide those of another.
        stats=registry.implementations("stats"),
        in_loop=in_loop,
        attribution=attribution,
    )


def _with_own_worker(found: Implementation) -> Implementation:
    # An async hook's coroutine is returned, and awaited by the caller.
    call, name = found.call, found.plugin.name
    return replace(found, call=lambda worker_of, *rest: call(worker_of(name), *rest))


def _any_awaits(*hooks: Sequence[Implementation]) -> bool:
    return any(found.hook.awaits for implementations in hooks for found in implementations)


@dataclass(frozen=True, slots=True)
class _Composition:
    """Combines the implementations of one hook into one callable, with `awaits` a coroutine function."""

    awaits: bool
    around: Around

    def unguarded(self, implementations: Sequence[Implementation], combine: Callable[..., Call]) -> Call:
        """Return a callable of all implementations, from which exceptions propagate."""
        plain = [self._call(found) for found in implementations if not found.hook.wraps]
        return self._wrapped(implementations, combine(plain, awaits=self.awaits), None)

    def every_guarded(self, implementations: Sequence[Implementation], on_error: OnError) -> Call:
        """Return a callable that calls every plugin; the exceptions of each go to `on_error`."""
        guards = [
            guarded(found.plugin.name, found.hook.name, self._call(found), on_error, awaits=self.awaits)
            for found in implementations
            if not found.hook.wraps
        ]
        # One plugin is the common case: then the guard is called directly, which saves a frame.
        single = len(implementations) == len(guards) == 1
        call = guards[0] if single else calls.every_result(guards, awaits=self.awaits)
        return self._wrapped(implementations, call, on_error)

    def _call(self, found: Implementation) -> Call:
        # First `around`, which measures a plain hook in another way than a coroutine function.
        call = self.around(found.plugin.name, found.hook.name, found.call)
        return calls.as_async(call) if self.awaits and not found.hook.awaits else call

    def _wrapped(self, implementations: Sequence[Implementation], call: Call, on_error: OnError | None) -> Call:
        # The outermost wrapper is the first implementation, so it is applied last.
        for found in reversed(implementations):
            if found.hook.wraps:
                plugin, hook = found.plugin.name, found.hook.name
                halves = calls.halves_of(plugin, hook, found.call, on_error)
                call = self.around(plugin, hook, calls.wrapped(halves, call, awaits=self.awaits))
        return call


def _boot_error(plugin: LoadedPlugin | None, hook: str, error: Exception) -> BootError:
    name = f"plugin {plugin.identity}" if plugin else "a plugin"
    return BootError(
        f"{name} failed in {hook}: {tracebacks.headline(error)}",
        **tracebacks.evidence(error, plugin.home if plugin else None),
    )
