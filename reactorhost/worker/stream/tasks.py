"""Tasks of a stream: coroutines that a plugin runs for one client."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from reactorhost.worker.hooks import task_calls
from reactorhost.worker.stream import ending
from reactorhost.worker.stream.closing import OPEN
from reactorhost.worker.stream.protocol import Stream
from reactorhost.worker.stream.states import PEER_EOF

if TYPE_CHECKING:
    from asyncio import Task

    from reactorhost.plugins.host_task import HostTask


def create_task(stream: Stream, coroutine: Coroutine[Any, Any, Any]) -> HostTask:
    """Run a coroutine until the connection is closed; a client that has sent its end is kept while it runs.

    Raises:
        TypeError: it is not a coroutine.
        RuntimeError: the worker has no asyncio loop.
    """
    # As for a timer, a plugin need not look before each call.
    if stream.close_state is not OPEN:
        return task_calls.start_cancelled(coroutine, stream.variables)
    task = stream.plugin_timers().create_task(coroutine, stream.context.task_failed(stream.connection))

    def ended(task: Task[Any]) -> None:
        _ended(stream)

    task.add_done_callback(ended)
    if stream.held & PEER_EOF:
        ending.watch_open(stream)
    return task


def _ended(stream: Stream) -> None:
    # The client was not silent while the task ran.
    stream.active_at = stream.context.reactor.now
    if stream.held:
        stream.end_if_served()
