"""Timers that plugins set: guarded, and forgotten all together with what they belong to."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from reactorhost.plugins.guard import as_error
from reactorhost.reactor import Reactor
from reactorhost.reactor import Timer as ReactorTimer

if TYPE_CHECKING:
    from asyncio import Task


class PluginTimers:
    """The timers of one connection or of one worker.

    `on_error` hears of every exception that a timer's function raises; `on_idle` is called when none waits or
    awaits any more, of the last one before its function is called.
    """

    __slots__ = ("_on_error", "_on_idle", "_reactor", "_tasks", "_timers")

    def __init__(
        self,
        reactor: Reactor,
        on_error: Callable[[Exception], object],
        on_idle: Callable[[], object] | None = None,
    ) -> None:
        self._reactor = reactor
        self._on_error = on_error
        self._on_idle = on_idle
        self._timers: set[PluginTimer] = set()
        # What async functions among them still do.
        self._tasks: set[Task[Any]] = set()

    @property
    def waiting(self) -> bool:
        """Whether any timer waits, or an async function of one still runs."""
        return bool(self._timers or self._tasks)

    def call_later(self, seconds: float, function: Callable[..., object], args: tuple[Any, ...]) -> PluginTimer:
        """Call `function(*args)` once."""
        return PluginTimer(self, checked_seconds(seconds), None, function, args)

    def call_every(self, seconds: float, function: Callable[..., object], args: tuple[Any, ...]) -> PluginTimer:
        """Call `function(*args)` again and again, also after it raised; a late call does not bunch up the next."""
        if checked_seconds(seconds) <= 0:
            raise ValueError(f"an interval must be positive, not {seconds!r} seconds")
        return PluginTimer(self, seconds, seconds, function, args)

    def cancel_all(self) -> None:
        """Forget every timer, and cancel what one still awaits."""
        for timer in tuple(self._timers):
            timer.cancel()
        for task in tuple(self._tasks):
            if _is_current(task):
                # It closed the connection itself, and may finish.
                self._tasks.discard(task)
            else:
                task.cancel()

    def start(self, timer: PluginTimer, seconds: float) -> ReactorTimer:
        """Let the reactor call `timer` in `seconds`, and keep it until then."""
        self._timers.add(timer)
        return self._reactor.call_later(seconds, timer.run)

    def forget(self, timer: PluginTimer) -> None:
        """Stop keeping a timer that was called or cancelled."""
        self._timers.discard(timer)
        self._tell_if_idle()

    def call(self, function: Callable[..., object], args: tuple[Any, ...]) -> Task[Any] | None:
        """Call a plugin's function; what it raises goes to `on_error`. Returns what an async one still does."""
        try:
            returned = function(*args)
            return self._followed(returned) if inspect.iscoroutine(returned) else None
        except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
            self._on_error(as_error(raised))
            return None

    def _followed(self, coroutine: Coroutine[Any, Any, object]) -> Task[Any]:
        import asyncio

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            coroutine.close()
            raise TypeError("an async function needs a worker with async hooks, and this one has none") from None
        task = loop.create_task(self._awaited(coroutine))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _awaited(self, coroutine: Coroutine[Any, Any, object]) -> None:
        try:
            await coroutine
        except BaseException as raised:
            # In here and not in the task: asyncio lets SystemExit out of its loop.
            from reactorhost.plugins.async_calls import was_cancelled_by_others

            if was_cancelled_by_others(raised):
                raise
            self._on_error(as_error(raised))
        self._tell_if_idle()

    def _tell_if_idle(self) -> None:
        if self._on_idle is not None and not self.waiting:
            self._on_idle()


class PluginTimer:
    """One call that waits, once or again and again."""

    __slots__ = ("_args", "_cancelled", "_function", "_interval_seconds", "_owner", "_timer")

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
        self._cancelled = False
        self._timer = owner.start(self, seconds)

    def cancel(self) -> None:
        """Forget the call; nothing happens when it was made already."""
        self._cancelled = True
        self._timer.cancel()
        self._owner.forget(self)

    def run(self) -> None:
        """Make the call, and wait for the next one if there is one."""
        if self._interval_seconds is None:
            self._owner.forget(self)
        task = self._owner.call(self._function, self._args)
        if task is None:
            self._again()
        else:
            task.add_done_callback(self._again)

    def _again(self, task: Task[Any] | None = None) -> None:
        if self._interval_seconds is not None and not self._cancelled:
            self._timer = self._owner.start(self, self._interval_seconds)


def checked_seconds(seconds: float) -> float:
    """Return a span of time that a plugin gave.

    Raises:
        TypeError: it is no number.
        ValueError: it is no finite one.
    """
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        raise TypeError(f"seconds must be a number, not {seconds!r}")
    if not math.isfinite(seconds):
        raise ValueError(f"seconds must be finite, not {seconds!r}")
    return seconds


def _is_current(task: Task[Any]) -> bool:
    import asyncio

    return task is asyncio.current_task(task.get_loop())
