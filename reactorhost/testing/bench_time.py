"""The time of a bench: it stands still until nothing is left to do, and then moves to the next call that is due."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from reactorhost.reactor import Reactor
from reactorhost.testing import fakes
from reactorhost.testing.fakes import FakeClock, FakePoller
from reactorhost.worker.hooks.hook_errors import HookFailure
from reactorhost.worker.hooks.soon_calls import SoonCalls
from reactorhost.worker.hooks.thread_pool import ThreadPool

if TYPE_CHECKING:
    from reactorhost.testing.fake_event_loop import FakeEventLoop

Result = TypeVar("Result")

# Sums of intervals are rounded: what is due this much later is due now.
_CLOCK_SLACK = 1e-6
_THREAD_SECONDS = 10.0
_THREAD_QUEUE = 1000


class BenchTime:
    """Runs the reactor of a worker, its asyncio loop and its thread, on a fake clock.

    `hook_failed` is called with what a function in a thread raises. `answer` lets the clients of the bench answer, and
    returns whether there was anything to do.
    """

    def __init__(self, hook_failed: HookFailure, answer: Callable[[], bool]) -> None:
        # It begins at the real time, for code that reads the monotonic clock itself.
        self.clock = FakeClock(time.monotonic())
        self.poller = FakePoller(self.clock)
        self.reactor = Reactor(self.poller, self.clock)
        # The wall clock is this much ahead; what a plugin reads by itself is not moved.
        self._unix_offset = time.time() - self.clock.now
        # By a function that has ended in the thread, or by one that any thread passes to the loop.
        self._woken = threading.Event()
        # One thread, so that functions run in the same order each time.
        self.threads = ThreadPool(1, _THREAD_QUEUE, hook_failed, self._woken.set)
        self.soon = SoonCalls(hook_failed, self._wake)
        self._answer = answer
        self._until = 0.0
        # Only with async hooks.
        self._loop: FakeEventLoop | None = None

    def new_bridge(self, reactor: Reactor) -> Any:
        """Return the asyncio loop that stands in for the bridge."""
        # Here and not above: plugins without async hooks are tested without asyncio, as a worker runs them.
        from reactorhost.testing.fake_event_loop import FakeEventLoop
        from reactorhost.worker.adapter.loop_methods import accept_own_transports

        self._loop = FakeEventLoop(self._step, self.clock)
        accept_own_transports(self._loop)
        return self._loop

    def unix(self) -> float:
        """Return Unix time, which moves as the fake clock does."""
        return self.clock.now + self._unix_offset

    def within(self, call: Callable[[], Result]) -> Result:
        """Call a function from the reactor, as a worker does, and run until nothing is left to do now."""
        results: list[Result] = []
        self.reactor.call_soon(lambda: results.append(call()))
        self.run(0.0)
        return results[0]

    def run(self, seconds: float) -> None:
        """Run the worker for so long on the fake clock; for 0 seconds until nothing is left to do now.

        Raises:
            TimeoutError: a function in a thread does not return.
        """
        end = self._until = self.clock.now + seconds
        if self._loop is not None:
            self._loop.run_forever()
        else:
            while self._step(None):
                pass
        self.clock.now = max(end, self.clock.now)
        # Nothing is ready or due: this only has the reactor read the clock, for calls that a test makes now.
        self.reactor.turn(0)

    def end(self) -> None:
        """End the tasks of the loop and the thread."""
        if self._loop is not None:
            self._loop.end()
        self.threads.join()

    def _step(self, loop_seconds: float | None) -> bool:
        """Do what can be done now, or else let time pass to the next call that is due, in `loop_seconds` for asyncio.

        Returns False when nothing is left to do until `_until`.
        """
        if self._turn() or self._deliver():
            return True
        seconds = self.reactor.wait_seconds(self.clock.now)
        if loop_seconds is not None:
            seconds = min(seconds, loop_seconds)
        if self.clock.now + seconds > self._until + _CLOCK_SLACK:
            return False
        self.clock.now += seconds
        # Before asyncio's calls of that time: what they send is noted with the time of the reactor's last turn.
        self._turn()
        return True

    def _wake(self) -> None:
        self._woken.set()
        if self._loop is not None:
            # It may wait for a hook of the worker.
            self._loop.call_soon_threadsafe(_do_nothing)

    def _turn(self) -> bool:
        """Make a turn of the reactor, and let clients answer; returns whether there was anything to do."""
        moved = fakes.turn(self.reactor, self.poller)
        return self._answer() or moved

    def _deliver(self) -> bool:
        """Wait for the thread, if it is busy, and deliver what threads have passed on; returns whether one has."""
        if not self.threads.busy:
            return self.soon.run()
        if not self._woken.wait(_THREAD_SECONDS):
            names = ", ".join(self.threads.running())
            raise TimeoutError(f"run_in_thread: {names} did not return within {_THREAD_SECONDS:g} s")
        self._woken.clear()
        self.soon.run()
        self.threads.deliver()
        return True


def _do_nothing() -> None:
    """End the wait of the loop."""
