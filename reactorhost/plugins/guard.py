"""The boundary between the host and a plugin's code: no exception of a plugin crosses it unhandled.

Every broad `except` around plugin code is here, in the calls made from this guard, or where the hot path has its own:
in the transports (around `receive`), the timers and the thread pool. `sys.exit()` in a plugin counts as an error of
the plugin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from reactorhost.errors import PluginError
from reactorhost.plugins import tracebacks, wrappers
from reactorhost.plugins.identity import PluginIdentity

OnError = Callable[[str, str, Any, Exception], object]
"""Called with the plugin's name, the hook's name, the hook's first argument, and the exception."""


class NotAnExceptionError(Exception):
    """A plugin called `sys.exit()`, or raised another exception that is not an `Exception`."""


def guarded(plugin: str, hook: str, function: Callable[..., Any], on_error: OnError) -> Callable[..., Any]:
    """Return a callable that calls `function`; an exception goes to `on_error`, and the result is then None."""

    def call(subject: Any, *rest: Any) -> Any:
        try:
            return function(subject, *rest)
        except BaseException as raised:  # noqa: BLE001 - plugin code; a worker's signal handlers never raise
            on_error(plugin, hook, subject, as_error(raised))
            return None

    return call


def guarded_halves(
    plugin: str, hook: str, wrapper: Callable[..., Any], on_error: OnError
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the two halves of a wrapper, each guarded.

    The first runs the wrapper up to its yield and returns the generator, or None if that failed. The second is called
    with the hook's first argument, the generator and the result of the wrapped hooks; it returns the wrapper's result
    as a tuple of one, or None if that failed.
    """

    def start(*arguments: Any) -> wrappers.Wrapper:
        return wrappers.start(wrapper, *arguments)

    def finish(_subject: Any, generator: wrappers.Wrapper, result: Any) -> tuple[Any]:
        return (wrappers.finish(generator, result),)

    return guarded(plugin, hook, start, on_error), guarded(plugin, hook, finish, on_error)


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
        raise PluginError(
            f"plugin {identity} {failed}: {tracebacks.headline(error)}",
            where=tracebacks.place(error, home),
            hint=_hint(error),
            details=tracebacks.text(error),
        ) from error


def as_error(raised: BaseException) -> Exception:
    """Return what a plugin raised, replaced by a `NotAnExceptionError` if it is not an `Exception`."""
    if isinstance(raised, Exception):
        return raised
    what = f"called sys.exit({raised.code!r})" if isinstance(raised, SystemExit) else f"raised {type(raised).__name__}"
    return NotAnExceptionError(f"the plugin {what}").with_traceback(raised.__traceback__)


def _hint(error: BaseException) -> str | None:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"install {error.name.partition('.')[0]!r}, or put its folder on PYTHONPATH"
    return None
