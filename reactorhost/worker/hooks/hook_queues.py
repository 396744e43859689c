"""The hook queues of a worker, by connection: where the hooks of a chain go, and how those of a connection end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn

from reactorhost.api.close_reason import CloseReason
from reactorhost.api.connection import Connection, transport_of
from reactorhost.plugins.chain import Chain
from reactorhost.worker.hooks.hook_queue import Failed, Hook, HookQueue

_GRACE_SECONDS = 1.0
_HURRIED_GRACE_SECONDS = 0.3


class HookQueues:
    """The hook queues of a worker's connections.

    `unfinished` is called with a connection whose hook has ignored its cancellation.

    Attributes:
        end_child: ends the process, in a child that a plugin has forked; None in the worker.
    """

    def __init__(self, unfinished: Callable[[Connection], object]) -> None:
        self.unfinished = unfinished
        self.end_child: Callable[[], NoReturn] | None = None
        self.grace_seconds = _GRACE_SECONDS
        self._hurried = False
        self._hook_queues: dict[Connection, HookQueue] = {}

    def adapted(self, chain: Chain, failed: Failed) -> Chain:
        """Return a chain whose hooks return at once, and run in the queue of their connection."""

        def queued(name: str, function: Callable[..., Any]) -> Callable[..., None]:
            hook = Hook(function, name, failed)

            def put(connection: Connection, *rest: Any) -> None:
                (self._hook_queues.get(connection) or self._queue_of(connection)).put(hook, rest)

            return put

        drain_hook = Hook(chain.drain, "drain", failed)

        def drain(connection: Connection) -> None:
            self._queue_of(connection).put_beside(drain_hook)

        return replace(
            chain,
            connect=queued("connect", chain.connect),
            receive=queued("receive", chain.receive),
            close=queued("close", chain.close),
            drain=drain,
        )

    def finish(
        self,
        connection: Connection,
        reason: CloseReason,
        close: Callable[[Connection, CloseReason], object],
        on_done: Callable[[], object],
        finish_seconds: float,
    ) -> None:
        """Run the `close` hooks of a connection whose socket is closed, after what still runs, then call `on_done`.

        What waits is dropped. What runs is cancelled, after `finish_seconds` if the plugin itself has closed the
        connection, unless its `drain` has. The `close` hooks have that time too.
        """
        queue = self._queue_of(connection)
        finish_seconds = 0.0 if self._hurried else finish_seconds
        by_plugin = reason in (CloseReason.LOCAL, CloseReason.TIMEOUT)
        close_seconds = max(finish_seconds, self.grace_seconds)
        drain = queue.beside
        queue.end(finish_seconds if by_plugin and not queue.closed_by_drain else 0.0, close_seconds)

        def call_close() -> None:
            # After `end`, which has dropped what waited in the queue.
            close(connection, reason)
            self.forget(connection, on_done)

        if drain is None:
            call_close()
        else:
            drain.end(finish_seconds if by_plugin else 0.0, close_seconds)
            # Not from within the task of `drain`: see `_start`.
            drain.when_empty(lambda: asyncio.get_running_loop().call_soon(call_close))

    def drain_runs(self, connection: Connection) -> bool:
        """Return whether the `drain` of a connection has not returned."""
        queue = self._hook_queues.get(connection)
        return queue is not None and queue.beside is not None

    def plugin_closes(self, connection: Connection) -> None:
        """Note which hook closes a connection."""
        queue = self._hook_queues.get(connection)
        if queue is not None and queue.beside is not None and transport_of(connection).is_open:
            queue.closed_by_drain = queue.beside.is_current

    def input_waits(self, connection: Connection) -> bool:
        """Return whether input of a connection waits for a hook."""
        queue = self._hook_queues.get(connection)
        return queue is not None and queue.input_waits

    def resumed(self, connection: Connection) -> None:
        """Run what has waited for the end of a connection's pause."""
        queue = self._hook_queues.get(connection)
        if queue is not None:
            queue.resume()

    def forget(self, connection: Connection, on_done: Callable[[], object]) -> None:
        """Remove the queue of a connection once its hooks have run, and call `on_done`."""

        def forget() -> None:
            del self._hook_queues[connection]
            on_done()

        self._queue_of(connection).when_empty(forget)

    def cancel(self, connection: Connection) -> None:
        """Cancel what runs for a connection without a `close`."""
        self._queue_of(connection).end(0.0, self.grace_seconds)

    def hurry(self) -> None:
        """Cancel everything that runs now, and what will run after a shorter time: the worker must exit."""
        self._hurried = True
        self.grace_seconds = _HURRIED_GRACE_SECONDS
        for queue in tuple(self._hook_queues.values()):
            queue.hurry()
            if queue.beside is not None:
                queue.beside.hurry()

    def _queue_of(self, connection: Connection) -> HookQueue:
        queue = self._hook_queues.get(connection)
        if queue is None:
            queue = self._hook_queues[connection] = HookQueue(self, connection)
        return queue
