"""Calls of the hooks of a worker while its loop runs: one after another, and not from within what causes them.

What causes a call may be a plugin that is at work itself: it joins a group, and `joined` is a hook. So calls wait for
the end of the turn. An async hook runs as a task, and the calls behind it wait for its end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextvars import Context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reactorhost.plugins.chain import LoopHook, WorkerOf
from reactorhost.reactor import Reactor

if TYPE_CHECKING:
    from asyncio import Task

    from reactorhost.plugins.host_task import HostTask

# Between two turns of the loop, so that many calls do not keep clients waiting.
_CALLS_PER_TURN = 100

Call = tuple[str, tuple[Any, ...]]
"""The name of a hook, and its arguments without the worker."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """A call that waits, and what is called when it has ended; `hurried`: an async hook is cancelled at once."""

    hook: LoopHook | None
    args: tuple[Any, ...]
    then: Callable[[], object] | None
    hurried: bool = False


class WorkerCalls:
    """The queue of the calls of one worker.

    `variables` is the context of the worker's hooks.
    """

    def __init__(
        self, reactor: Reactor, hooks: Mapping[str, LoopHook], worker_of: WorkerOf, variables: Context
    ) -> None:
        self._reactor = reactor
        self._hooks = hooks
        self._worker_of = worker_of
        self._variables = variables
        self._waiting: deque[_Waiting | Iterator[Call]] = deque()
        self._scheduled = False
        # asyncio holds only weak references to its tasks.
        self._task: HostTask | None = None

    def has(self, hook: str) -> bool:
        """Return whether a plugin has this hook."""
        return hook in self._hooks

    def call(self, hook: str, *args: object, then: Callable[[], object] | None = None) -> None:
        """Call a hook in every plugin at the end of the turn, after the calls before it, then `then`."""
        found = self._hooks.get(hook)
        if found is not None or then is not None:
            self._waiting.append(_Waiting(found, args, then))
            self._schedule()

    def call_each(self, calls: Iterator[Call]) -> None:
        """Make the calls that an iterator returns, after the calls before it.

        The next one is requested when it can be made, so an iterator over what has changed is not ahead of the hooks.
        """
        self._waiting.append(calls)
        self._schedule()

    def hurry(self) -> None:
        """Cancel the async hook that runs, and those that wait as soon as they begin to await something."""
        for waiting in self._waiting:
            if isinstance(waiting, _Waiting):
                waiting.hurried = True
        if self._task is not None:
            self._task.cancel_by_host()

    def _schedule(self) -> None:
        if not self._scheduled and self._task is None:
            self._scheduled = True
            self._reactor.call_soon(self._run)

    def _run(self) -> None:
        self._scheduled = False
        for _ in range(_CALLS_PER_TURN):
            waiting = self._next()
            if waiting is None:
                return
            hook = waiting.hook
            if hook is not None and hook.awaits:
                self._start(hook, waiting)
                return
            if hook is not None:
                self._variables.run(hook.call, self._worker_of, *waiting.args)
            if waiting.then is not None:
                waiting.then()
        if self._waiting:
            self._schedule()

    def _next(self) -> _Waiting | None:
        while self._waiting:
            first = self._waiting[0]
            if isinstance(first, _Waiting):
                self._waiting.popleft()
                return first
            for name, args in first:
                if name in self._hooks:
                    return _Waiting(self._hooks[name], args, None)
            self._waiting.popleft()
        return None

    def _start(self, hook: LoopHook, waiting: _Waiting) -> None:
        import asyncio

        from reactorhost.plugins.host_task import HostTask

        def ended(_task: Task[Any]) -> None:
            self._task = None
            if waiting.then is not None:
                waiting.then()
            if self._waiting:
                self._schedule()

        called = hook.call(self._worker_of, *waiting.args)
        self._task = HostTask(called, loop=asyncio.get_running_loop(), context=self._variables)
        self._task.add_done_callback(ended)
        if waiting.hurried:
            self._task.cancel_by_host()
