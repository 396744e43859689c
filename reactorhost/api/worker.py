"""Worker processes, as plugins use them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from reactorhost.api.connect_attempt import ConnectAttempt
from reactorhost.api.connection import Connection, as_bytes
from reactorhost.api.connection_protocols import Timer
from reactorhost.api.counter import Counter, SharedCounter
from reactorhost.api.history_request import HistoryRequest
from reactorhost.api.thread_task import ThreadTask
from reactorhost.api.worker_protocols import (
    HasFileno,
    Once,
    Subscription,
    Watch,
    WorkerBus,
    WorkerHold,
    WorkerHolds,
    WorkerMetrics,
    WorkerOutbound,
    WorkerRole,
    WorkerSoon,
    WorkerThreads,
    WorkerTimers,
    WorkerWatches,
)
from reactorhost.bus.member import Member

if TYPE_CHECKING:
    from ssl import SSLContext

T = TypeVar("T")


class Worker:
    """One worker process, as one plugin uses it.

    Each plugin has an object of its own, so that the host can attribute timers, threads, metrics and outbound
    connections to it. Use it in hooks, timers and callbacks only; of all methods `call_soon_threadsafe` alone is
    thread-safe.

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
        role: WorkerRole,
        bus: WorkerBus,
        check_thread: Callable[[str], object],
        clock: Callable[[], float],
        soon: WorkerSoon,
        watches: WorkerWatches,
        holds: WorkerHolds,
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
        self._role = role
        self._bus = bus
        self._check_thread = check_thread
        self._clock = clock
        self._soon = soon
        self._watches = watches
        self._holds = holds

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

    def call_every(self, seconds: float, function: Callable[..., object], *args: Any, once: Once = "worker") -> Timer:
        """Call `function(*args)` every `seconds` until it is cancelled; an exception is logged and does not stop it.

        The next interval begins when the function has returned, or an async one has ended.

        With `once="host"` only the leader calls it, at the multiples of `seconds` on the monotonic clock. Another
        leader continues with the next one; one that fell between two leaders is made up for, once.

        Raises:
            TypeError: `seconds` is not a number.
            ValueError: `seconds` is not positive and finite, below 0.001 for the host, or `once` is unknown.
        """
        self._check_thread("worker.call_every")
        return self._timers.call_every(seconds, function, args, once)

    def call_cron(
        self,
        expression: str,
        function: Callable[..., object],
        *args: Any,
        once: Once = "worker",
        timezone: str | None = None,
    ) -> Timer:
        """Call `function(*args)` at the times of a cron expression, such as `30 4 * * mon-fri`, until cancelled.

        The five fields are minute, hour, day of the month, month and weekday, in the time zone of the system or of the
        given name. A time that comes while the function runs is skipped. An exception is logged and does not stop it.
        With `once="host"` only the leader calls it, and makes up once for times that fell between two leaders.

        Raises:
            TypeError: the expression or the time zone is not a text.
            ValueError: the expression or the time zone is wrong, or `once` is unknown.
        """
        self._check_thread("worker.call_cron")
        return self._timers.call_cron(expression, function, args, once, timezone)

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
            RuntimeError: the system cannot start the first thread.
        """
        return self._threads.run(self.plugin, function, args, on_result, on_error)

    def call_soon_threadsafe(self, function: Callable[..., object], *args: Any) -> None:
        """Call `function(*args)` in the event loop, soon; may be called in any thread, and in a signal handler.

        The calls of one thread are made in their order. The function may be async. An exception is logged. A worker
        that has left makes the call no more.

        Raises:
            TypeError: `function` is not callable.
        """
        self._soon.add(self.plugin, function, args)

    def watch(
        self,
        file: int | HasFileno,
        *,
        on_readable: Callable[[], object] | None = None,
        on_writable: Callable[[], object] | None = None,
    ) -> Watch:
        """Call a function in the event loop whenever a descriptor is readable or writable, until it is cancelled.

        Cancel the watch before the descriptor is closed. An exception of the function is logged, and does not end the
        watch. The functions may be async: one that runs is not called again before it has ended. A descriptor may be
        watched more than once.

        Raises:
            TypeError: `file` is neither a descriptor nor has `fileno()`, or no function is passed.
            ValueError: the descriptor is not open, or is one that cannot be waited for, as a regular file.
            OSError: there is no descriptor left, because a watch uses one.
        """
        self._check_thread("worker.watch")
        return self._watches.watch(self.plugin, file, on_readable, on_writable)

    def hold(self, reason: str, *, on_drain: Callable[[], object] | None = None) -> WorkerHold:
        """Keep this worker from leaving until the returned hold is released, or its deadline has passed.

        A worker that drains leaves when its last connection has ended. Held, it goes on: timers, threads and the bus
        work, until the time to drain is over. `on_drain()`, which may be async, is called when the worker begins to
        drain, also without connections; at once if it drains already. `reason` is shown in status and log.

        Nothing waits for a hold that is made when the worker is leaving, as in `worker_stop`: it is not `active`.

        Raises:
            TypeError: the reason is not a text, or `on_drain` is not callable.
        """
        self._check_thread("worker.hold")
        if on_drain is not None and not callable(on_drain):
            raise TypeError("on_drain is not callable")
        call = None if on_drain is None else partial(self._timers.call_later, 0.0, on_drain, ())
        return self._holds.hold(self.plugin, reason, call)

    # The host: how many workers there are, and which one leads.

    @property
    def count(self) -> int:
        """How many workers the host is to have: the setting `workers`, or what `scale` has made of it."""
        return self._role.count

    @property
    def leader(self) -> bool:
        """Whether this worker is the leader; at most one worker of a host is, see the hooks `leader_start`, `_stop`."""
        return self._role.is_leader

    # The bus: messages between workers. See docs/guide/bus.md for what is lost, and when.

    def publish(self, topic: str, data: bytes | bytearray | memoryview) -> None:
        """Call every function that subscribes to the topic, in all workers, with these bytes; never blocks.

        In this worker they are called at the end of the turn of the event loop.

        Raises:
            TypeError: the topic is not a text, or `data` is not bytes-like.
            ValueError: the topic is malformed, or `data` has more bytes than the setting `max_message` allows.
        """
        self._check_thread("worker.publish")
        self._bus.publish(topic, as_bytes("worker.publish", data))

    def subscribe(self, pattern: str, function: Callable[[str, bytes], object]) -> Subscription:
        """Call `function(topic, data)` for each message that is published to a topic, until it is cancelled.

        A pattern is a topic, or the beginning of topics with a `*` behind it. The function may be async; the messages
        of a subscription are handled one after another. An exception is logged and does not end the subscription.

        Raises:
            TypeError: the pattern is not a text, or `function` is not callable.
            ValueError: the pattern is malformed.
        """
        self._check_thread("worker.subscribe")
        return self._bus.subscribe(self.plugin, pattern, function)

    def send_to(
        self,
        group: str,
        data: bytes | bytearray | memoryview,
        *,
        exclude: Connection | None = None,
        local: bool = False,
    ) -> None:
        """Send a message to every connection that has joined the group, in all workers; never blocks.

        A connection with a framing gets it as by `send_message`, any other one as by `send`. With `local` only the
        members in this worker get it. A message that a member's framing cannot encode is logged, and not sent to it.

        In this worker the first message of a turn of the event loop is sent at once. Those that follow it to the same
        group are collected, and sent at the end of the turn, or with the next one after a millisecond.

        Raises:
            TypeError: the group is not a text, or `data` is not bytes-like.
            ValueError: the group is malformed, or `data` has more bytes than the setting `max_message` allows.
        """
        self._check_thread("worker.send_to")
        self._bus.send_to(group, as_bytes("worker.send_to", data), exclude, local)

    def send_to_ref(self, ref: str, data: bytes | bytearray | memoryview) -> bool:
        """Send a message to the connection with this `ref`, which may be of any worker.

        Returns False if the connection has ended, as far as this worker knows. True does not mean that it arrives.

        Raises:
            TypeError: `ref` is not a text, or `data` is not bytes-like.
            ValueError: `ref` is malformed, or `data` has more bytes than the setting `max_message` allows.
        """
        self._check_thread("worker.send_to_ref")
        return self._bus.send_to_ref(ref, as_bytes("worker.send_to_ref", data))

    def close_ref(self, ref: str) -> bool:
        """Close the connection with this `ref`, as its `close()` does; returns what `send_to_ref` returns.

        Raises:
            TypeError: `ref` is not a text.
            ValueError: `ref` is malformed.
        """
        self._check_thread("worker.close_ref")
        return self._bus.close_ref(ref)

    def presence(self, group: str) -> list[Member]:
        """Return the connections that have joined a group with an `info`, in all workers, as far as is known here.

        Those of this worker come first, in the order in which they have joined.

        Raises:
            TypeError: the group is not a text.
            ValueError: the group is malformed.
        """
        self._check_thread("worker.presence")
        return self._bus.presence(group)

    def keep_history(self, pattern: str, *, messages: int = 100, seconds: float | None = None) -> None:
        """Keep the newest `messages` messages of each matching group, for `seconds` after the last one.

        Call it in `worker_start`. Every worker then receives and keeps the messages of these groups, also without
        members. `history` returns them, and messages that were dropped on the way to a worker are repeated. Of several
        calls that match a group, the largest numbers count.

        Raises:
            TypeError: the pattern is not a text, or a number is of another type.
            ValueError: the pattern is malformed, `messages` is not from 1 to 100,000, or `seconds` is not positive.
        """
        self._check_thread("worker.keep_history")
        self._bus.keep_history(pattern, messages, seconds)

    def history(
        self, group: str, most: int = 100, *, on_result: Callable[[list[bytes]], object] | None = None
    ) -> HistoryRequest:
        """Read the newest messages of a group, the newest last; an async hook may await them, others use `on_result`.

        It is called at the end of the turn of the event loop at the earliest. Soon after the start of the worker, or
        with a bus between machines, that can take some seconds; what is known here is then returned.

        Raises:
            TypeError: the group is not a text, `most` is not a whole number, or `on_result` is not a plain function.
            ValueError: the group is malformed, no `keep_history` covers it, or `most` is not from 1 to 100,000.
        """
        self._check_thread("worker.history")
        return self._bus.history(self.plugin, group, most, on_result)

    def shared_counter(self, name: str) -> SharedCounter:
        """Return the host's counter of this name: a sum over all workers, which survives reloads and crashes.

        A name has up to 64 characters of `a-z 0-9 _ .` and begins with a letter; each plugin has names of its own. A
        host may have 128 of them; one beyond these is counted by each worker alone, and logged.

        Raises:
            ValueError: the name is malformed or that of a counter, or this worker has 128 shared counters already.
        """
        self._check_thread("worker.shared_counter")
        return self._metrics.shared_counter(self.plugin, name)

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
        """Connect to a `tcp://`, `tls://`, `udp://` or `unix://` address within `timeout` seconds.

        The methods of `handler` are called as hooks are for a client: `connect`, `receive`, `close`, `drain` and
        `framing`, and `failed(error)` with a `ConnectFailedError` if the connection cannot be established. An async
        hook may await the returned attempt. No method is called before this call has returned.

        `tls` and `server_name` are for `tls://`: without `tls` the certificate is verified against the system's
        authorities, and without `server_name` against the host of the address.

        Raises:
            ValueError: the address or the timeout is invalid.
            TypeError: the handler has none of the methods, or one that cannot be called as its hook is, or a framing
                for UDP.
            ConnectFailedError: the worker is leaving. Every other failure is reported to `failed` or `await`.
        """
        self._check_thread("worker.connect")
        return self._outbound.connect(self.plugin, address, handler, timeout, tls, server_name)
