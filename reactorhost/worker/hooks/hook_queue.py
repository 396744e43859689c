"""Hook queues: run the hooks of each connection one after the other, including those that await something.

Theory of operation. This is the one place where a coroutine function becomes a plain callable: `adapted` wraps the
four callables of a chain. So dispatch is the same for plain and async plugins, and a worker without async hooks never
imports asyncio. Each connection has a queue from its first call on. One call runs, in a task, and the others wait. A
hook that returns without awaiting costs no turn of the loop where Python starts tasks eagerly (3.12).

States of a queue: idle; running (`_running`, and `_task` once its task has begun); parked (not running, and all that
waits is input of a connection that the plugin has paused). The transport learns how many calls run or wait
(`set_owed`), so that a client that has sent its end is kept for its answers, and whether too many wait
(`hold_for_hooks`), so that the client is not read. A pause stops `receive` only.

`drain` does not wait, because a `receive` may never end: it runs in a queue of its own (`beside`), which exists until
it has ended. The tasks of both are in one context (`variables`).

Cancellation. A plain hook cannot be interrupted, an async one can. When the connection is closed, `end` drops what
waits and cancels what runs, because a hook without a client cannot answer. Otherwise each client that leaves while a
hook waits for its next message would leak a task. A hook that has closed the connection itself has work left, such as
saving a file: it may finish within `close_timeout`, and so may the `close` hooks. When `drain` has closed it, `drain`
may finish, and a `receive` beside it is cancelled. A hook that ends by a CancelledError which the host has not caused
has failed, as with any other exception (`HostTask`). A hook that ignores its cancellation for a second is abandoned,
because `close` must be called and the worker must exit. Its task runs on, finds that `_run_number` has changed, and
touches the queue no more.

Races. A hook may survive its cancellation or consume it, so `_end_cancellation` revokes it before the next call of
the same task. The end of a call may deliver the next message, which the same task takes (`_continues`).
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn, Protocol

from reactorhost.api.connection import Connection, transport_of
from reactorhost.api.connection_protocols import Transport
from reactorhost.plugins.host_task import HostTask, is_host_cancellation

_HIGH_WATER = 64 * 1024
_LOW_WATER = 16 * 1024
_HIGH_WATER_CALLS = 256
_LOW_WATER_CALLS = 64

Failed = Callable[[str, Connection, BaseException], object]
"""Called with the hook's name, the connection and what was raised."""


class Hook(NamedTuple):
    """A coroutine function, its name, and the handler of what it raises."""

    function: Callable[..., Coroutine[Any, Any, object]]
    name: str
    failed: Failed


class QueueOwner(Protocol):
    """What a queue needs of the owner of all queues.

    Attributes:
        grace_seconds: how long a call may handle its cancellation.
        unfinished: called with a connection whose hook has ignored its cancellation.
        end_child: ends the process, in a child that a plugin has forked; None in the worker.
    """

    end_child: Callable[[], NoReturn] | None
    grace_seconds: float
    unfinished: Callable[[Connection], object]


@dataclass(slots=True, eq=False, repr=False)
class HookQueue:
    """The calls of one connection: one runs, the others wait.

    Attributes:
        beside: the queue of `drain`, while that runs; for that queue, the one of all other hooks.
        is_drain: whether this is the queue of `drain`. Its call is not among those that the transport is owed, because
            messages do not wait for it.
        closed_by_drain: whether `drain` has closed the connection.
    """

    owner: QueueOwner
    connection: Connection
    beside: HookQueue | None = None
    is_drain: bool = False
    _owed: int = field(default=0, init=False)
    closed_by_drain: bool = field(default=False, init=False)
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
        self._set_owed(1 + len(self._waiting))
        if not self._held and (self._waiting_bytes > _HIGH_WATER or len(self._waiting) > _HIGH_WATER_CALLS):
            self._held = True
            self._transport.hold_for_hooks(True)

    def put_beside(self, hook: Hook) -> None:
        """Call `drain` now, beside what runs."""
        self.beside = drain = HookQueue(self.owner, self.connection, beside=self, is_drain=True)
        drain.put(hook, ())
        drain.when_empty(self.forget_beside)

    def forget_beside(self) -> None:
        """Forget the queue of `drain`, which has ended, and let the connection end if it has waited for that."""
        self.beside = None
        # Not from within the task of `drain`: see `_start`.
        asyncio.get_running_loop().call_soon(self._look_again)

    def _look_again(self) -> None:
        self._transport.set_owed(self._owed)

    @property
    def is_current(self) -> bool:
        """Whether this is called by the call that runs."""
        return self._task is not None and self._task is asyncio.current_task(self._task.get_loop())

    @property
    def input_waits(self) -> bool:
        """Whether input of the client waits for a hook."""
        return any(hook.name == "receive" for hook, _ in self._waiting)

    def _set_owed(self, calls: int) -> None:
        self._owed = calls
        if not self.is_drain:
            self._transport.set_owed(calls)

    def resume(self) -> None:
        """Run what a pause of the connection has parked."""
        if self._waiting and not self._running:
            self._start()

    def _start(self) -> None:
        self._running = True
        self._set_owed(len(self._waiting))
        # A task that starts eagerly enters the context of the connection. The queue beside this one may have a task in
        # it that calls this, and a context can be entered only once.
        _start_task(self._work(self._run_number), self._transport.variables, eager=self.beside is None)

    def end(self, finish_seconds: float, close_seconds: float) -> None:
        """Drop what waits, and cancel what runs after `finish_seconds`.

        Calls that are added from now on have `close_seconds` each.
        """
        self._ended = True
        self._close_seconds = close_seconds
        # A task that was not started eagerly has not called `connect` yet, and there is no `close` without it.
        self._waiting = deque(call for call in self._waiting if call[0].name == "connect")
        self._waiting_bytes = 0
        # One that is being cancelled has its grace: a second cancellation would interrupt what it does in it. A task
        # that has not begun may have nothing left but `close`, which has a time of its own.
        if self._running and not self._cancelled and (self._task is not None or self._waiting):
            self._deadline = asyncio.get_running_loop().call_later(finish_seconds, self._cancel)

    def hurry(self) -> None:
        """Cancel what runs, if it is not being cancelled; `close` hooks that wait have only the time of the owner."""
        self._close_seconds = self.owner.grace_seconds
        # Not at once: a task is known here from its first step on.
        asyncio.get_running_loop().call_soon(self._cancel)

    def when_empty(self, function: Callable[[], object]) -> None:
        """Call a function once every call has run."""
        self._on_empty = function
        if not self._running:
            function()

    async def _work(self, number: int) -> None:
        if self.owner.end_child is not None:
            # This task was ready when another one forked.
            self.owner.end_child()
        transport = self._transport
        # Here, and not where it is made: an eager task runs before it is returned.
        task = asyncio.current_task()
        assert isinstance(task, HostTask)
        self._task = task
        while self._continues():
            hook, rest = self._take()
            if hook.name == "receive" and not transport.is_open:
                # The plugin has closed the connection since this was read.
                continue
            if self._ended and self._deadline is None:
                self._deadline = asyncio.get_running_loop().call_later(self._close_seconds, self._cancel)
            try:
                await hook.function(self.connection, *rest)
            except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
                # A cancelled hook that ends by its cancellation has not failed.
                if not is_host_cancellation(raised):
                    hook.failed(hook.name, self.connection, raised)
            if number != self._run_number:
                return
            self._end_cancellation(task)
            if self._waiting:
                self._set_owed(len(self._waiting))
        self._running = False
        self._task = None
        if self._on_empty is not None and not self._waiting:
            self._on_empty()

    def _continues(self) -> bool:
        """Return whether this task has a call to make; the framing is asked for the next message first."""
        transport = self._transport
        if not self._waiting:
            # Still as running: a message that this delivers is for this task, and not for a new one, which would enter
            # the context of the connection a second time.
            self._set_owed(0)
            if not self._waiting:
                return False
            self._set_owed(len(self._waiting))
        return not (transport.held and transport.is_paused and self._waiting[0][0].name == "receive")

    def _take(self) -> tuple[Hook, tuple[Any, ...]]:
        hook, rest = self._waiting.popleft()
        self._waiting_bytes -= _size(rest)
        if self._held and self._waiting_bytes <= _LOW_WATER and len(self._waiting) <= _LOW_WATER_CALLS:
            self._held = False
            self._transport.hold_for_hooks(False)
        return hook, rest

    def _end_cancellation(self, task: HostTask) -> None:
        """Let the next call run as if this one had not been cancelled."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._cancelled = False
        if task.cancelling():
            task.revoke_cancellation()

    def _cancel(self) -> None:
        if not self._running or self._task is None or self._cancelled:
            return
        if self._deadline is not None:
            self._deadline.cancel()
        self._cancelled = True
        self._task.cancel_by_host()
        self._deadline = asyncio.get_running_loop().call_later(self.owner.grace_seconds, self._abandon)

    def _abandon(self) -> None:
        """Go on without a call that ignores its cancellation; its task runs on beside the queue."""
        if self._running and self._cancelled:
            self._cancelled = False
            # The next call has a deadline of its own, and is not in this task.
            self._task = self._deadline = None
            self._run_number += 1
            self.owner.unfinished(self.connection)
            self._start()


def _size(rest: tuple[Any, ...]) -> int:
    return len(rest[0]) if rest and isinstance(rest[0], bytes) else 0


if sys.version_info >= (3, 12):

    def _start_task(work: Coroutine[Any, Any, None], variables: Context, *, eager: bool) -> None:
        # `eager_start` is new in Python 3.12. Before, each hook costs a turn of the asyncio loop.
        HostTask(work, loop=asyncio.get_running_loop(), context=variables, eager_start=eager)

else:

    def _start_task(work: Coroutine[Any, Any, None], variables: Context, *, eager: bool) -> None:
        HostTask(work, loop=asyncio.get_running_loop(), context=variables)
