"""Threads that run blocking functions of plugins; results and exceptions are delivered in the event loop.

Threads and queue are our own. A ThreadPoolExecutor keeps a cancelled call and its arguments until a thread reaches it,
and while all threads hang that is never; and it wakes a thread for each call, which costs more than a short call.

    run -> waiting -> running (in a thread) -> finished -> delivered (in the loop)

Only one thread at a time is on its way to the queue. The calls that the loop adds in one turn are mostly run by that
one, in a row, without a switch between threads. When it has taken one and others wait, it wakes the loop, which cannot
run before this thread waits for something or has used its time; if calls still wait then, the loop wakes the next.

`_lock` guards `_waiting`, `_running`, `_parked` and `_coming`. `_finished` is a deque, whose `append` and `popleft` are
atomic. Everything else, also all state of a task, belongs to the loop; a thread only reads whether its task was
cancelled.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from reactorhost.api.awaitable import TaskState
from reactorhost.api.thread_task import ThreadQueueFullError, ThreadTask
from reactorhost.plugins.guard import as_error
from reactorhost.worker.hooks.callbacks import check_function, name_of
from reactorhost.worker.hooks.hook_errors import HookFailure

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
    _threads: list[threading.Thread] = field(default_factory=list, init=False)
    # Of the threads that wait for calls; each is locked until its thread is to go on.
    _parked: list[threading.Lock] = field(default_factory=list, init=False)
    # Whether a thread was woken or started that has not looked for a call yet.
    _coming: bool = field(default=False, init=False)
    _joined: bool = field(default=False, init=False)
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
            RuntimeError: the system cannot start the first thread.
        """
        check_function("run_in_thread", function)
        for name, callback in (("on_result", on_result), ("on_error", on_error)):
            if callback is not None:
                check_function(name, callback)
        has_callbacks = on_result is not None or on_error is not None
        task: ThreadTask[T] = ThreadTask(self, plugin, name_of(function), has_callbacks=has_callbacks)
        call = _Call(task, function, args, on_result, on_error)
        with self._lock:
            if len(self._waiting) >= self.max_waiting + self.max_threads - len(self._running):
                what = f"{self.max_waiting} functions already wait for one of {self.max_threads} threads"
                raise ThreadQueueFullError(f"{what}, the limit of thread_queue")
            self._waiting[task] = call
        self._wake_thread()
        return task

    def _wake_thread(self) -> None:
        """Let one more thread look for a call, unless one is on its way or all of them run one.

        Raises:
            RuntimeError: the system cannot start the first thread; the call that waits is withdrawn.
        """
        with self._lock:
            if self._coming:
                return
            parked = self._parked.pop() if self._parked else None
            if parked is None and len(self._threads) >= self.max_threads:
                return
            self._coming = True
        if parked is not None:
            parked.release()
            return
        thread = threading.Thread(target=self._work, name=f"reactorhost_{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        try:
            thread.start()
        except RuntimeError:
            self._threads.remove(thread)
            with self._lock:
                self._coming = False
            if not self._threads:
                for task in self._all_waiting():
                    task.cancel()
                raise

    # In a thread.

    def _work(self) -> None:
        """Run what waits, again and again."""
        parked = threading.Lock()
        parked.acquire()
        while True:
            call = self._first(parked)
            while call is not None:
                if call.task.state is not TaskState.CANCELLED:
                    call.result, call.exception = _outcome(call.variables, call.function, call.args)
                    self.after_call()
                call = self._finish(call, parked)
            # `join` releases the lock of a thread that is between these two.
            if self._joined:
                return
            parked.acquire()

    def _first(self, parked: threading.Lock) -> _Call | None:
        """Return the first call after this thread was woken; None if it waits again."""
        with self._lock:
            self._coming = False
            call = self._next(parked)
            more = bool(self._waiting)
        if more and call is not None:
            # This call may block, and the loop cannot know.
            self._wake(call)
        return call

    def _finish(self, call: _Call, parked: threading.Lock) -> _Call | None:
        """Pass a call to the loop; returns the next one."""
        # In this order: `busy` has to be true at every moment until the call is delivered.
        self._finished.append(call)
        with self._lock:
            del self._running[call.task]
            following = self._next(parked)
        self._wake(call)
        return following

    def _next(self, parked: threading.Lock) -> _Call | None:
        """Return the next call to run; without one, the thread counts as parked. The caller has the lock."""
        if not self._waiting:
            self._parked.append(parked)
            return None
        task, call = self._waiting.popitem(last=False)
        self._running[task] = call
        return call

    def _wake(self, call: _Call) -> None:
        self.wake()
        # Read after the append: a coroutine that awaits the task later finds the call finished.
        loop = call.task.loop
        if loop is not None:
            # Closed, when the worker has left before this thread is done.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self.deliver)

    # In the loop.

    def deliver(self) -> None:
        """Settle the tasks of finished calls, and call their callbacks; let another thread run what still waits."""
        if self._waiting:
            self._wake_thread()
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

    # The code objects of these two mark callbacks on a stack: see `worker.hook_watchdog`.

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
        with self._lock:
            # There are threads for the others.
            queued = list(islice(self._waiting, self.max_threads - len(self._running), None))
        for task in queued:
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
        """Run what still waits, and wait until every thread has ended."""
        with self._lock:
            self._joined = True
            parked, self._parked = self._parked, []
        for each in parked:
            each.release()
        for thread in self._threads:
            thread.join()

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


def _in_asyncio() -> bool:
    # Without the import: a plain worker has no asyncio.
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None  # noqa: SLF001  public by its __all__
