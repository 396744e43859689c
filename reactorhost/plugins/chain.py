"""Resolve the hooks of a service's plugins to plain callables, once, so that a message meets no pluggy frame.

pluggy says in which order hooks are called; the calls are made here. `receive` follows pluggy to the letter, and with
one plugin it is the plugin's own function. `connect`, `close` and `drain` differ in one thing: pluggy stops at the
first exception, here every plugin is called, so that each sees `close` exactly once for every `connect`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn, Protocol

from reactorhost.api.connection import CloseReason, Connection
from reactorhost.errors import BootError
from reactorhost.plugins import plain_calls, tracebacks, wrappers
from reactorhost.plugins.attribution import Attribution, blame_among
from reactorhost.plugins.guard import OnError
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.plugins.registry import Implementation, Registry


@dataclass(frozen=True, slots=True)
class Chain:
    """The hooks of one service.

    Attributes:
        connect: call the hook in every plugin; what is raised goes to `on_error`.
        receive: call the hook until one consumes the data; what is raised comes out, and `blame` says whose it is.
        close: as `connect`.
        drain: as `connect`.
        has_drain: whether any plugin has the hook.
        awaits: whether the four are coroutine functions, because a hook is.
    """

    connect: Callable[[Connection], Any]
    receive: Callable[[Connection, bytes], Any]
    close: Callable[[Connection, CloseReason], Any]
    drain: Callable[[Connection], Any]
    has_drain: bool
    awaits: bool
    _blame: Attribution

    def blame(self, error: BaseException) -> str:
        """Return the name of the plugin whose hook raised, or `?`."""
        return self._blame.name(error)


WorkerOf = Callable[[str], Any]
"""Returns the worker as the plugin of a name sees it."""


@dataclass(frozen=True, slots=True)
class WorkerHooks:
    """The hooks of one worker process, over the plugins of all its services; each plugin is given its own worker.

    Attributes:
        worker_start: call the hook in order; raises BootError, with plugin and traceback, for the first that fails.
        worker_stop: call the hook in every plugin; what is raised goes to `on_error`, with None for a connection.
        awaits: whether both are coroutine functions, because a hook is.
        stats: the hook of each plugin that has it.
        blame: tells all plugins of the worker apart.
    """

    worker_start: Callable[[WorkerOf], Any]
    worker_stop: Callable[[WorkerOf], Any]
    awaits: bool
    stats: Sequence[Implementation]
    blame: Attribution


Around = Callable[[str, str, wrappers.Call], wrappers.Call]
"""Called with a plugin's name, a hook's, and the call of it; returns what is called in its place."""


def as_it_is(plugin: str, hook: str, call: wrappers.Call) -> wrappers.Call:
    """Put nothing around a hook."""
    return call


def resolve(
    plugins: Sequence[LoadedPlugin],
    on_error: Callable[[str, str, Connection, Exception], object],
    around: Around = as_it_is,
) -> Chain:
    """Return the chain of a service, its plugins in the order in which they were named.

    `around` is put around the hooks of each plugin, around a wrapper together with all that it wraps.

    Raises:
        PluginError: one plugin breaks the contract, or two have one name.
    """
    registry = Registry(plugins)
    return _chain(registry.implementations, blame_among(registry), on_error, around)


def resolve_one(
    plugin: LoadedPlugin,
    implementations: Mapping[str, Implementation],
    on_error: Callable[[str, str, Connection, Exception], object],
    around: Around = as_it_is,
) -> Chain:
    """Return a chain of one implementation of each hook at most, all of one plugin."""

    def found(hook: str) -> list[Implementation]:
        return [implementations[hook]] if hook in implementations else []

    return _chain(found, Attribution([plugin], {}), on_error, around)


def _chain(
    implementations: Callable[[str], list[Implementation]],
    blame: Attribution,
    on_error: Callable[[str, str, Connection, Exception], object],
    around: Around,
) -> Chain:
    connect, receive, close, drain = (implementations(hook) for hook in ("connect", "receive", "close", "drain"))
    calls = _calls_for((*connect, *receive, *close, *drain))
    composed = _Composition(calls, around)
    return Chain(
        connect=composed.every_guarded(connect, on_error),
        receive=composed.wrapped(receive, calls.first_result),
        close=composed.every_guarded(close, on_error),
        drain=composed.every_guarded(drain, on_error),
        has_drain=bool(drain),
        awaits=calls is not plain_calls,
        _blame=blame,
    )


def resolve_worker(
    plugins: Sequence[LoadedPlugin], on_error: Callable[[str, str, None, Exception], object]
) -> WorkerHooks:
    """Return the worker's hooks; a plugin that several services have is called once.

    Raises:
        PluginError: one plugin breaks the contract, or two have one name.
    """
    registry = Registry(list({id(plugin.object): plugin for plugin in plugins}.values()))
    starts = [_with_own_worker(found) for found in registry.implementations("worker_start")]
    stops = [_with_own_worker(found) for found in registry.implementations("worker_stop")]
    calls = _calls_for((*starts, *stops))
    composed = _Composition(calls, as_it_is)
    blame = blame_among(registry)

    def refuse_boot(_plugin: str, hook: str, _worker: object, error: Exception) -> NoReturn:
        raise _boot_error(blame.plugin(error), hook, error) from error

    def tell(plugin: str, hook: str, _worker: object, error: Exception) -> None:
        on_error(plugin, hook, None, error)

    start = composed.wrapped(starts, calls.every_result)
    return WorkerHooks(
        worker_start=calls.guarded("?", "worker_start", start, refuse_boot),
        worker_stop=composed.every_guarded(stops, tell),
        awaits=calls is not plain_calls,
        stats=registry.implementations("stats"),
        blame=blame,
    )


def _with_own_worker(found: Implementation) -> Implementation:
    call, name = found.call, found.plugin.name
    if not found.hook.awaits:
        return replace(found, call=lambda worker_of: call(worker_of(name)))

    async def awaited(worker_of: WorkerOf) -> Any:
        return await call(worker_of(name))

    return replace(found, call=awaited)


class Calls(Protocol):
    """The ways to combine hooks: `plugins.plain`, or `plugins.awaiting` when some are async."""

    def first_result(self, calls: Sequence[wrappers.Call], /) -> wrappers.Call: ...
    def every_result(self, calls: Sequence[wrappers.Call], /) -> wrappers.Call: ...
    def wrapped(self, wrapper: wrappers.Call, inner: wrappers.Call, /) -> wrappers.Call: ...
    def guarded(self, plugin: str, hook: str, function: wrappers.Call, on_error: OnError, /) -> wrappers.Call: ...
    def guarded_wrapper(
        self, plugin: str, hook: str, wrapper: wrappers.Call, inner: wrappers.Call, on_error: OnError, /
    ) -> wrappers.Call: ...


def _calls_for(implementations: Iterable[Implementation]) -> Calls:
    if not any(found.hook.awaits for found in implementations):
        return plain_calls
    # Only here: a worker without async hooks does not pay for asyncio.
    from reactorhost.plugins import async_calls

    return async_calls


@dataclass(frozen=True, slots=True)
class _Composition:
    """The hooks of several plugins as one callable each."""

    calls: Calls
    around: Around

    def wrapped(
        self, implementations: Sequence[Implementation], combined: Callable[[Sequence[wrappers.Call]], wrappers.Call]
    ) -> wrappers.Call:
        """Return a callable of all of one hook; what is raised comes out of it."""
        call = combined([self._put(found, found.call) for found in implementations if not found.hook.wraps])
        for found in reversed(implementations):
            if found.hook.wraps:
                call = self._put(found, self.calls.wrapped(found.call, call))
        return call

    def every_guarded(self, implementations: Sequence[Implementation], on_error: OnError) -> wrappers.Call:
        """Return a callable of all of one hook that reaches every plugin; what one raises goes to `on_error`."""
        calls = [
            self.calls.guarded(found.plugin.name, found.hook.name, self._put(found, found.call), on_error)
            for found in implementations
            if not found.hook.wraps
        ]
        # With one plugin, which is common, nothing stands between the guard and the caller.
        call = calls[0] if len(implementations) == len(calls) == 1 else self.calls.every_result(calls)
        for found in reversed(implementations):
            if found.hook.wraps:
                around_all = self.calls.guarded_wrapper(found.plugin.name, found.hook.name, found.call, call, on_error)
                call = self._put(found, around_all)
        return call

    def _put(self, found: Implementation, call: wrappers.Call) -> wrappers.Call:
        return self.around(found.plugin.name, found.hook.name, call)


def _boot_error(plugin: LoadedPlugin | None, hook: str, error: Exception) -> BootError:
    name = f"plugin {plugin.identity}" if plugin else "a plugin"
    return BootError(
        f"{name} failed in {hook}: {tracebacks.headline(error)}",
        where=tracebacks.place(error, plugin.home if plugin else None),
        details=tracebacks.text(error),
    )
