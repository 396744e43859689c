"""Functions that run in a thread of the worker, as plugins hold them."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from reactorhost.api.awaitable import AwaitableTask, TaskState

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


class ThreadQueueFullError(RuntimeError):
    """More functions wait for a thread than the setting `thread_queue` allows."""

    # The name by which plugins import it: tracebacks and the log show the full name.
    __module__ = "reactorhost"


class TaskOwner(Protocol):
    """What a thread task needs of the pool that runs it."""

    def withdraw(self, task: ThreadTask[Any], /) -> None:
        """Forget the function of a cancelled task, unless it runs already."""

    def deliver(self) -> None:
        """Settle the tasks whose functions have ended."""

    def log_unretrieved(self, plugin: str, exception: Exception, /) -> None:
        """Log an exception of a task that does not exist any more; called in any thread."""


class ThreadTask(AwaitableTask[T]):
    """One function that `worker.run_in_thread` calls in a thread.

    In an async hook, `await task` returns what the function returned, or raises what it raised. When the last hook that
    awaits it is cancelled, the task is cancelled, unless it has a callback `on_result` or `on_error`.

    `cancel()` withdraws a function that still waits for a thread. One that runs cannot be stopped: its result or
    exception is discarded.

    Attributes:
        plugin: name of the plugin that started it.
        name: qualified name of the function.
    """

    __slots__ = ("__weakref__", "_has_callbacks", "_owner", "log_if_unretrieved", "loop", "name", "plugin")

    def __init__(self, owner: TaskOwner, plugin: str, name: str, *, has_callbacks: bool) -> None:
        super().__init__()
        self.plugin = plugin
        self.name = name
        # For the pool: where the task is awaited, and whether its exception was delivered to nothing else.
        self.loop: asyncio.AbstractEventLoop | None = None
        self.log_if_unretrieved = False
        self._owner = owner
        self._has_callbacks = has_callbacks

    def __repr__(self) -> str:
        return f"<ThreadTask {self.name}>"

    def __await__(self) -> Generator[Any, None, T]:
        if self.state is TaskState.PENDING:
            import asyncio

            # The loop of the coroutine delivers too: it may run while the reactor makes no turns. Once now, because the
            # thread may have ended before it could see the loop.
            self.loop = asyncio.get_running_loop()
            self.loop.call_soon(self._owner.deliver)
        return super().__await__()

    def __del__(self) -> None:
        # An async hook may await a failed task later, so its exception is not logged until nothing can await it. The
        # garbage collector calls this in any thread, also in one that holds a lock: only `log_unretrieved` is safe.
        if self.log_if_unretrieved and not self._retrieved and self._exception is not None:
            self._owner.log_unretrieved(self.plugin, self._exception)

    def _on_cancel(self) -> None:
        self._owner.withdraw(self)

    def _on_abandoned(self) -> None:
        if not self._has_callbacks:
            self.cancel()

    def _settle(self, future: asyncio.Future[T]) -> None:
        if isinstance(self._exception, StopIteration):
            # asyncio refuses it: raised in a coroutine, it would look like the coroutine's return.
            future.set_exception(RuntimeError(f"{self.name} raised StopIteration"))
        else:
            super()._settle(future)
