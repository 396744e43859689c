"""The boundary between the host and a plugin's code: no exception of a plugin crosses it unhandled.

Every broad `except` around plugin code is here, in `calls`, or in the worker where it calls plugins without this
guard: for messages and framings, queued hooks, timers, tasks and subscriptions, threads, requests of histories,
backends of the bus, `stats` and signal handlers. What they raise goes through `as_error`, so `sys.exit()` in a plugin
counts as an error of the plugin.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from reactorhost.errors import PluginError
from reactorhost.plugins import tracebacks
from reactorhost.plugins.identity import PluginIdentity
from reactorhost.plugins.name_hints import for_missing_module

OnError = Callable[[str, str, Any, Exception], object]
"""Called with the plugin's name, the hook's name, the hook's first argument, and the exception."""


_NO_ATTRIBUTE = re.compile(r"'Connection' object has no attribute '(\w+)'( and no __dict__ .*)?")


class NotAnExceptionError(Exception):
    """A plugin called `sys.exit()`, or raised another exception that is not an `Exception`."""


def guarded(
    plugin: str, hook: str, function: Callable[..., Any], on_error: OnError, *, awaits: bool
) -> Callable[..., Any]:
    """Return a callable that calls `function`; an exception goes to `on_error`, and the result is then None.

    With `awaits` both are coroutine functions.
    """
    if awaits:

        async def call_async(subject: Any, *rest: Any) -> Any:
            try:
                return await function(subject, *rest)
            except BaseException as raised:  # noqa: BLE001 - as below
                # Imported here: a worker without async hooks does not import asyncio.
                from reactorhost.plugins.host_task import is_host_cancellation

                if not is_host_cancellation(raised):
                    on_error(plugin, hook, subject, as_error(raised))
                return None

        return call_async

    def call(subject: Any, *rest: Any) -> Any:
        try:
            return function(subject, *rest)
        except BaseException as raised:  # noqa: BLE001 - plugin code; a worker's signal handlers never raise
            on_error(plugin, hook, subject, as_error(raised))
            return None

    return call


@contextmanager
def loading(identity: PluginIdentity, failed: str, home: str | None) -> Iterator[None]:
    """Run a plugin's code while it is loaded; `failed` says what failed, for example `failed to import`.

    Raises:
        PluginError: the code raised an exception.
    """
    try:
        yield
    # No KeyboardInterrupt: a command that loads a plugin can be interrupted.
    except (Exception, SystemExit, GeneratorExit) as raised:  # noqa: BLE001 - plugin code
        error = as_error(raised)
        evidence = tracebacks.evidence(error, home)
        if isinstance(error, ModuleNotFoundError) and error.name:
            evidence["hint"] = for_missing_module(identity, error.name)
        raise PluginError(f"plugin {identity} {failed}: {tracebacks.headline(error)}", **evidence) from error


def as_error(raised: BaseException) -> Exception:
    """Return what a plugin raised, replaced by a `NotAnExceptionError` if it is not an `Exception`."""
    if isinstance(raised, Exception):
        _explain(raised)
        return raised
    what = f"called sys.exit({raised.code!r})" if isinstance(raised, SystemExit) else f"raised {type(raised).__name__}"
    return NotAnExceptionError(f"the plugin {what}").with_traceback(raised.__traceback__)


def _explain(error: Exception) -> None:
    """Let an exception about an attribute of a connection say what to do, in the log and in a test."""
    # Not by `__setattr__` and `__getattr__` of `Connection`: these would cost every message.
    if type(error) is AttributeError and (found := _NO_ATTRIBUTE.fullmatch(str(error))):
        name = found[1]
        error.args = (f"a connection has no attribute {name!r}; a plugin keeps its own as connection.state.{name}",)
