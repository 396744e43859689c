"""Resolve the hooks of a service's plugins to plain callables, once, so that a message meets no pluggy frame.

pluggy says in which order hooks are called; the calls are made here. `receive` follows pluggy to the letter, and with
one plugin it is the plugin's own function. `connect`, `close` and `drain` differ in one thing: pluggy stops at the
first exception, here every plugin is called, so that each sees `close` exactly once for every `connect`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from reactorhost.connection import CloseReason, Connection
from reactorhost.errors import BootError
from reactorhost.plugins import onion, tracebacks
from reactorhost.plugins.blame import Blame, blame_among
from reactorhost.plugins.guard import OnError, guarded
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
    """

    connect: Callable[[Connection], object]
    receive: Callable[[Connection, bytes], object]
    close: Callable[[Connection, CloseReason], object]
    drain: Callable[[Connection], object]
    has_drain: bool
    _blame: Blame

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
        stats: the hook of each plugin that has it.
        blame: tells all plugins of the worker apart.
    """

    worker_start: Callable[[WorkerOf], object]
    worker_stop: Callable[[WorkerOf], object]
    stats: Sequence[Implementation]
    blame: Blame


Around = Callable[[str, str, onion.Call], onion.Call]
"""Called with a plugin's name, a hook's, and the call of it; returns what is called in its place."""


def _as_it_is(plugin: str, hook: str, call: onion.Call) -> onion.Call:
    return call


def resolve(
    plugins: Sequence[LoadedPlugin],
    on_error: Callable[[str, str, Connection, Exception], object],
    around: Around = _as_it_is,
) -> Chain:
    """Return the chain of a service, its plugins in the order in which they were named.

    `around` is put around the hooks of each plugin, around a wrapper together with all that it wraps.

    Raises:
        PluginError: one plugin breaks the contract, or two have one name.
    """
    registry = Registry(plugins)
    return Chain(
        connect=_every_guarded(registry.implementations("connect"), on_error, around),
        receive=_receive(registry.implementations("receive"), around),
        close=_every_guarded(registry.implementations("close"), on_error, around),
        drain=_every_guarded(registry.implementations("drain"), on_error, around),
        has_drain=bool(registry.implementations("drain")),
        _blame=blame_among(registry),
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
    blame = blame_among(registry)

    def refuse_boot(_plugin: str, hook: str, _worker: object, error: Exception) -> NoReturn:
        raise _boot_error(blame.plugin(error), hook, error) from error

    def tell(plugin: str, hook: str, _worker: object, error: Exception) -> None:
        on_error(plugin, hook, None, error)

    start = _wrapped(starts, onion.every_result)
    return WorkerHooks(
        worker_start=guarded("?", "worker_start", start, refuse_boot),
        worker_stop=_every_guarded(stops, tell),
        stats=registry.implementations("stats"),
        blame=blame,
    )


def _with_own_worker(found: Implementation) -> Implementation:
    call, name = found.call, found.plugin.name
    return replace(found, call=lambda worker_of: call(worker_of(name)))


def _receive(implementations: Sequence[Implementation], around: Around) -> Callable[[Connection, bytes], object]:
    if not implementations:
        return lambda connection, data: None
    return _wrapped(implementations, _first_result, around)


def _first_result(calls: Sequence[onion.Call]) -> onion.Call:
    return calls[0] if len(calls) == 1 else onion.first_result(calls)


def _wrapped(
    implementations: Sequence[Implementation],
    combined: Callable[[Sequence[onion.Call]], onion.Call],
    around: Around = _as_it_is,
) -> onion.Call:
    call = combined([_put(around, found, found.call) for found in implementations if not found.hook.wraps])
    for found in reversed(implementations):
        if found.hook.wraps:
            call = _put(around, found, onion.wrapped(found.call, call))
    return call


def _put(around: Around, found: Implementation, call: onion.Call) -> onion.Call:
    return around(found.plugin.name, found.hook.name, call)


def _every_guarded(
    implementations: Sequence[Implementation], on_error: OnError, around: Around = _as_it_is
) -> onion.Call:
    calls = [
        guarded(found.plugin.name, found.hook.name, _put(around, found, found.call), on_error)
        for found in implementations
        if not found.hook.wraps
    ]
    # With one plugin, which is common, nothing stands between the guard and the caller.
    call = calls[0] if len(implementations) == len(calls) == 1 else onion.every_result(calls)
    for found in reversed(implementations):
        if found.hook.wraps:
            call = _put(around, found, _guarded_wrapper(found, call, on_error))
    return call


def _guarded_wrapper(found: Implementation, inner: onion.Call, on_error: OnError) -> onion.Call:
    def started(*arguments: Any) -> onion.Wrapper:
        return onion.start(found.call, *arguments)

    def finished(_subject: Any, generator: onion.Wrapper, result: Any) -> tuple[Any]:
        return (onion.finish(generator, result),)

    start = guarded(found.plugin.name, found.hook.name, started, on_error)
    finish = guarded(found.plugin.name, found.hook.name, finished, on_error)

    def call(subject: Any, *rest: Any) -> Any:
        generator = start(subject, *rest)
        result = inner(subject, *rest)
        if generator is None:
            return result
        outcome = finish(subject, generator, result)
        return result if outcome is None else outcome[0]

    return call


def _boot_error(plugin: LoadedPlugin | None, hook: str, error: Exception) -> BootError:
    name = f"plugin {plugin.identity}" if plugin else "a plugin"
    return BootError(
        f"{name} failed in {hook}: {tracebacks.headline(error)}",
        where=tracebacks.place(error, plugin.home if plugin else None),
        details=tracebacks.text(error),
    )
