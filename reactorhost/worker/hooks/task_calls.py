"""Coroutines of plugins that `connection.create_task` runs as tasks of asyncio.

A task ends as its coroutine does: code that awaits it gets the result or the exception. The exception is reported as
well, whether or not it is awaited, because the caller of `create_task` seldom waits.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any

from reactorhost.plugins.guard import as_error

if TYPE_CHECKING:
    import asyncio

    from reactorhost.api.connection import Connection
    from reactorhost.plugins.host_task import HostTask


def start(
    coroutine: Coroutine[Any, Any, Any],
    variables: Context,
    on_error: Callable[[Exception], object],
    connection: Connection | None,
) -> HostTask:
    """Run a coroutine as a task in a context; an exception goes to `on_error`.

    `connection` is the client that it runs for: see `worker.monitor.served_client`.

    Raises:
        TypeError: it is not a coroutine.
        RuntimeError: the worker has no asyncio loop.
    """
    return _task(coroutine, watched(coroutine, on_error, connection), variables)


def start_cancelled(coroutine: Coroutine[Any, Any, Any], variables: Context) -> HostTask:
    """Return a task that ends as cancelled, without a step of the coroutine.

    Raises:
        TypeError: it is not a coroutine.
        RuntimeError: the worker has no asyncio loop.
    """
    return _task(coroutine, _cancelled(coroutine), variables)


def _task(coroutine: object, body: Coroutine[Any, Any, Any], variables: Context) -> HostTask:
    import asyncio

    if not isinstance(coroutine, Coroutine):
        body.close()
        raise TypeError(f"create_task takes a coroutine, not {coroutine!r}")
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        # Without this, Python warns that they were never awaited.
        body.close()
        coroutine.close()
        raise RuntimeError(
            "connection.create_task needs an asyncio loop, and this worker has none: a plugin needs an async hook or a "
            "protocol"
        ) from None
    from reactorhost.plugins.host_task import HostTask

    task = HostTask(body, loop=loop, context=variables)
    task.add_done_callback(_retrieve)
    return task


# The code object of this function marks tasks on a stack: see `worker.hook_watchdog`.
async def watched(
    coroutine: Coroutine[Any, Any, Any], on_error: Callable[[Exception], object], connection: Connection | None
) -> Any:
    """Await a coroutine, and report an exception before it is raised again."""
    import asyncio

    try:
        return await coroutine
    except GeneratorExit:
        # The task is collected with its loop.
        raise
    except asyncio.CancelledError as raised:
        task = asyncio.current_task()
        # Else out of something awaited that was cancelled, which is an error as in a hook.
        if task is None or not task.cancelling():
            on_error(as_error(raised))
        raise
    except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
        error = as_error(raised)
        on_error(error)
        # asyncio would re-raise a SystemExit of a task from `run_forever`.
        raise error  # noqa: B904  it has the traceback of what it replaces


async def _cancelled(coroutine: Coroutine[Any, Any, Any]) -> None:
    import asyncio

    coroutine.close()
    raise asyncio.CancelledError


def _retrieve(task: asyncio.Task[Any]) -> None:
    # Without this, asyncio logs that the exception was never retrieved.
    if not task.cancelled():
        task.exception()
