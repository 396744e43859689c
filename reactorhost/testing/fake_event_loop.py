"""An asyncio loop of paper: async hooks run on it as on a real one, on the bench's clock and without waiting.

Whenever the loop would wait, the bench moves its bytes; when there are none to move, the loop stops.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

Result = TypeVar("Result")

_THREAD_SECONDS = 5.0


class FakeEventLoop(asyncio.SelectorEventLoop):
    """A loop that never waits; `turn` moves bytes and returns whether there were any, `now` is the time."""

    def __init__(self, turn: Callable[[], bool], now: Callable[[], float]) -> None:
        self._turn = turn
        self._now = now
        self._handles: list[asyncio.TimerHandle] = []
        self._awaited: asyncio.Task[Any] | None = None
        self._patience_ends = 0.0
        super().__init__(_FakeSelector(self._idle))

    def time(self) -> float:
        """Return the bench's time."""
        return self._now()

    def call_at(  # type: ignore[override]  # the original ties the callback's type to its arguments
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call back at a time of the bench."""
        handle = super().call_at(when, callback, *args, context=context)
        self._handles.append(handle)
        return handle

    def next_at(self) -> float | None:
        """Return when the soonest call is due, None without one."""
        self._handles = [handle for handle in self._handles if not handle.cancelled() and handle.when() > self.time()]
        return min((handle.when() for handle in self._handles), default=None)

    def end(self) -> None:
        """Cancel what still runs, and close."""
        for task in asyncio.all_tasks(self):
            task.cancel()
        self.run_forever()
        self.close()

    def settle(self) -> None:
        """Run until nothing moves; what waits for a later time goes on waiting."""
        self.run_forever()

    def call(self, function: Callable[[], Result]) -> Result:
        """Call a function inside the loop, and run until nothing moves."""

        async def within() -> Result:
            return function()

        return self.complete(within())

    def complete(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run until a coroutine has finished and nothing moves; what threads do for it is waited for.

        Raises:
            TimeoutError: it still waits for something.
        """
        task = self.create_task(coroutine)
        self._awaited = task
        self._patience_ends = time.monotonic() + _THREAD_SECONDS
        self.run_forever()
        if not task.done():
            task.cancel()
            self.run_forever()
            raise TimeoutError("a hook of the worker waits for something that does not come on a bench")
        return task.result()

    def _idle(self) -> float:
        """Move bytes, or stop the loop; returns how many real seconds a thread may take to wake it."""
        if self._turn():
            return 0.0
        if self._awaited is not None and not self._awaited.done():
            left = self._patience_ends - time.monotonic()
            if left > 0:
                return left
        self.stop()
        return 0.0


class _FakeSelector(selectors.SelectSelector):
    """Looks at real descriptors, such as that which threads wake the loop by, and tells when there is nothing to do."""

    def __init__(self, idle: Callable[[], float]) -> None:
        super().__init__()
        self._idle = idle

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready now."""
        ready = super().select(0)
        # The loop asks for no wait while calls of its own are due.
        if not ready and timeout != 0:
            seconds = self._idle()
            return super().select(seconds) if seconds else []
        return ready
