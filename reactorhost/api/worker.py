"""Worker processes, as plugins use them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from reactorhost.api.connect_attempt import ConnectAttempt
from reactorhost.api.connection import Connection, Timer
from reactorhost.api.counter import Counter
from reactorhost.api.thread_task import ThreadTask

if TYPE_CHECKING:
    from ssl import SSLContext

T = TypeVar("T")
Args = tuple[Any, ...]
OnResult = Callable[[T], object] | None
OnError = Callable[[Exception], object] | None


class WorkerTimers(Protocol):
    """What a worker needs to call functions later."""

    def call_later(self, seconds: float, function: Callable[..., object], args: Args, /) -> Timer: ...
    def call_every(self, seconds: float, function: Callable[..., object], args: Args, /) -> Timer: ...


class WorkerThreads(Protocol):
    """What a worker needs to call functions in threads."""

    def run(
        self, plugin: str, function: Callable[..., T], args: Args, on_result: OnResult[T], on_error: OnError, /
    ) -> ThreadTask[T]: ...


class WorkerMetrics(Protocol):
    """What a worker needs to count."""

    def counter(self, plugin: str, name: str, /) -> Counter: ...


class WorkerOutbound(Protocol):
    """What a worker needs to connect to other hosts."""

    def connect(
        self, plugin: str, address: str, handler: object, timeout: float, tls: SSLContext | None, name: str | None, /
    ) -> ConnectAttempt: ...


class Worker:
    """One worker process, as one plugin uses it.

    Each plugin has an object of its own, so that the host can attribute timers, threads, metrics and outbound
    connections to it. Not thread-safe: use it in hooks, timers and callbacks only.

    Attributes:
        plugin: name of the plugin.
        slot: number of the slot that the process occupies, from 0.
        pid: process id.
        generation: number of the start or reload that started the process; 1 for the start.
        log: the logger `reactorhost.plugin.NAME` of `logging`; its lines go to the host's log and name the plugin.
    """

    def __init__(
        self,
        plugin: str,
        slot: int,
        pid: int,
        generation: int,
        connections: Callable[[], Iterable[Connection]],
        timers: WorkerTimers,
        threads: WorkerThreads,
        metrics: WorkerMetrics,
        outbound: WorkerOutbound,
        check_thread: Callable[[str], object],
        clock: Callable[[], float],
    ) -> None:
        self.plugin = plugin
        self.slot = slot
        self.pid = pid
        self.generation = generation
        self.log = logging.getLogger(f"reactorhost.plugin.{plugin}")
        self._connections = connections
        self._timers = timers
        self._threads = threads
        self._metrics = metrics
        self._outbound = outbound
        self._check_thread = check_thread
        self._clock = clock

    def __repr__(self) -> str:
        return f"<Worker of {self.plugin} slot={self.slot} pid={self.pid} generation={self.generation}>"

    @property
    def connections(self) -> Iterator[Connection]:
        """The clients of all services that are connected now, as an iterator over a copy."""
        # A copy, because the loop body may close some of them.
        return iter(list(self._connections()))

    def now(self) -> float:
        """Return the time by which timers run: monotonic seconds from an arbitrary start.

        In a test on a bench it stands still until `advance`.
        """
        return self._clock()

    def call_later(self, seconds: float, function: Callable[..., object], *args: Any) -> Timer:
        """Call `function(*args)` once, `seconds` from now; an exception is logged.

        Raises:
            TypeError: `seconds` is not a number.
            ValueError: `seconds` is not finite.
        """
        self._check_thread("worker.call_later")
        return self._timers.call_later(seconds, function, args)

    def call_every(self, seconds: float, function: Callable[..., object], *args: Any) -> Timer:
        """Call `function(*args)` every `seconds` until it is cancelled; an exception is logged and does not stop it.

        The next interval begins when the function has returned, or an async one has ended.

        Raises:
            TypeError: `seconds` is not a number.
            ValueError: `seconds` is not positive and finite.
        """
        self._check_thread("worker.call_every")
        return self._timers.call_every(seconds, function, args)

    def run_in_thread(
        self,
        function: Callable[..., T],
        *args: Any,
        on_result: Callable[[T], object] | None = None,
        on_error: Callable[[Exception], object] | None = None,
    ) -> ThreadTask[T]:
        """Call `function(*args)` in a thread, then `on_result(result)` or `on_error(exception)` in the event loop.

        `function` may block; it must not use connections or the worker. An async hook may await the returned task
        instead. An exception that is neither passed to `on_error` nor raised in an `await` is logged.

        Raises:
            TypeError: `function` or a callback is not callable, or is a coroutine function.
            ThreadQueueFullError: as many functions wait for a thread as the setting `thread_queue` allows.
            RuntimeError: the system cannot start another thread.
        """
        return self._threads.run(self.plugin, function, args, on_result, on_error)

    def counter(self, name: str) -> Counter:
        """Return the plugin's counter of this name, the same object each time; `status` and `top` show it.

        A name has up to 64 characters of `a-z 0-9 _ .` and begins with a letter. A plugin may have 50 metrics.

        Raises:
            ValueError: the name is malformed, or the plugin has too many counters.
        """
        return self._metrics.counter(self.plugin, name)

    def connect(
        self,
        address: str,
        handler: object,
        *,
        timeout: float = 10.0,
        tls: SSLContext | None = None,
        server_name: str | None = None,
    ) -> ConnectAttempt:
        """Connect to `tcp://HOST:PORT`, `tls://HOST:PORT` or `unix:///PATH` within `timeout` seconds.

        The methods of `handler` are called as hooks are for a client: `connect`, `receive`, `close`, `drain` and
        `framing`, and `failed(error)` with a `ConnectFailedError` if the connection cannot be established. An async
        hook may await the returned attempt. No method is called before this call has returned.

        `tls` and `server_name` are for `tls://`: without `tls` the certificate is verified against the system's
        authorities, and without `server_name` against the host of the address.

        Raises:
            ValueError: the address or the timeout is invalid.
            TypeError: the handler has none of the methods, or one that cannot be called as its hook is.
            ConnectFailedError: the worker is leaving. Every other failure is reported to `failed` or `await`.
        """
        self._check_thread("worker.connect")
        return self._outbound.connect(self.plugin, address, handler, timeout, tls, server_name)
