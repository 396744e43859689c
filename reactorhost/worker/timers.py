"""Timers that plugins set: guarded, and forgotten all together with what they belong to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactorhost.plugins.guard import as_error
from reactorhost.reactor import Reactor
from reactorhost.reactor import Timer as ReactorTimer


class PluginTimers:
    """The timers of one connection or of one worker.

    `on_error` hears of every exception that a timer's function raises.
    """

    __slots__ = ("_on_error", "_reactor", "_timers")

    def __init__(self, reactor: Reactor, on_error: Callable[[Exception], object]) -> None:
        self._reactor = reactor
        self._on_error = on_error
        self._timers: set[PluginTimer] = set()

    def call_later(self, seconds: float, function: Callable[..., object], args: tuple[Any, ...]) -> PluginTimer:
        """Call `function(*args)` once."""
        return PluginTimer(self, seconds, None, function, args)

    def call_every(self, seconds: float, function: Callable[..., object], args: tuple[Any, ...]) -> PluginTimer:
        """Call `function(*args)` again and again, also after it raised; a late call does not bunch up the next."""
        if seconds <= 0:
            raise ValueError(f"an interval must be positive, not {seconds!r} seconds")
        return PluginTimer(self, seconds, seconds, function, args)

    def cancel_all(self) -> None:
        """Forget every timer."""
        for timer in tuple(self._timers):
            timer.cancel()

    def start(self, timer: PluginTimer, seconds: float) -> ReactorTimer:
        """Let the reactor call `timer` in `seconds`, and keep it until then."""
        self._timers.add(timer)
        return self._reactor.call_later(seconds, timer.run)

    def forget(self, timer: PluginTimer) -> None:
        """Stop keeping a timer that was called or cancelled."""
        self._timers.discard(timer)

    def call(self, function: Callable[..., object], args: tuple[Any, ...]) -> None:
        """Call a plugin's function; what it raises goes to `on_error`."""
        try:
            function(*args)
        except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
            self._on_error(as_error(raised))


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
        self._owner.forget(self)
        self._owner.call(self._function, self._args)
        if self._interval_seconds is not None and not self._cancelled:
            self._timer = self._owner.start(self, self._interval_seconds)
