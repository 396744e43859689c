"""Lanes: run the hooks of each connection one after the other, those that await something too.

This is the one place where a coroutine function becomes a plain callable. A hook that finishes without waiting costs
no turn of the loop where Python starts tasks eagerly (3.12). What comes meanwhile queues up, and past a bound the
client is not read.
"""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from reactorhost.api.connection import CloseReason, Connection, transport_of
from reactorhost.plugins.chain import Chain
from reactorhost.plugins.guard import was_cancelled_by_others

_HIGH_WATER = 64 * 1024
_LOW_WATER = 16 * 1024
_MOST_WAITING = 256
_FEW_WAITING = 64
_GRACE_SECONDS = 1.0
_HURRIED_GRACE_SECONDS = 0.3

Failed = Callable[[str, Connection, BaseException], object]
"""Called with the hook's name, the connection and what was raised."""


class Hook(NamedTuple):
    """A coroutine function, what it is called, and who hears of what it raises."""

    function: Callable[..., Coroutine[Any, Any, object]]
    name: str
    failed: Failed


class HookQueues:
    """The lanes of a worker's connections.

    `stubborn` hears of a connection whose hook did not end when it was cancelled; it is left behind then.
    """

    def __init__(self, unfinished: Callable[[Connection], object]) -> None:
        self.unfinished = unfinished
        self.grace_seconds = _GRACE_SECONDS
        self._hurried = False
        self._hook_queues: dict[Connection, HookQueue] = {}

    def adapted(self, chain: Chain, failed: Failed) -> Chain:
        """Return a chain whose hooks return at once, and run in their connection's lane."""

        def laned(name: str, function: Callable[..., Any]) -> Callable[..., None]:
            hook = Hook(function, name, failed)

            def put(connection: Connection, *rest: Any) -> None:
                (self._hook_queues.get(connection) or self._queue_of(connection)).put(hook, rest)

            return put

        return dataclasses.replace(
            chain,
            connect=laned("connect", chain.connect),
            receive=laned("receive", chain.receive),
            close=laned("close", chain.close),
            drain=laned("drain", chain.drain),
        )

    def finish(
        self,
        connection: Connection,
        reason: CloseReason,
        close: Callable[[Connection, CloseReason], object],
        then: Callable[[], object],
        patience_seconds: float,
    ) -> None:
        """Run the `close` hooks of a connection that is gone, after what still runs for it, then call `then`.

        What waits is dropped. What runs is cancelled; when the plugin itself has closed the connection it may finish
        before that, for as long as `patience_seconds`. So may the `close` hooks.
        """
        queue = self._queue_of(connection)
        patience_seconds = 0.0 if self._hurried else patience_seconds
        queue.end(patience_seconds if reason is CloseReason.LOCAL else 0.0, max(patience_seconds, self.grace_seconds))

        def forget() -> None:
            del self._hook_queues[connection]
            then()

        close(connection, reason)
        queue.when_empty(forget)

    def forget(self, connection: Connection, then: Callable[[], object]) -> None:
        """Forget a connection that nobody closes, a datagram's, once its hooks have run, then call `then`."""

        def forget() -> None:
            del self._hook_queues[connection]
            then()

        self._queue_of(connection).when_empty(forget)

    def cancel(self, connection: Connection) -> None:
        """Cancel what runs for a connection that nobody closes."""
        self._queue_of(connection).end(0.0, self.grace_seconds)

    def hurry(self) -> None:
        """Have no patience any more: cancel whatever runs, and soon what will."""
        self._hurried = True
        self.grace_seconds = _HURRIED_GRACE_SECONDS
        for queue in tuple(self._hook_queues.values()):
            queue.hurry()

    def _queue_of(self, connection: Connection) -> HookQueue:
        queue = self._hook_queues.get(connection)
        if queue is None:
            queue = self._hook_queues[connection] = HookQueue(self, connection)
        return queue


class HookQueue:
    """The calls of one connection: one runs, the others wait."""

    __slots__ = (
        "_cancelled",
        "_close_seconds",
        "_connection",
        "_ended",
        "_held",
        "_hook_queues",
        "_on_empty",
        "_patience",
        "_run_number",
        "_running",
        "_task",
        "_waiting",
        "_waiting_bytes",
    )

    def __init__(self, hook_queues: HookQueues, connection: Connection) -> None:
        self._hook_queues = hook_queues
        self._connection = connection
        self._waiting: deque[tuple[Hook, tuple[Any, ...]]] = deque()
        self._waiting_bytes = 0
        self._held = False
        self._running = False
        # Counts up when a call is left behind, so that it finds out when it ends after all.
        self._run_number = 0
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False
        self._ended = False
        self._close_seconds = 0.0
        self._patience: asyncio.TimerHandle | None = None
        self._on_empty: Callable[[], object] | None = None

    def put(self, hook: Hook, rest: tuple[Any, ...]) -> None:
        """Call the hook when its turn comes, at once if nothing runs."""
        self._waiting.append((hook, rest))
        self._waiting_bytes += _size(rest)
        if not self._running:
            self._start()
        elif not self._held and (self._waiting_bytes > _HIGH_WATER or len(self._waiting) > _MOST_WAITING):
            self._held = True
            transport_of(self._connection).hold(True)

    def end(self, patience_seconds: float, close_seconds: float) -> None:
        """Drop what waits, and cancel what runs, at once or when patience is at an end.

        What is put here from now on may take `close_seconds`.
        """
        self._ended = True
        self._close_seconds = close_seconds
        self._waiting.clear()
        self._waiting_bytes = 0
        if self._running:
            self._patience = asyncio.get_running_loop().call_later(patience_seconds, self._cancel)

    def hurry(self) -> None:
        """Have no more patience."""
        if self._running and not self._cancelled:
            self._cancel()

    def when_empty(self, tell: Callable[[], object]) -> None:
        """Call `tell` once everything that was put here has run."""
        self._on_empty = tell
        if not self._running:
            tell()

    def _start(self) -> None:
        self._running = True
        transport_of(self._connection).set_busy(True)
        task = _eager(self._work(self._run_number))
        if self._running and not task.done():
            self._task = task

    async def _work(self, number: int) -> None:
        while self._waiting:
            hook, rest = self._next()
            if hook.name == "receive" and not transport_of(self._connection).is_open:
                # It closed its connection after this had come.
                continue
            if self._ended:
                self._patience = asyncio.get_running_loop().call_later(self._close_seconds, self._cancel)
            try:
                await hook.function(self._connection, *rest)
            except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
                # The end that a cancelled hook has is none of its errors.
                if not was_cancelled_by_others(raised):
                    hook.failed(hook.name, self._connection, raised)
            if number != self._run_number:
                return
            self._forgive()
        self._running = False
        self._task = None
        transport_of(self._connection).set_busy(False)
        if self._on_empty is not None and not self._running:
            self._on_empty()

    def _next(self) -> tuple[Hook, tuple[Any, ...]]:
        hook, rest = self._waiting.popleft()
        self._waiting_bytes -= _size(rest)
        if self._held and self._waiting_bytes <= _LOW_WATER and len(self._waiting) <= _FEW_WAITING:
            self._held = False
            transport_of(self._connection).hold(False)
        return hook, rest

    def _forgive(self) -> None:
        """Let the next call run as if nobody had been cancelled."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self._cancelled:
            self._cancelled = False
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()

    def _cancel(self) -> None:
        if not self._running or self._task is None:
            return
        if self._patience is not None:
            self._patience.cancel()
        self._cancelled = True
        self._task.cancel()
        self._patience = asyncio.get_running_loop().call_later(self._hook_queues.grace_seconds, self._leave_behind)

    def _leave_behind(self) -> None:
        """Go on without a call that does not end; what it still does is its own affair."""
        if self._running and self._cancelled:
            self._cancelled = False
            self._run_number += 1
            self._hook_queues.unfinished(self._connection)
            self._start()


def _size(rest: tuple[Any, ...]) -> int:
    return len(rest[0]) if rest and isinstance(rest[0], bytes) else 0


if sys.version_info >= (3, 12):

    def _eager(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=True)

else:

    def _eager(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work)
