"""A bench for plugins: the real hooks, connections and timers of a worker, on sockets and a clock of paper.

Nothing here opens a socket or forks. Whatever a hook raises comes out of the call that led to it. What a plugin runs
in a thread does run in one, and is waited for.
"""

from __future__ import annotations

import functools
import itertools
import logging
import os
import threading
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from reactorhost import __version__
from reactorhost.api.connection import CloseReason, Connection
from reactorhost.api.hookspecs import hookimpl
from reactorhost.api.worker import Worker
from reactorhost.errors import ConfigError, Problem, ReactorhostError, did_you_mean
from reactorhost.ipc.scoreboard import Counters
from reactorhost.logs import EventLog
from reactorhost.plugins import chain, framings, loading, options
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.testing.fake_dialer import FakeDialer
from reactorhost.testing.fakes import FakeDatagramSocket, FakeReactor, FakeSocket
from reactorhost.testing.live import HostFailedError
from reactorhost.worker.context import Limits, WorkerContext
from reactorhost.worker.facades import WorkerFacades
from reactorhost.worker.hooks.hook_timing import HookTiming
from reactorhost.worker.hooks.metrics import Metrics, Values
from reactorhost.worker.hooks.thread_pool import ThreadPool
from reactorhost.worker.outbound.connections import OutboundConnections
from reactorhost.worker.service import RunningService
from reactorhost.worker.stream.closing import CloseState
from reactorhost.worker.stream.dispatch import Dispatcher
from reactorhost.worker.stream.transport import StreamTransport
from reactorhost.worker.udp.socket import UdpSocket

if TYPE_CHECKING:
    from reactorhost.testing.fake_event_loop import FakeEventLoop
    from reactorhost.worker.hooks.hook_queue import HookQueues

Result = TypeVar("Result")

_FAREWELL_SECONDS = 1.0
_MOST_DATAGRAM_BYTES = 65507
# Intervals add up with rounding: what is due this much later is due now.
_CLOCK_SLACK = 1e-6
_THREAD_SECONDS = 10.0
_THREAD_QUEUE = 1000


class BenchClient:
    """One client of a plugin.

    It answers the plugin's `connection.close()` with its own end, as most clients do, unless `ends_too` is False.

    Attributes:
        connection: what the plugin sees of it.
        closed: the reason that the `close` hook was given, or None while the connection lives.
    """

    def __init__(self, bench: PluginBench, sock: FakeSocket, transport: StreamTransport, *, ends_too: bool) -> None:
        self.connection = transport.connection
        self.closed: CloseReason | None = None
        self._bench = bench
        self._socket = sock
        self._transport = transport
        self._ends_too = ends_too

    def __repr__(self) -> str:
        return f"<BenchClient {self.connection.id} {self.closed or 'open'}>"

    @property
    def received(self) -> bytes:
        """Everything that the plugin sent and the client has read."""
        return bytes(self._socket.taken)

    @property
    def eof(self) -> bool:
        """Whether the client was told that nothing more comes."""
        return self._socket.finished

    def send(self, data: bytes) -> None:
        """Send bytes to the plugin, which has had them when this returns; not if it reads nothing more from here.

        Raises:
            ConnectionError: the connection is closed, or the client has ended.
        """
        self._say(data)

    def end(self) -> None:
        """Tell the plugin that nothing more comes; what it still sends is received."""
        self._say(b"")

    def reset(self) -> None:
        """Break the connection off, as a client does that crashed."""
        self._say(ConnectionResetError())

    def pause(self) -> None:
        """Read nothing more, so that what the plugin sends is queued."""
        self._socket.reading = False

    def resume(self) -> None:
        """Read again, at once everything that is queued."""
        self._socket.reading = True
        self._bench.settle()

    def answer_close(self) -> bool:
        """End in answer to the plugin's close; returns whether there was something to do."""
        if not self._ends_too or self._transport.close_state is not CloseState.LINGERING:
            return False
        self._socket.ended = True
        self._socket.incoming.append(b"")
        return True

    def _say(self, item: bytes | Exception) -> None:
        if self.closed is not None or self._socket.ended:
            raise ConnectionError(f"{self!r} cannot send any more")
        if isinstance(item, Exception) or not item:
            self._socket.ended = True
        self._socket.incoming.append(item)
        self._bench.settle()


class PluginBench:
    """A worker with one service, whose plugins are modules, objects, classes or names as after `--plugin`.

    `options` holds tables by the names of plugins, as `[plugin.NAME]` does; an object goes by the name of its class,
    a module by its own, without `reactorhost_`.

    Attributes:
        outbound: the far ends of what the plugins have connected to by `worker.connect`, in this order.
        worker: what `worker_start` of the first plugin was given, after `start()`.
    """

    worker: Worker

    def __init__(
        self,
        *plugins: object,
        options: Mapping[str, Mapping[str, object]] | None = None,
        idle_timeout: float | None = None,
        close_timeout: float = 10.0,
        max_send_buffer: int = 16 << 20,
    ) -> None:
        self._named = plugins
        self._tables = options or {}
        self._limits = Limits(close_timeout, idle_timeout, max_send_buffer)
        self._reactor = FakeReactor()
        self._clients: dict[int, BenchClient] = {}
        self._ports: list[UdpSocket] = []
        self._failures: list[Exception] = []
        self._thread_done = threading.Event()
        # One thread, so that the order of what it does is the same each time.
        self._threads = ThreadPool(1, _THREAD_QUEUE, self._hook_failed, self._thread_done.set)
        self.outbound: list[BenchClient] = []
        self._refused: dict[str, str] = {}
        self._running = False
        # Only with async hooks.
        self._loop: FakeEventLoop | None = None
        self._minutes = itertools.count(1)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()

    def start(self) -> None:
        """Load the plugins, hand them their options, and start the worker.

        Raises:
            HostFailedError: a host would refuse to start; with its exit status and what it would say.
            Exception: what a plugin's own code raised, its import, `options`, `configure` and `worker_start` included.
        """
        try:
            self._boot()
        except ReactorhostError as error:
            if error.__cause__ is not None:
                raise error.__cause__ from None
            raise HostFailedError(error.exit_status, "\n".join(error.lines())) from None
        self._running = True
        self.settle()

    def connect(self, peer: tuple[str, int] | None = None, *, ends_too: bool = True) -> BenchClient:
        """Return a new client, after the `connect` hooks; `peer` is its address, or else one of its own."""
        assert self._running, "the bench was not started, or has stopped"
        sock = FakeSocket()
        self._reactor.sockets[sock.fileno()] = sock

        def accepted() -> BenchClient:
            known = set(self._service.transports)
            accept = self._service.acceptor("tcp")
            accept(cast("Any", sock), peer or ("127.0.0.1", 40_000 + len(self._clients)))
            (transport,) = self._service.transports - known
            client = BenchClient(self, sock, transport, ends_too=ends_too)
            self._clients[client.connection.id] = client
            return client

        client = self._within(accepted)
        self.settle()
        return client

    def datagram(self, data: bytes, peer: tuple[str, int] | None = None) -> list[bytes]:
        """Send one datagram, and return the answers; what is sent later, by a timer, is added to the same list.

        Raises:
            ValueError: `data` has no room in a datagram.
        """
        assert self._running, "the bench was not started, or has stopped"
        if len(data) > _MOST_DATAGRAM_BYTES:
            raise ValueError(f"a datagram has room for {_MOST_DATAGRAM_BYTES} bytes, not for {len(data)}")
        sock = FakeDatagramSocket()
        self._reactor.sockets[sock.fileno()] = sock
        sock.incoming.append((data, peer or ("127.0.0.1", 50_000 + len(self._ports))))
        port = self._service.udp_socket(sock, lambda: None)
        self._ports.append(port)
        port.open()
        self.settle()
        return sock.answers

    def refuse(self, address: str, reason: str = "connection refused") -> None:
        """Let every `worker.connect` to an address fail from now on; without this each one succeeds."""
        self._refused[address] = reason

    def advance(self, seconds: float) -> None:
        """Let time pass, and call every timer that is due meanwhile in its turn."""
        if seconds < 0:
            raise ValueError(f"time does not go back by {-seconds!r} seconds")
        self._let_pass(seconds)
        self._raise_failures()

    def stats(self, plugin: str | None = None) -> Values:
        """Return the numbers of a plugin, or of the first: its counters, and what its `stats` returns now.

        Raises:
            ValueError: `stats` returned something else than names and numbers.
        """
        name = plugin or self.worker.plugin
        # Each time as if a minute had passed, so that everything is told.
        gauged = self._metrics.gauged(next(self._minutes) * 60.0)
        self._raise_failures()
        return {**gauged.get(name, {}), **self._metrics.counted().get(name, {})}

    def drain(self) -> None:
        """Call the `drain` hook for every client, as a reload or a stop does."""
        self._within(self._service.drain)
        self.settle()

    def stop(self) -> None:
        """Drain, close whoever is left with reason `shutdown`, and stop the worker; again, it does nothing."""
        if not self._running:
            return
        self._running = False
        self._within(self._service.drain)
        self._turn_until_quiet()
        self._within(self._close_all)
        self._let_pass(_FAREWELL_SECONDS)
        self._facades.cancel_timers()
        self._call(self._hooks.worker_stop)
        if self._loop is not None:
            self._loop.end()
        self._threads.join()
        self._raise_failures()

    def _close_all(self) -> None:
        for transport in tuple(self._service.transports):
            transport.close_for(CloseReason.SHUTDOWN, _FAREWELL_SECONDS)
        for port in self._ports:
            port.abandon()
        self._outbound.leave(_FAREWELL_SECONDS)

    def settle(self) -> None:
        """Move bytes until none can be moved and no thread is busy, then raise what a hook raised.

        Timers wait for `advance()`.

        Raises:
            TimeoutError: a function does not return to `run_in_thread`.
        """
        self._turn_until_quiet()
        self._raise_failures()

    def _boot(self) -> None:
        plugins = [self._loaded(each) for each in self._named]
        names = {plugin.name for plugin in plugins}
        for name in self._tables.keys() - names:
            what = f"options for {name!r}, which is none of the plugins"
            raise ConfigError([Problem(what, hint=did_you_mean(name, names) or f"they are {', '.join(names)}")])
        for plugin in plugins:
            options.configure(plugin, self._tables.get(plugin.name, {}), lambda key: None)
        watcher = loading.load_object(_Watcher(self._clients), "(bench)")
        reactor = cast("Any", self._reactor)
        counters = Counters(pid=os.getpid())
        context = WorkerContext(
            reactor,
            counters,
            Dispatcher(reactor, counters),
            itertools.count(1),
            self._hook_failed,
            HookTiming(reactor, lambda timed: None),
            EventLog(logging.getLogger("reactorhost")),
            self._hook_queues(plugins),
        )
        new_framing = framings.of_plugins("default", plugins)
        self._service = RunningService.of_plugins("default", [*plugins, watcher], context, self._limits, new_framing)
        self._hooks = chain.resolve_worker(plugins, self._hook_failed)
        self._metrics = Metrics(self._hooks.stats, self._hook_failed, self._stats_invalid)
        self._outbound = OutboundConnections(context, self._limits, FakeDialer(self._reached, self._refused))
        self._facades = WorkerFacades(
            0,
            1,
            (self._service,),
            cast("Any", self._reactor),
            self._threads,
            self._metrics,
            self._outbound,
            self._hook_failed,
        )
        self.worker = self._facades.of(plugins[0].name if plugins else "(bench)")
        self._call(self._hooks.worker_start)

    def _hook_queues(self, plugins: Sequence[LoadedPlugin]) -> HookQueues | None:
        """Make what async hooks run in, if there are any."""
        if not any(plugin.awaits for plugin in plugins):
            return None
        from reactorhost.testing.fake_event_loop import FakeEventLoop
        from reactorhost.worker.hooks.hook_queue import HookQueues

        self._loop = FakeEventLoop(self._turn, lambda: self._reactor.now)
        return HookQueues(self._left_behind)

    def _left_behind(self, connection: Connection) -> None:
        self._failures.append(TimeoutError(f"a hook of {connection!r} did not end when it was cancelled"))

    def _within(self, call: Callable[[], Result]) -> Result:
        """Call something that may start async hooks."""
        return call() if self._loop is None else self._loop.call(call)

    def _call(self, hook: Callable[[chain.WorkerOf], Any]) -> None:
        returned = hook(self._facades.of)
        if self._hooks.awaits:
            assert self._loop is not None
            self._loop.complete(returned)

    def _loaded(self, plugin: object) -> LoadedPlugin:
        if isinstance(plugin, str):
            return loading.load(plugin, __version__)
        return loading.load_object(plugin, _name_of(plugin))

    def _let_pass(self, seconds: float) -> None:
        end = self._reactor.now + seconds
        while (due := self._next_at()) is not None and due <= end + _CLOCK_SLACK:
            self._within(functools.partial(self._reactor.call_due, due))
            self._turn_until_quiet()
        self._reactor.now = max(end, self._reactor.now)
        self._turn_until_quiet()

    def _next_at(self) -> float | None:
        times = (self._reactor.next_at(), None if self._loop is None else self._loop.next_at())
        return min((each for each in times if each is not None), default=None)

    def _turn_until_quiet(self) -> None:
        self._turn_while_moved()
        while self._threads.busy:
            if not self._thread_done.wait(_THREAD_SECONDS):
                names = ", ".join(self._threads.running())
                raise TimeoutError(f"run_in_thread: {names} did not return within {_THREAD_SECONDS:g} s")
            self._thread_done.clear()
            self._within(self._threads.deliver)
            self._turn_while_moved()

    def _turn_while_moved(self) -> None:
        if self._loop is not None:
            self._loop.settle()
            return
        while self._turn():
            pass

    def _turn(self) -> bool:
        """Move bytes once; returns whether there were any, or anything else to do."""
        moved = self._reactor.turn()
        for client in (*self._clients.values(), *self.outbound):
            moved = client.answer_close() or moved
        return moved

    def _reached(self, sock: FakeSocket, connected: Callable[[], StreamTransport]) -> StreamTransport:
        self._reactor.sockets[sock.fileno()] = sock
        transport = connected()
        far_end = BenchClient(self, sock, transport, ends_too=True)
        (service,) = (each for each in self._outbound.services if transport in each.transports)
        close = service.context.chain.close

        def closed(connection: Connection, reason: CloseReason) -> None:
            far_end.closed = reason
            close(connection, reason)

        service.context.chain = replace(service.context.chain, close=closed)
        self.outbound.append(far_end)
        return transport

    def _raise_failures(self) -> None:
        failures, self._failures = self._failures, []
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise ExceptionGroup("several hooks failed", failures)

    def _hook_failed(self, plugin: str, hook: str, connection: Connection | None, error: Exception) -> None:
        error.add_note(f"raised in {hook} of plugin {plugin}" + (f" for {connection!r}" if connection else ""))
        self._failures.append(error)

    def _stats_invalid(self, plugin: str, reason: str) -> None:
        self._hook_failed(plugin, "stats", None, ValueError(reason))


class _Watcher:
    """A plugin that notes why connections ended."""

    def __init__(self, clients: Mapping[int, BenchClient]) -> None:
        self._clients = clients

    @hookimpl
    def close(self, connection: Connection, reason: CloseReason) -> None:
        """Tell the client."""
        self._clients[connection.id].closed = reason


def _name_of(plugin: object) -> str:
    if isinstance(plugin, types.ModuleType):
        return plugin.__name__.rpartition(".")[2].removeprefix("reactorhost_")
    return plugin.__name__ if isinstance(plugin, type) else type(plugin).__name__
