"""The worker, as one plugin sees it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from reactorhost.address import Address
from reactorhost.api.connect_attempt import ConnectAttempt
from reactorhost.api.connection import Connection, Timer
from reactorhost.worker.hooks.metrics import Counter, Metrics
from reactorhost.worker.hooks.thread_pool import ThreadPool, ThreadTask
from reactorhost.worker.hooks.timers import PluginTimers
from reactorhost.worker.outbound.connections import OutboundConnections
from reactorhost.worker.service import RunningService

if TYPE_CHECKING:
    import ssl

T = TypeVar("T")


class Worker:
    """One worker process; each plugin has a `Worker` of its own, so that what it starts is known to be its own.

    Attributes:
        plugin: name of the plugin that it was given to.
        slot: its place, from 0.
        pid: its process id.
        generation: number of the reload that started it, from 1.
        log: a logger; its lines go to the host's log.
    """

    def __init__(
        self,
        plugin: str,
        slot: int,
        pid: int,
        generation: int,
        services: Sequence[RunningService],
        timers: PluginTimers,
        threads: ThreadPool,
        metrics: Metrics,
        outbound: OutboundConnections,
    ) -> None:
        self.plugin = plugin
        self.slot = slot
        self.pid = pid
        self.generation = generation
        self.log = logging.getLogger("reactorhost.plugin")
        self._services = services
        self._timers = timers
        self._threads = threads
        self._metrics = metrics
        self._outbound = outbound

    def __repr__(self) -> str:
        return f"<Worker of {self.plugin} slot={self.slot} pid={self.pid} generation={self.generation}>"

    @property
    def connections(self) -> Iterator[Connection]:
        """The connections of all services that are open now, as one pass over a copy."""
        return iter([connection for service in self._services for connection in service.connections()])

    def call_later(self, seconds: float, function: Callable[..., object], *args: Any) -> Timer:
        """Call `function(*args)` once, `seconds` from now; what it raises is logged."""
        return self._timers.call_later(seconds, function, args)

    def call_every(self, seconds: float, function: Callable[..., object], *args: Any) -> Timer:
        """Call `function(*args)` every `seconds` until cancelled; what it raises is logged and it goes on.

        Raises:
            ValueError: `seconds` is not positive.
        """
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
        """Return the plugin's counter of this name, from 0 at first; it is shown by `status` and `top`.

        Raises:
            ValueError: it is no name for a number, or the plugin has too many.
        """
        return self._metrics.counter(self.plugin, name)

    def connect(
        self,
        address: str | Address,
        handler: object,
        *,
        timeout: float = 10.0,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
    ) -> ConnectAttempt:
        """Connect to `tcp://HOST:PORT`, `tls://HOST:PORT` or `unix:///PATH`, within `timeout` seconds.

        The methods of `handler` are called for the connection as hooks are for a client's: `connect`, `receive`,
        `close`, `drain` and `framing`, and `failed(error)` when there is none. An async hook may await what is
        returned, for the connection.

        Raises:
            ValueError: there is nothing to connect to at such an address.
            TypeError: the handler cannot be called.
            ConnectFailedError: `worker_stop` is called already; all else that fails is told later.
        """
        return self._outbound.connect(self.plugin, address, handler, timeout, tls, server_name)
