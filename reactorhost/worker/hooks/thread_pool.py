"""Threads: blocking functions of plugins, run beside the loop; what comes of them is told on the loop.

A thread touches its task, the queue under its lock, and the deque of tasks that are done. Everything else happens on
the loop: `run`, `cancel`, `deliver` and whatever a plugin is called with.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from reactorhost.plugins.guard import as_error

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    from reactorhost.worker.hooks.hook_errors import HookFailure

T = TypeVar("T")

_DELIVERED_A_TURN = 100


class ThreadQueueFullError(RuntimeError):
    """More functions wait for a thread than the setting `thread_queue` allows."""


class ThreadTask(Generic[T]):
    """One function that a thread runs; `await task` gives its result in an async hook."""

    __slots__ = (
        "__weakref__",
        "_args",
        "_cancelled",
        "_done",
        "_error",
        "_function",
        "_futures",
        "_loop",
        "_otherwise",
        "_result",
        "_then",
        "_threads",
        "_untold",
        "plugin",
    )

    def __init__(
        self,
        threads: ThreadPool,
        plugin: str,
        function: Callable[..., T],
        args: tuple[Any, ...],
        then: Callable[[T], object] | None,
        otherwise: Callable[[Exception], object] | None,
    ) -> None:
        self.plugin = plugin
        self._threads = threads
        self._function = function
        self._args = args
        self._then = then
        self._otherwise = otherwise
        self._result: T | None = None
        self._error: Exception | None = None
        self._done = False
        self._cancelled = False
        self._untold = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._futures: list[asyncio.Future[T]] = []

    def __repr__(self) -> str:
        return f"<ThreadTask {self.name}>"

    @property
    def name(self) -> str:
        """Return the name of the function."""
        function: Any = self._function
        while isinstance(function, functools.partial):
            function = function.func
        return str(getattr(function, "__qualname__", type(function).__qualname__))

    def cancel(self) -> None:
        """Do not run it if it still waits; if it runs or has run, drop what comes of it."""
        if not self._cancelled and not self._done:
            self._cancelled = True
            self._threads.withdraw(self)
            self._forget()
            for future in self._futures:
                future.cancel()

    def __await__(self) -> Generator[Any, None, T]:
        import asyncio

        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._untold = False
        if self._cancelled:
            future.cancel()
        elif self._done:
            self._settle(future)
        else:
            self._futures.append(future)
            future.add_done_callback(self._left)
            # The loop hears of it by itself: while worker_start is awaited no reactor turns. And once now, for a thread
            # that was done before it could know.
            self._loop = future.get_loop()
            self._loop.call_soon(self._threads.deliver)
        return future.__await__()

    def __del__(self) -> None:
        # An exception that nobody awaited, and now nobody can. This may be any thread.
        if self._untold and self._error is not None:
            self._threads.tell_later(self.plugin, self._error)

    def call(self) -> tuple[Callable[..., T], tuple[Any, ...]]:
        """Return what a thread is to call, and with what."""
        return self._function, self._args

    def keep(self, result: T | None, error: Exception | None) -> None:
        """Keep what came of it until the loop tells; in a thread."""
        self._result = result
        self._error = error

    def wake_awaiting(self) -> None:
        """Let the loop of whoever awaits it deliver; in a thread."""
        if self._loop is not None:
            # It may be closed by now: the worker has left, and nobody waits.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._threads.deliver)

    def settle(self) -> None:
        """Tell what came of it; on the loop."""
        if self._cancelled:
            return
        self._done = True
        for future in self._futures:
            self._settle(future)
        if self._error is None:
            if self._then is not None:
                self._threads.call(self.plugin, "then", self._then, self._result)
        elif self._otherwise is not None:
            self._threads.call(self.plugin, "otherwise", self._otherwise, self._error)
        elif all(future.cancelled() for future in self._futures):
            # An async hook may have started several, and await this one later.
            self._untold = _in_asyncio()
            if not self._untold:
                self._threads.tell(self.plugin, self._error)
        self._forget()

    def _settle(self, future: asyncio.Future[T]) -> None:
        if future.done():
            return
        error = self._error
        if isinstance(error, StopIteration):
            # No future takes one: it would end the coroutine as if it had returned.
            error = RuntimeError(f"{self.name} raised StopIteration")
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(self._result)  # type: ignore[arg-type]  # None where T is

    def _left(self, future: asyncio.Future[T]) -> None:
        """Cancel the task when everybody who awaited it was cancelled."""
        if all(each.cancelled() for each in self._futures) and self._then is None and self._otherwise is None:
            self.cancel()

    def _forget(self) -> None:
        """Hold nothing of the plugin any longer than needed."""
        self._args = ()
        self._then = self._otherwise = None


class ThreadPool:
    """The threads of one worker and what waits for them; none is made before there is something to do.

    `failed` hears on the loop of exceptions. `wake` is called from any thread, and lets the loop call `deliver`.
    """

    def __init__(self, most_threads: int, most_waiting: int, failed: HookFailure, wake: Callable[[], object]) -> None:
        self._most_threads = most_threads
        self._most_waiting = most_waiting
        self._failed = failed
        self._wake = wake
        self._executor: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._waiting: OrderedDict[ThreadTask[Any], None] = OrderedDict()
        self._running: set[ThreadTask[Any]] = set()
        self._tickets: set[object] = set()
        self._cancelled: list[str] = []
        self._finished: deque[ThreadTask[Any] | tuple[str, Exception]] = deque()
        self._on_idle: Callable[[], object] | None = None

    @property
    def busy(self) -> bool:
        """Whether something waits, runs, or is done and not delivered."""
        return bool(self._waiting or self._running or self._finished)

    def run(
        self,
        plugin: str,
        function: Callable[..., T],
        args: tuple[Any, ...],
        then: Callable[[T], object] | None,
        otherwise: Callable[[Exception], object] | None,
    ) -> ThreadTask[T]:
        """Run a function of a plugin in a thread as soon as one is free.

        Raises:
            TypeError: one of the three is no plain function.
            ThreadQueueFullError: too many wait already.
            RuntimeError: the system has no room for another thread.
        """
        _refuse_what_no_thread_calls("run_in_thread", function)
        for name, callback in (("then", then), ("otherwise", otherwise)):
            if callback is not None:
                _refuse_what_no_thread_calls(name, callback)
        task = ThreadTask(self, plugin, function, args, then, otherwise)
        ticket = None
        with self._lock:
            if len(self._tickets) < self._most_threads:
                ticket = object()
                self._tickets.add(ticket)
            elif len(self._waiting) >= self._most_waiting:
                what = f"{len(self._waiting)} functions wait for one of {self._most_threads} threads already"
                raise ThreadQueueFullError(f"{what}, and thread_queue allows no more")
            self._waiting[task] = None
        if ticket is not None:
            self._start(task, ticket)
        return task

    def withdraw(self, task: ThreadTask[Any]) -> None:
        """Take a task out of the queue, if it still waits."""
        with self._lock:
            self._waiting.pop(task, None)

    def deliver(self) -> None:
        """Tell what came of the tasks that are done; on the loop."""
        for _ in range(min(len(self._finished), _DELIVERED_A_TURN)):
            item = self._finished.popleft()
            if isinstance(item, ThreadTask):
                item.settle()
            else:
                self.tell(*item)
        if self._finished:
            self._wake()
        elif self._on_idle is not None and not self.busy:
            on_idle, self._on_idle = self._on_idle, None
            on_idle()

    def finish(self, on_idle: Callable[[], object]) -> None:
        """Cancel what waits, and call back once nothing runs, which may be now."""
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
        """Let the threads end, and wait until they have."""
        if self._executor is not None:
            self._executor.shutdown()

    def call(self, plugin: str, hook: str, function: Callable[[Any], object], outcome: object) -> None:
        """Call a plugin back; what it raises is told."""
        try:
            function(outcome)
        except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
            self._failed(plugin, hook, None, as_error(raised))

    def tell(self, plugin: str, error: Exception) -> None:
        """Tell of an exception of a function; on the loop."""
        self._failed(plugin, "thread", None, error)

    def tell_later(self, plugin: str, error: Exception) -> None:
        """Let the loop tell of an exception; from any thread."""
        self._finished.append((plugin, error))
        self._wake()

    def _all_waiting(self) -> list[ThreadTask[Any]]:
        with self._lock:
            return list(self._waiting)

    def _start(self, task: ThreadTask[Any], ticket: object) -> None:
        from concurrent.futures import ThreadPoolExecutor

        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._most_threads, thread_name_prefix="reactorhost")
        try:
            self._executor.submit(self._work, ticket)
        except RuntimeError:
            # No room for another thread. The ticket may still be in the executor's queue: it is worth nothing now.
            with self._lock:
                self._tickets.discard(ticket)
            self.withdraw(task)
            raise

    def _work(self, ticket: object) -> None:
        """Run what waits until nothing does; in a thread."""
        while (task := self._next(ticket)) is not None:
            task.keep(*_outcome(*task.call()))
            # In this order: at every moment it is seen as running or as done.
            self._finished.append(task)
            with self._lock:
                self._running.discard(task)
            self._wake()
            task.wake_awaiting()
            del task

    def _next(self, ticket: object) -> ThreadTask[Any] | None:
        with self._lock:
            if ticket not in self._tickets or not self._waiting:
                self._tickets.discard(ticket)
                return None
            task, _ = self._waiting.popitem(last=False)
            self._running.add(task)
            return task


def _outcome(function: Callable[..., T], args: tuple[Any, ...]) -> tuple[T | None, Exception | None]:
    # A frame of its own: an exception holds it, and must not hold the task, which holds the exception.
    try:
        return function(*args), None
    except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
        return None, as_error(raised)


def _refuse_what_no_thread_calls(name: str, function: object) -> None:
    if not callable(function):
        raise TypeError(f"{name} takes a function, not {function!r}")
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
        raise TypeError(f"{name} takes a plain function, and {function!r} is a coroutine function: await it instead")


def _in_asyncio() -> bool:
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None  # noqa: SLF001  public by its __all__
