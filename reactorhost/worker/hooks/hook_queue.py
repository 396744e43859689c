"""Hook queues: run the hooks of each connection one after the other, including those that await something.

Theory of operation. This is the one place where a coroutine function becomes a plain callable: `adapted` wraps the
four callables of a chain. So dispatch is the same for plain and async plugins, and a worker without async hooks never
imports asyncio. Each connection has a queue from its first call on. One call runs, in a task, and the others wait. A
hook that returns without awaiting costs no turn of the loop where Python starts tasks eagerly (3.12).

States of a queue: idle; running (`_running`, and `_task` once the call has awaited); parked (not running, and all
that waits is input of a connection that the plugin has paused). The transport learns how many calls run or wait
(`set_owed`), so that a client that has sent its end is kept for its answers, and whether too many wait
(`hold_for_hooks`), so that the client is not read. A pause stops `receive` only: `drain` may be the call that ends
it.

Cancellation. A plain hook cannot be interrupted, an async one can. When the connection is closed, `end` drops what
waits and cancels what runs, because a hook without a client cannot answer. Otherwise each client that leaves while a
hook waits for its next message would leak a task. A hook that has closed the connection itself has work left, such as
saving a file: it may finish within `close_timeout`, and so may the `close` hooks. A hook that ends by a CancelledError
which the host has not caused has failed, as with any other exception (`HostTask`). A hook that ignores its
cancellation for a second is abandoned, because `close` must be called and the worker must exit. Its task runs on,
finds that `_run_number` has changed, and touches the queue no more.

Races. A hook may survive its cancellation or consume it, so `_end_cancellation` revokes it before the next call of
the same task. The end of a call may deliver the next message, which the same task takes (`_continues`).
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from reactorhost.api.connection import CloseReason, Connection, Transport, transport_of
from reactorhost.plugins.chain import Chain
from reactorhost.plugins.host_task import HostTask, is_host_cancellation

_HIGH_WATER = 64 * 1024
_LOW_WATER = 16 * 1024
_HIGH_WATER_CALLS = 256
_LOW_WATER_CALLS = 64
_GRACE_SECONDS = 1.0
_HURRIED_GRACE_SECONDS = 0.3

Failed = Callable[[str, Connection, BaseException], object]
"""Called with the hook's name, the connection and what was raised."""


class Hook(NamedTuple):
    """A coroutine function, its name, and the handler of what it raises."""

    function: Callable[..., Coroutine[Any, Any, object]]
    name: str
    failed: Failed


class HookQueues:
    """The hook queues of a worker's connections.

    `unfinished` is called with a connection whose hook has ignored its cancellation.
    """

    def __init__(self, unfinished: Callable[[Connection], object]) -> None:
        self.unfinished = unfinished
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

        return replace(
            chain,
            connect=queued("connect", chain.connect),
            receive=queued("receive", chain.receive),
            close=queued("close", chain.close),
            drain=queued("drain", chain.drain),
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
        connection. The `close` hooks have that time too.
        """
        queue = self._queue_of(connection)
        finish_seconds = 0.0 if self._hurried else finish_seconds
        by_plugin = reason in (CloseReason.LOCAL, CloseReason.TIMEOUT)
        queue.end(finish_seconds if by_plugin else 0.0, max(finish_seconds, self.grace_seconds))

        # After `end`, which has dropped what waited in the queue.
        close(connection, reason)
        self.forget(connection, on_done)

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

    def _queue_of(self, connection: Connection) -> HookQueue:
        queue = self._hook_queues.get(connection)
        if queue is None:
            queue = self._hook_queues[connection] = HookQueue(self, connection)
        return queue


@dataclass(slots=True, eq=False, repr=False)
class HookQueue:
    """The calls of one connection: one runs, the others wait."""

    hook_queues: HookQueues
    connection: Connection
    _transport: Transport = field(init=False)
    _waiting: deque[tuple[Hook, tuple[Any, ...]]] = field(default_factory=deque, init=False)
    _waiting_bytes: int = field(default=0, init=False)
    _held: bool = field(default=False, init=False)
    _running: bool = field(default=False, init=False)
    # Raised when a call is abandoned: its task compares it when the call ends after all.
    _run_number: int = field(default=0, init=False)
    _task: HostTask | None = field(default=None, init=False)
    _cancelled: bool = field(default=False, init=False)
    _ended: bool = field(default=False, init=False)
    _close_seconds: float = field(default=0.0, init=False)
    _deadline: asyncio.TimerHandle | None = field(default=None, init=False)
    _on_empty: Callable[[], object] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._transport = transport_of(self.connection)

    def put(self, hook: Hook, rest: tuple[Any, ...]) -> None:
        """Add a call; it starts at once if nothing runs."""
        self._waiting.append((hook, rest))
        self._waiting_bytes += _size(rest)
        if not self._running:
            self._start()
            return
        transport = self._transport
        transport.set_owed(1 + len(self._waiting))
        if not self._held and (self._waiting_bytes > _HIGH_WATER or len(self._waiting) > _HIGH_WATER_CALLS):
            self._held = True
            transport.hold_for_hooks(True)

    def resume(self) -> None:
        """Run what a pause of the connection has parked."""
        if self._waiting and not self._running:
            self._start()

    def _start(self) -> None:
        self._running = True
        self._transport.set_owed(len(self._waiting))
        task = _eager(self._work(self._run_number), self._transport.variables)
        # An eager task may have ended, and even started the next one, before it is returned.
        if self._running and not task.done():
            self._task = task

    def end(self, finish_seconds: float, close_seconds: float) -> None:
        """Drop what waits, and cancel what runs after `finish_seconds`.

        Calls that are added from now on have `close_seconds` each.
        """
        self._ended = True
        self._close_seconds = close_seconds
        self._waiting.clear()
        self._waiting_bytes = 0
        # One that is being cancelled has its grace: a second cancellation would interrupt what it does in it.
        if self._running and not self._cancelled:
            self._deadline = asyncio.get_running_loop().call_later(finish_seconds, self._cancel)

    def hurry(self) -> None:
        """Cancel what runs, if it is not being cancelled."""
        # Not at once: the hook may be running further up the stack, and an eager task has no name yet.
        asyncio.get_running_loop().call_soon(self._cancel)

    def when_empty(self, function: Callable[[], object]) -> None:
        """Call a function once every call has run."""
        self._on_empty = function
        if not self._running:
            function()

    async def _work(self, number: int) -> None:
        transport = self._transport
        while self._continues():
            hook, rest = self._take()
            if hook.name == "receive" and not transport.is_open:
                # The plugin has closed the connection since this was read.
                continue
            if self._ended:
                self._deadline = asyncio.get_running_loop().call_later(self._close_seconds, self._cancel)
            try:
                await hook.function(self.connection, *rest)
            except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
                # A cancelled hook that ends by its cancellation has not failed.
                if not is_host_cancellation(raised):
                    hook.failed(hook.name, self.connection, raised)
            if number != self._run_number:
                return
            self._end_cancellation()
            if self._waiting:
                transport.set_owed(len(self._waiting))
        self._running = False
        self._task = None
        if self._on_empty is not None and not self._waiting:
            self._on_empty()

    def _continues(self) -> bool:
        """Return whether this task has a call to make; the framing is asked for the next message first."""
        transport = self._transport
        if not self._waiting:
            # Still as running: a message that this delivers is for this task, which is in the connection's context. A
            # new one would enter that context when it starts eagerly, and it can be entered only once.
            transport.set_owed(0)
            if not self._waiting:
                return False
            transport.set_owed(len(self._waiting))
        return not (transport.held and self._is_parked())

    def _is_parked(self) -> bool:
        """Return whether all that waits is input of a paused connection; else make the next call the first."""
        if not self._transport.is_paused:
            return False
        for index, call in enumerate(self._waiting):
            if call[0].name != "receive":
                del self._waiting[index]
                self._waiting.appendleft(call)
                return False
        return True

    def _take(self) -> tuple[Hook, tuple[Any, ...]]:
        hook, rest = self._waiting.popleft()
        self._waiting_bytes -= _size(rest)
        if self._held and self._waiting_bytes <= _LOW_WATER and len(self._waiting) <= _LOW_WATER_CALLS:
            self._held = False
            self._transport.hold_for_hooks(False)
        return hook, rest

    def _end_cancellation(self) -> None:
        """Let the next call run as if this one had not been cancelled."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._cancelled = False
        task = asyncio.current_task()
        assert isinstance(task, HostTask)
        if task.cancelling():
            task.revoke_cancellation()

    def _cancel(self) -> None:
        if not self._running or self._task is None or self._cancelled:
            return
        if self._deadline is not None:
            self._deadline.cancel()
        self._cancelled = True
        self._task.cancel_by_host()
        self._deadline = asyncio.get_running_loop().call_later(self.hook_queues.grace_seconds, self._abandon)

    def _abandon(self) -> None:
        """Go on without a call that ignores its cancellation; its task runs on beside the queue."""
        if self._running and self._cancelled:
            self._cancelled = False
            self._run_number += 1
            self.hook_queues.unfinished(self.connection)
            self._start()


def _size(rest: tuple[Any, ...]) -> int:
    return len(rest[0]) if rest and isinstance(rest[0], bytes) else 0


if sys.version_info >= (3, 12):

    def _eager(work: Coroutine[Any, Any, None], variables: Context) -> HostTask:
        # `eager_start` is new in Python 3.12. Before, each hook costs a turn of the asyncio loop.
        return HostTask(work, loop=asyncio.get_running_loop(), context=variables, eager_start=True)

else:

    def _eager(work: Coroutine[Any, Any, None], variables: Context) -> HostTask:
        return HostTask(work, loop=asyncio.get_running_loop(), context=variables)
