"""Functions that threads and signal handlers pass to the event loop: `worker.call_soon_threadsafe`.

There is no lock, because a signal handler can interrupt the code that holds it, in the same thread. `_waiting` is a
deque, whose `append` and `popleft` are atomic. Everything else belongs to the loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

from reactorhost.worker.hooks import plugin_calls
from reactorhost.worker.hooks.hook_errors import HookFailure

if TYPE_CHECKING:
    from reactorhost.plugins.host_task import HostTask

# Between two turns of the loop, so that many calls do not keep clients waiting.
_CALLS_PER_TURN = 100


class SoonCalls:
    """The calls that wait for the loop of one worker.

    `hook_failed` is called in the loop, with exceptions. `wake` is called in any thread and makes the loop call `run`.
    """

    def __init__(self, hook_failed: HookFailure, wake: Callable[[], object]) -> None:
        self._hook_failed = hook_failed
        self._wake = wake
        self._waiting: deque[tuple[str, Callable[..., object], tuple[Any, ...], Context]] = deque()
        # Of async functions. asyncio itself holds only weak references to its tasks.
        self._tasks: set[HostTask] = set()
        self._on_idle: Callable[[], object] | None = None

    def add(self, plugin: str, function: Callable[..., object], args: tuple[Any, ...]) -> None:
        """Call a function of a plugin in the loop; in any thread.

        Raises:
            TypeError: it is not callable.
        """
        if not callable(function):
            raise TypeError(f"call_soon_threadsafe needs a function to call, not {function!r}")
        # The context of the caller, as asyncio passes it on.
        self._waiting.append((plugin, function, args, copy_context()))
        self._wake()

    def run(self) -> bool:
        """Make the calls that wait; returns whether there was any."""
        # A function that adds itself again must not keep clients waiting.
        count = min(len(self._waiting), _CALLS_PER_TURN)
        for _ in range(count):
            # Emptied, if the function before has forked and this is the child.
            if self._waiting:
                self.call(*self._waiting.popleft())
        if self._waiting:
            self._wake()
        elif self._on_idle is not None:
            on_idle, self._on_idle = self._on_idle, None
            on_idle()
        return count > 0

    # The code object of this function marks these calls on a stack: see `worker.hook_watchdog`.
    def call(self, plugin: str, function: Callable[..., object], args: tuple[Any, ...], variables: Context) -> None:
        """Call a function of a plugin."""
        failed = partial(self._hook_failed, plugin, "call_soon_threadsafe", None)
        task = plugin_calls.call(function, args, variables, failed)
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    # The end of the worker.

    def cancel_tasks(self) -> None:
        """Cancel the async functions that run."""
        for task in tuple(self._tasks):
            task.cancel_by_host()

    def when_idle(self, function: Callable[[], object]) -> None:
        """Call a function once no call waits, which may be now."""
        self._on_idle = function
        if not self._waiting:
            self.run()

    def stop(self) -> None:
        """Drop what waits and all that is added later; in a forked child too."""
        # It keeps nothing: a thread may be about to append to the old one.
        self._waiting = deque(maxlen=0)
        self._wake = _ignore


def _ignore() -> None:
    """Do nothing: no loop is left to wake."""
