"""Threads that run blocking functions of plugins; results and exceptions are delivered in the event loop.

`concurrent.futures` starts, reuses and joins the threads. The queue is our own: a ThreadPoolExecutor keeps a cancelled
call and its arguments until a thread reaches it, and while all threads hang that is never. So the executor gets a
call only when a thread is free, and a thread that has finished one takes the next from our queue.

    run -> waiting -> running (in a thread) -> finished -> delivered (in the loop)

`_lock` guards `_waiting` and `_running`. `_finished` is a deque, whose `append` and `popleft` are atomic. Everything
else, also all state of a task, belongs to the loop; a thread only reads whether its task was cancelled.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from reactorhost.api.awaitable import TaskState
from reactorhost.api.thread_task import ThreadQueueFullError, ThreadTask
from reactorhost.plugins.guard import as_error
from reactorhost.worker.hooks.hook_errors import HookFailure

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

T = TypeVar("T")

# Between two turns of the loop, so that many results do not keep clients waiting.
_DELIVERIES_PER_TURN = 100


@dataclass(slots=True, eq=False, repr=False)
class _Call:
    """A function of a plugin, and later what it returned or raised."""

    task: ThreadTask[Any]
    function: Callable[..., Any]
    args: tuple[Any, ...]
    on_result: Callable[[Any], object] | None
    on_error: Callable[[Exception], object] | None
    # Of the function and, after it, of the callbacks; a copy, as `asyncio.to_thread` makes one.
    variables: Context = field(default_factory=copy_context)
    result: Any = None
    exception: Exception | None = None


@dataclass(slots=True, eq=False, repr=False)
class ThreadPool:
    """The threads of one worker and the calls that wait for them; no thread is started before the first call.

    `hook_failed` is called in the loop, with exceptions. `wake` is called in any thread and makes the loop call
    `deliver`. `after_call` is called in the thread when a function has ended.
    """

    max_threads: int
    max_waiting: int
    hook_failed: HookFailure
    wake: Callable[[], object]
    after_call: Callable[[], object] = lambda: None
    _executor: ThreadPoolExecutor | None = field(default=None, init=False)
    # Reentrant: the garbage collector may run under it and call a plugin's `__del__`, which may cancel a task.
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False)
    _waiting: OrderedDict[ThreadTask[Any], _Call] = field(default_factory=OrderedDict, init=False)
    _running: dict[ThreadTask[Any], _Call] = field(default_factory=dict, init=False)
    _finished: deque[_Call | tuple[str, Exception]] = field(default_factory=deque, init=False)
    _cancelled: list[str] = field(default_factory=list, init=False)
    _on_idle: Callable[[], object] | None = field(default=None, init=False)

    @property
    def busy(self) -> bool:
        """Whether a call waits, runs, or is finished and not delivered."""
        return bool(self._waiting or self._running or self._finished)

    def run(
        self,
        plugin: str,
        function: Callable[..., T],
        args: tuple[Any, ...],
        on_result: Callable[[T], object] | None,
        on_error: Callable[[Exception], object] | None,
    ) -> ThreadTask[T]:
        """Call a function in a thread as soon as one is free, then one of the callbacks in the loop.

        Raises:
            TypeError: the function or a callback is not callable, or is a coroutine function.
            ThreadQueueFullError: too many calls wait already.
            RuntimeError: the system cannot start another thread.
        """
        check_function("run_in_thread", function)
        for name, callback in (("on_result", on_result), ("on_error", on_error)):
            if callback is not None:
                check_function(name, callback)
        has_callbacks = on_result is not None or on_error is not None
        task: ThreadTask[T] = ThreadTask(self, plugin, name_of(function), has_callbacks=has_callbacks)
        call = _Call(task, function, args, on_result, on_error)
        with self._lock:
            if len(self._running) >= self.max_threads:
                if len(self._waiting) >= self.max_waiting:
                    what = f"{len(self._waiting)} functions already wait for one of {self.max_threads} threads"
                    raise ThreadQueueFullError(f"{what}, the limit of thread_queue")
                self._waiting[task] = call
                return task
            self._running[task] = call
        self._start(call)
        return task

    def _start(self, call: _Call) -> None:
        from concurrent.futures import ThreadPoolExecutor

        if self._executor is None:
            # Its threads are started one by one, and only when no other is free.
            self._executor = ThreadPoolExecutor(self.max_threads, thread_name_prefix="reactorhost")
        # In a list that the thread empties: the executor's own frame keeps its arguments, and an exception of the
        # function keeps that frame. Again a cycle: see `_outcome`.
        handover = [call]
        try:
            self._executor.submit(self._work, handover)
        except RuntimeError:
            # The executor queues a call before it starts the thread for it, and keeps it when that fails.
            try:
                handover.pop()
            except IndexError:
                # Another thread was free by then, and runs it.
                return
            with self._lock:
                del self._running[call.task]
            call.task.cancel()
            raise

    # In a thread.

    def _work(self, handover: list[_Call]) -> None:
        """Run a call, then whatever waits."""
        try:
            call: _Call | None = handover.pop()
        except IndexError:
            # No thread could be started for it.
            return
        while call is not None:
            if call.task.state is not TaskState.CANCELLED:
                call.result, call.exception = _outcome(call.variables, call.function, call.args)
                self.after_call()
            call = self._finish(call)

    def _finish(self, call: _Call) -> _Call | None:
        """Pass a call to the loop; returns the next one."""
        # In this order: `busy` has to be true at every moment until the call is delivered.
        self._finished.append(call)
        with self._lock:
            del self._running[call.task]
            following = None
            if self._waiting:
                task, following = self._waiting.popitem(last=False)
                self._running[task] = following
        self.wake()
        # Read after the append: a coroutine that awaits the task later finds the call finished.
        loop = call.task.loop
        if loop is not None:
            # Closed, when the worker has left before this thread is done.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self.deliver)
        return following

    # In the loop.

    def deliver(self) -> None:
        """Settle the tasks of finished calls, and call their callbacks."""
        for _ in range(min(len(self._finished), _DELIVERIES_PER_TURN)):
            finished = self._finished.popleft()
            if isinstance(finished, _Call):
                self._deliver(finished)
            else:
                self._log(*finished)
        if self._finished:
            self.wake()
        elif self._on_idle is not None and not self.busy:
            on_idle, self._on_idle = self._on_idle, None
            on_idle()

    def _deliver(self, call: _Call) -> None:
        task, exception = call.task, call.exception
        if task.state is TaskState.CANCELLED:
            return
        if exception is None:
            task.set_result(call.result)
            if call.on_result is not None:
                self.call_on_result(call, call.on_result, call.result)
            return
        awaited = task.set_exception(exception)
        if call.on_error is not None:
            self.call_on_error(call, call.on_error, exception)
        elif awaited or _in_asyncio():
            task.log_if_unretrieved = True
        else:
            self._log(task.plugin, exception)

    # The code objects of these two mark callbacks on a stack: see `worker.life`.

    def call_on_result(self, call: _Call, function: Callable[[Any], object], result: Any) -> None:
        """Call a plugin's `on_result`."""
        self._call(call, "on_result", function, result)

    def call_on_error(self, call: _Call, function: Callable[[Any], object], exception: Exception) -> None:
        """Call a plugin's `on_error`."""
        self._call(call, "on_error", function, exception)

    def _call(self, call: _Call, hook: str, function: Callable[[Any], object], outcome: Any) -> None:
        try:
            call.variables.run(function, outcome)
        except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
            self.hook_failed(call.task.plugin, hook, None, as_error(raised))

    def _log(self, plugin: str, exception: Exception) -> None:
        self.hook_failed(plugin, "thread", None, exception)

    # For tasks.

    def withdraw(self, task: ThreadTask[Any]) -> None:
        """Remove a cancelled task's call from the queue, or drop the callbacks of one that runs."""
        with self._lock:
            call = self._waiting.pop(task, None) or self._running.get(task)
        if call is not None:
            call.on_result = call.on_error = None

    def log_unretrieved(self, plugin: str, exception: Exception) -> None:
        """Let the loop log an exception; in any thread, without a lock, since the garbage collector may hold ours."""
        self._finished.append((plugin, exception))
        self.wake()

    # The end of the worker.

    def finish(self, on_idle: Callable[[], object]) -> None:
        """Cancel what waits, and call `on_idle` once nothing runs, which may be now."""
        for task in self._all_waiting():
            task.cancel()
            self._cancelled.append(task.name)
        self._on_idle = on_idle
        self.deliver()

    def running(self) -> list[str]:
        """Return the names of the functions that run now."""
        with self._lock:
            return [task.name for task in self._running]

    def cancelled(self) -> list[str]:
        """Return the names of the functions that `finish` cancelled, and of those that wait now."""
        return [*self._cancelled, *(task.name for task in self._all_waiting())]

    def join(self) -> None:
        """Wait until every thread has ended."""
        if self._executor is not None:
            self._executor.shutdown()

    def _all_waiting(self) -> list[ThreadTask[Any]]:
        with self._lock:
            return list(self._waiting)


def _outcome(
    variables: Context, function: Callable[..., T], args: tuple[Any, ...]
) -> tuple[T | None, Exception | None]:
    # A frame of its own, called by `_work` directly: an exception holds the frames that it passed, and these hold their
    # callers. A frame that ends with a reference to the call would close a cycle of call, exception and frame, which
    # stays until the garbage collector runs.
    try:
        return variables.run(function, *args), None
    except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
        return None, as_error(raised)


def name_of(function: Any) -> str:
    """Return the qualified name of a function, of what a `partial` calls, or of a callable object's class."""
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def check_function(name: str, function: object) -> None:
    """Check a callback of a plugin, that the parameter `name` is for.

    Raises:
        TypeError: it is not callable, or is a coroutine function.
    """
    if not callable(function):
        raise TypeError(f"{name} takes a function, not {function!r}")
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
        raise TypeError(f"{name} takes a plain function, and {function!r} is a coroutine function: await it instead")


def _in_asyncio() -> bool:
    # Without the import: a plain worker has no asyncio.
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None  # noqa: SLF001  public by its __all__
