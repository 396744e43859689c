"""Guest: lets an asyncio loop drive the reactor, so that both run in one thread and one wait.

The reactor's own descriptor is registered with the loop, and one wake-up handles everything that is ready. The loop
may be asyncio's or uvloop's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from reactorhost.errors import ReactorhostError
from reactorhost.reactor import Reactor

_CLOCK_SLACK = 0.001


def new_loop(kind: str) -> asyncio.AbstractEventLoop:
    """Return an event loop, `asyncio` or `uvloop`.

    Raises:
        ReactorhostError: uvloop is not installed.
    """
    if kind == "asyncio":
        return asyncio.new_event_loop()
    try:
        import uvloop
    except ImportError:
        raise ReactorhostError("uvloop is not installed", hint="pip install 'reactorhost[uvloop]'") from None
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


class AsyncioBridge:
    """A reactor that turns when a loop of asyncio lets it."""

    def __init__(self, reactor: Reactor, loop: asyncio.AbstractEventLoop) -> None:
        self._reactor = reactor
        self._loop = loop
        self._turning = False
        self._ends_with_reactor = False
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        self._soon: asyncio.Handle | None = None
        self._failure: BaseException | None = None
        self._ticks = 0
        self._tick_asked = False

    def complete(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Run the loop until a coroutine has finished; the reactor turns meanwhile, also one that was stopped."""
        with self._reactor_turning():
            try:
                self._loop.run_until_complete(coroutine)
            except RuntimeError:
                # Not what the coroutine raised, but what stopped the loop under it.
                if self._failure is not None:
                    raise self._failure from None
                raise

    def run(self) -> None:
        """Turn until the reactor is stopped."""
        with self._reactor_turning():
            self._ends_with_reactor = True
            # Also when a plugin stops the loop, which is not its own.
            while self._reactor.running and self._failure is None:
                self._loop.run_forever()
            self._ends_with_reactor = False
        if self._failure is not None:
            raise self._failure

    def progress(self) -> int:
        """Return a number that grows while the loop goes round; for a signal's handler, which must ask repeatedly."""
        if not self._tick_asked:
            self._tick_asked = True
            self._loop.call_soon_threadsafe(self._tick)
        return self._ticks

    def _tick(self) -> None:
        self._tick_asked = False
        self._ticks += 1

    def close(self, seconds: float) -> list[str]:
        """Cancel what still runs; returns the names of tasks that did not end in so many seconds."""
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        unfinished: set[asyncio.Task[Any]] = set()
        if left:
            _, unfinished = self._loop.run_until_complete(asyncio.wait(left, timeout=seconds))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        return [task.get_name() for task in unfinished]

    @contextmanager
    def _reactor_turning(self) -> Iterator[None]:
        self._reactor.begin(self._arrange)
        self._loop.add_reader(self._reactor.fileno(), self._turn)
        # uvloop takes the wake-up descriptor of signals for itself when it begins to run.
        self._loop.call_soon(self._reactor.claim_signals)
        self._arrange()
        try:
            yield
        finally:
            self._loop.remove_reader(self._reactor.fileno())

    def _turn(self) -> None:
        self._turning = True
        try:
            self._reactor.turn(0)
        except BaseException as error:  # noqa: BLE001  a bug of the host ends the worker, as it does in a plain one
            self._failure = error
            self._loop.stop()
            return
        self._turning = False
        reactor = self._reactor
        reactor.longest_turn = max(reactor.longest_turn, time.monotonic() - reactor.now)
        if self._ends_with_reactor and not self._reactor.running:
            self._loop.stop()
        else:
            self._arrange()

    def _arrange(self) -> None:
        """See to it that the loop lets the reactor turn when its next call is due."""
        if self._turning:
            return
        seconds = self._reactor.wait_seconds(time.monotonic())
        if seconds == 0:
            if self._soon is None:
                self._soon = self._loop.call_soon(self._turn_soon)
        else:
            due = self._loop.time() + seconds
            # One that rings too early does no harm, and most turns change nothing.
            if self._alarm is None or self._alarm_at > due + _CLOCK_SLACK:
                if self._alarm is not None:
                    self._alarm.cancel()
                self._alarm = self._loop.call_at(due, self._rung)
                # Not asked of the alarm: uvloop's for a time that has come is a handle that does not know it.
                self._alarm_at = due

    def _rung(self) -> None:
        self._alarm = None
        self._turn()

    def _turn_soon(self) -> None:
        self._soon = None
        self._turn()
