"""Call functions that a plugin has passed to the host, plain or async, and report what they raise.

An async function runs as a task of asyncio. The caller keeps the task: asyncio has only weak references to its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any

from reactorhost.plugins.guard import as_error

if TYPE_CHECKING:
    from reactorhost.api.connection import Connection
    from reactorhost.plugins.host_task import HostTask

OnError = Callable[[Exception], object]


def call(
    function: Callable[..., object],
    args: tuple[Any, ...],
    variables: Context,
    on_error: OnError,
    connection: Connection | None = None,
) -> HostTask | None:
    """Call a plugin's function in a context; returns the task of an async one. Exceptions go to `on_error`.

    `connection` is the client that it is called for: see `worker.monitor.served_client`.
    """
    try:
        returned = variables.run(function, *args)
        return _run(returned, variables, on_error, connection) if inspect.iscoroutine(returned) else None
    except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
        on_error(as_error(raised))
        return None


def _run(
    coroutine: Coroutine[Any, Any, object], variables: Context, on_error: OnError, connection: Connection | None
) -> HostTask:
    import asyncio

    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        # Without this, Python warns that it was never awaited.
        coroutine.close()
        raise TypeError("an async function requires a worker with async hooks") from None
    from reactorhost.plugins.host_task import HostTask

    return HostTask(_awaited(coroutine, on_error, connection), loop=loop, context=variables)


async def _awaited(coroutine: Coroutine[Any, Any, object], on_error: OnError, connection: Connection | None) -> None:
    try:
        await coroutine
    except BaseException as raised:
        # Inside the task: asyncio re-raises a SystemExit of a task from `run_forever`.
        from reactorhost.plugins.host_task import is_host_cancellation

        if is_host_cancellation(raised):
            raise
        on_error(as_error(raised))
