"""An asyncio loop on the bench's clock: async hooks run on it as on a real one, without waiting.

Where the loop would wait, the bench makes a step in its place, or the loop stops.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

from reactorhost.plugins.host_task import cancel_all

Result = TypeVar("Result")

_THREAD_SECONDS = 5.0


class FakeEventLoop(asyncio.SelectorEventLoop):
    """A loop that never waits.

    `step` is called with the seconds to the loop's next call, None without one; it returns False when it has nothing
    to do before that. `clock` is the time.
    """

    def __init__(self, step: Callable[[float | None], bool], clock: Callable[[], float]) -> None:
        self._step = step
        self._clock = clock
        self._awaited: asyncio.Task[Any] | None = None
        self._deadline = 0.0
        super().__init__(_StepSelector(self._idle))

    def time(self) -> float:
        """Return the bench's time."""
        return self._clock()

    def complete(self, coroutine: Coroutine[Any, Any, Result], variables: Context) -> Result:
        """Run until a coroutine has finished and the bench has nothing to do; threads that work for it are awaited.

        Raises:
            TimeoutError: the coroutine still waits for something.
        """
        self._awaited = task = self.create_task(coroutine, context=variables)
        self._deadline = time.monotonic() + _THREAD_SECONDS
        self.run_forever()
        if not task.done():
            task.cancel()
            self.run_forever()
            raise TimeoutError("a hook of the worker waits for an event that does not occur on a bench")
        return task.result()

    def end(self) -> None:
        """Cancel the tasks that still run, and close."""
        cancel_all(self)
        self.run_forever()
        self.close()

    def _idle(self, seconds: float | None) -> float:
        """Make a step, or stop the loop; returns how many real seconds a thread may take to wake it."""
        if self._step(seconds):
            return 0.0
        if self._awaited is not None and not self._awaited.done():
            left = self._deadline - time.monotonic()
            if left > 0:
                return left
        self.stop()
        return 0.0


class _StepSelector(selectors.SelectSelector):
    """A selector of real descriptors, as that by which threads wake the loop; it calls back in place of waiting."""

    def __init__(self, idle: Callable[[float | None], float]) -> None:
        super().__init__()
        self._idle = idle

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready now."""
        ready = super().select(0)
        # With a timeout of 0 the loop has calls of its own to make first.
        if not ready and timeout != 0:
            seconds = self._idle(timeout)
            return super().select(seconds) if seconds else []
        return ready
