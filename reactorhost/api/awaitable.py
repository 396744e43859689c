"""Operations that end later, and that async hooks may await.

An operation belongs to the event loop's thread. Any number of coroutines may await it, before or after its end. Each
`await` has a future of its own: a future shared by all would be cancelled for all when one awaiting hook is cancelled.
When the last coroutine that awaits it is cancelled, so is the operation.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


class TaskState(enum.Enum):
    """The states of an operation; the last three are final."""

    PENDING = "pending"
    COMMITTED = "committed"
    """It has succeeded and cannot be cancelled any more; its result follows."""
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AwaitableTask(ABC, Generic[T]):
    """An operation that ends once: with a result, with an exception, or cancelled.

    Attributes:
        state: what has become of it so far.

    `commit`, `set_result` and `set_exception` are for the host. A subclass implements `_on_cancel`.
    """

    __slots__ = ("_awaiting", "_exception", "_futures", "_result", "_retrieved", "state")

    def __init__(self) -> None:
        self.state = TaskState.PENDING
        self._result: T | None = None
        self._exception: Exception | None = None
        # Whether an awaiting coroutine got the result or the exception.
        self._retrieved = False
        # Of the coroutines that began to await before the end. Empty after it.
        self._futures: list[asyncio.Future[T]] = []
        self._awaiting = 0

    def cancel(self) -> None:
        """Cancel the operation and every coroutine that awaits it; does nothing once it has ended."""
        if self.state is TaskState.PENDING:
            self.state = TaskState.CANCELLED
            self._on_cancel()
            self._settle_all()

    def __await__(self) -> Generator[Any, None, T]:
        # Not at the top: a worker without async hooks does not import asyncio.
        import asyncio

        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self.state in (TaskState.PENDING, TaskState.COMMITTED):
            self._futures.append(future)
        else:
            self._settle(future)
        self._awaiting += 1
        cancelled = False
        try:
            return (yield from future.__await__())
        except asyncio.CancelledError:
            # Either this coroutine was cancelled, or the operation was. The first may also happen between the moment
            # the future gets its result and the next step of the coroutine: asyncio then discards the result.
            cancelled = True
            if self._awaiting == 1 and not self._retrieved:
                self._on_abandoned()
            raise
        finally:
            self._awaiting -= 1
            # Not done: the coroutine was closed while it was suspended.
            if future.done() and not cancelled:
                self._retrieved = True
            # An exception refers to this frame, and both of these to the exception.
            del self, future

    def commit(self) -> None:
        """Make `cancel` do nothing from now on; `set_result` follows."""
        self.state = TaskState.COMMITTED

    def set_result(self, result: T) -> None:
        """End the operation with a result."""
        self.state = TaskState.DONE
        self._result = result
        self._settle_all()

    def set_exception(self, exception: Exception) -> bool:
        """End the operation with an exception; returns whether a coroutine awaits it."""
        self.state = TaskState.FAILED
        self._exception = exception
        return self._settle_all()

    @abstractmethod
    def _on_cancel(self) -> None:
        """Stop the operation itself."""

    def _on_abandoned(self) -> None:
        """React to the cancellation of the last coroutine that awaits it."""
        self.cancel()

    def _settle_all(self) -> bool:
        futures, self._futures = self._futures, []
        # A future whose coroutine was cancelled is done already.
        waiting = [future for future in futures if not future.done()]
        for future in waiting:
            self._settle(future)
        return bool(waiting)

    def _settle(self, future: asyncio.Future[T]) -> None:
        if self.state is TaskState.CANCELLED:
            future.cancel()
        elif self._exception is not None:
            future.set_exception(self._exception)
        else:
            future.set_result(self._result)  # type: ignore[arg-type]  # None only where T is
