"""Timers and tasks of a stream: functions and coroutines that a plugin runs for one client."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from reactorhost.worker.hooks import task_calls
from reactorhost.worker.hooks.timers import PluginTimer, PluginTimers
from reactorhost.worker.stream import deadlines
from reactorhost.worker.stream.closing import OPEN
from reactorhost.worker.stream.protocol import Stream
from reactorhost.worker.stream.states import PEER_EOF, THROTTLED

if TYPE_CHECKING:
    from asyncio import Task

    from reactorhost.plugins.host_task import HostTask


def call_later(stream: Stream, seconds: float, function: Callable[..., object], *args: Any) -> PluginTimer:
    """Call a plugin's function later, unless the connection ends before."""
    # Returned for a closed connection too, so that a plugin need not look before each call.
    timer = _timers(stream).call_later(seconds, function, args)
    if stream.close_state is not OPEN:
        timer.cancel()
    return timer


def call_now(stream: Stream, function: Callable[..., object], *args: Any) -> None:
    """Call a plugin's function as a timer is called; not from within another call of this connection."""
    _timers(stream).call(function, args, stream.variables)


def create_task(stream: Stream, coroutine: Coroutine[Any, Any, Any]) -> HostTask:
    """Run a coroutine until the connection is closed; a client that has sent its end is kept while it runs.

    Raises:
        TypeError: it is not a coroutine.
        RuntimeError: the worker has no asyncio loop.
    """
    # As for a timer, a plugin need not look before each call.
    if stream.close_state is not OPEN:
        return task_calls.start_cancelled(coroutine, stream.variables)
    task = _timers(stream).create_task(coroutine, stream.context.task_failed(stream.connection))

    def ended(task: Task[Any]) -> None:
        _ended(stream)

    task.add_done_callback(ended)
    if stream.held & PEER_EOF:
        deadlines.watch_open(stream)
    return task


def _ended(stream: Stream) -> None:
    # The client was not silent while the task ran.
    stream.active_at = stream.context.reactor.now
    if stream.held:
        stream.end_if_served()


def cancel(stream: Stream) -> None:
    """Cancel the timers and tasks of the plugin, and its throttle."""
    if stream.held & THROTTLED:
        stream.held &= ~THROTTLED
        stream.context.throttles.remove(stream)
    if stream.timers is not None:
        stream.timers.cancel_all()


def _timers(stream: Stream) -> PluginTimers:
    # Few connections have any.
    if stream.timers is None:
        stream.timers = stream.context.new_timers(stream.connection, stream.variables)
    return stream.timers
