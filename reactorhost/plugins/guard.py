"""The line between the host and a plugin's code: what is raised beyond it ends here.

Only this file, the transport (around `receive`, on the hot path) and the timers catch whatever a plugin raises.
`sys.exit()` counts as an error of the plugin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from reactorhost.errors import PluginError
from reactorhost.plugins import tracebacks, wrappers
from reactorhost.plugins.identity import PluginIdentity

OnError = Callable[[str, str, Any, Exception], object]
"""Called with the plugin's name, the hook, the hook's first argument, and what was raised."""


class ExitCalledError(Exception):
    """A plugin wanted to end the process, by `sys.exit()` or an interrupt, which is not its business."""


def guarded(plugin: str, hook: str, function: Callable[..., Any], on_error: OnError) -> Callable[..., Any]:
    """Return a callable that hands what `function` raises to `on_error`, with its first argument, and returns None."""

    def call(subject: Any, *rest: Any) -> Any:
        try:
            return function(subject, *rest)
        except BaseException as raised:  # noqa: BLE001 - the one place for it; an interrupt is the plugin's own too
            on_error(plugin, hook, subject, as_error(raised))
            return None

    return call


def guarded_ends(
    plugin: str, hook: str, wrapper: Callable[..., Any], on_error: OnError
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the two halves of a wrapper, each guarded.

    The first runs it up to its yield and returns the generator, or None when that failed. The second is called with
    the hook's first argument, the generator and the result, and returns a tuple of the wrapper's own, or None.
    """

    def started(*arguments: Any) -> wrappers.Wrapper:
        return wrappers.start(wrapper, *arguments)

    def finished(_subject: Any, generator: wrappers.Wrapper, result: Any) -> tuple[Any]:
        return (wrappers.finish(generator, result),)

    return guarded(plugin, hook, started, on_error), guarded(plugin, hook, finished, on_error)


@contextmanager
def loading(identity: PluginIdentity, failed: str, home: str | None) -> Iterator[None]:
    """Run a plugin's code while it is loaded; `failed` says what has failed, as `failed to import`.

    Raises:
        PluginError: the code raised something.
    """
    try:
        yield
    except (Exception, SystemExit, GeneratorExit) as raised:  # noqa: BLE001 - and the other
        error = as_error(raised)
        raise PluginError(
            f"plugin {identity} {failed}: {tracebacks.headline(error)}",
            where=tracebacks.place(error, home),
            hint=_hint(error),
            details=tracebacks.text(error),
        ) from error


def as_error(raised: BaseException) -> Exception:
    """Return what a plugin raised as an error of its own, also where it would end the process."""
    if isinstance(raised, Exception):
        return raised
    what = f"called sys.exit({raised.code!r})" if isinstance(raised, SystemExit) else f"raised {type(raised).__name__}"
    return ExitCalledError(f"the plugin {what}").with_traceback(raised.__traceback__)


def _hint(error: BaseException) -> str | None:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"install {error.name.partition('.')[0]!r}, or put its folder on PYTHONPATH"
    return None
