"""Timers and tasks of plugins, whose exceptions are reported, and which end with what they belong to.

A timer of the reactor makes one call; a `PluginTimer` uses these for a plugin's function, once or repeatedly. An async
function runs as a task of asyncio, which belongs to the timers as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from reactorhost.reactor import Reactor, TimerHandle
from reactorhost.worker.hooks import plugin_calls, task_calls

if TYPE_CHECKING:
    from asyncio import Task

    from reactorhost.api.connection import Connection
    from reactorhost.plugins.host_task import HostTask


class PluginTimers:
    """The timers of one connection or of one worker, and the tasks of a connection.

    `on_error` is called with every exception that a timer's function raises. `on_idle` is called whenever no timer
    waits and no async function runs any more; for the last timer, before its function is called. Functions run in the
    context `variables`; without it, each timer's in a copy of the context in which it was set, as those of asyncio.

    Attributes:
        connection: the connection; None for those of a worker.
    """

    __slots__ = ("_created", "_on_error", "_on_idle", "_reactor", "_tasks", "_timers", "_variables", "connection")

    def __init__(
        self,
        reactor: Reactor,
        on_error: Callable[[Exception], object],
        on_idle: Callable[[], object] | None = None,
        variables: Context | None = None,
        connection: Connection | None = None,
    ) -> None:
        self.connection = connection
        self._reactor = reactor
        self._on_error = on_error
        self._on_idle = on_idle
        self._variables = variables
        self._timers: set[PluginTimer] = set()
        # Those of async functions too. asyncio itself holds only weak references to its tasks.
        self._tasks: set[HostTask] = set()
        # Those of `create_task` that run. A number: a set is 200 bytes for each connection that has a timer.
        self._created = 0

    @property
    def waiting(self) -> bool:
        """Whether a timer waits, or an async function or a task runs."""
        return bool(self._timers or self._tasks)

    @property
    def has_tasks(self) -> bool:
        """Whether a task of `create_task` runs."""
        return self._created > 0

    def call_later(self, seconds: float, function: Callable[..., object], args: tuple[Any, ...]) -> PluginTimer:
        """Call `function(*args)` once.

        Raises:
            TypeError: `seconds` is not a number.
            ValueError: `seconds` is not finite.
        """
        return PluginTimer(self, checked_seconds(seconds), None, function, args)

    def call_every(self, seconds: float, function: Callable[..., object], args: tuple[Any, ...]) -> PluginTimer:
        """Call `function(*args)` repeatedly, also after an exception; an interval begins when the last call has ended.

        Raises:
            TypeError: `seconds` is not a number.
            ValueError: `seconds` is not positive and finite.
        """
        if checked_seconds(seconds) <= 0:
            raise ValueError(f"an interval must be positive, not {seconds!r} seconds")
        return PluginTimer(self, seconds, seconds, function, args)

    def create_task(self, coroutine: Coroutine[Any, Any, Any], on_error: Callable[[Exception], object]) -> HostTask:
        """Run a coroutine as a task, in a copy of the context; exceptions go to this `on_error`.

        Raises:
            TypeError: it is not a coroutine.
            RuntimeError: the worker has no asyncio loop.
        """
        # A copy, as asyncio makes one: two tasks that set one variable must not do so for each other.
        task = task_calls.start(coroutine, self.variables().copy(), on_error, self.connection)
        self._created += 1
        self._tasks.add(task)
        task.add_done_callback(self._created_ended)
        return task

    def cancel_all(self) -> None:
        """Cancel every timer, every async function and every task."""
        for timer in tuple(self._timers):
            timer.cancel()
        for task in tuple(self._tasks):
            if _is_current(task):
                # It closes the connection itself. It may finish, but the connection does not wait.
                self._tasks.discard(task)
            else:
                task.cancel_by_host()

    def variables(self) -> Context:
        """Return the context for the function of a new timer."""
        return copy_context() if self._variables is None else self._variables

    def start(self, timer: PluginTimer, seconds: float) -> TimerHandle:
        """Schedule a timer, and keep it until it is called or cancelled."""
        self._timers.add(timer)
        return self._reactor.call_later(seconds, timer.run)

    def discard(self, timer: PluginTimer) -> None:
        """Forget a timer that was called or cancelled."""
        self._timers.discard(timer)
        self._check_idle()

    # The code object of this function marks timers on a stack: see `worker.hook_watchdog`.
    def call(self, function: Callable[..., object], args: tuple[Any, ...], variables: Context) -> HostTask | None:
        """Call a plugin's function in a context; returns the task of an async one."""
        task = plugin_calls.call(function, args, variables, self._on_error, self.connection)
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        return task

    def _ended(self, task: Task[Any]) -> None:
        self._tasks.discard(task)
        self._check_idle()

    def _created_ended(self, task: Task[Any]) -> None:
        self._created -= 1
        self._ended(task)

    def _check_idle(self) -> None:
        if self._on_idle is not None and not self.waiting:
            self._on_idle()


class PluginTimer:
    """One scheduled call, or a series of them."""

    __slots__ = ("_args", "_cancelled", "_function", "_interval_seconds", "_owner", "_timer", "_variables")

    def __init__(
        self,
        owner: PluginTimers,
        seconds: float,
        interval_seconds: float | None,
        function: Callable[..., object],
        args: tuple[Any, ...],
    ) -> None:
        self._owner = owner
        self._interval_seconds = interval_seconds
        self._function = function
        self._args = args
        self._variables = owner.variables()
        self._cancelled = False
        self._timer = owner.start(self, seconds)

    def cancel(self) -> None:
        """Cancel the call and all that follow; does nothing once the only call was made."""
        self._cancelled = True
        self._timer.cancel()
        self._owner.discard(self)

    def run(self) -> None:
        """Make the call, and schedule the next one of a series."""
        if self._interval_seconds is None:
            self._owner.discard(self)
        task = self._owner.call(self._function, self._args, self._variables)
        if task is None:
            self._schedule_next()
        else:
            task.add_done_callback(self._schedule_next)

    def _schedule_next(self, task: Task[Any] | None = None) -> None:
        if self._interval_seconds is not None and not self._cancelled:
            self._timer = self._owner.start(self, self._interval_seconds)


def checked_seconds(seconds: float) -> float:
    """Return a number of seconds from a plugin.

    Raises:
        TypeError: it is not a number.
        ValueError: it is not finite.
    """
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        raise TypeError(f"seconds must be a number, not {seconds!r}")
    if not math.isfinite(seconds):
        raise ValueError(f"seconds must be finite, not {seconds!r}")
    return seconds


def checked_timeout(seconds: float | None) -> float | None:
    """Return an idle timeout from a plugin; None also for 0.

    Raises:
        TypeError: it is not a number.
        ValueError: it is negative or not finite.
    """
    if seconds is not None and checked_seconds(seconds) < 0:
        raise ValueError(f"idle_timeout must not be negative, as {seconds!r} seconds are")
    return seconds or None


def _is_current(task: Task[Any]) -> bool:
    import asyncio

    return task is asyncio.current_task(task.get_loop())
