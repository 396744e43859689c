"""A bench for plugins: a worker's real parts, reactor included, on fake sockets, a fake poller and a fake clock.

Nothing here opens a socket or forks. What a hook raises is raised by the call of the bench that led to it. What a
plugin runs in a thread does run in one, and the bench waits for it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Self, cast

from reactorhost.api.close_reason import CloseReason
from reactorhost.api.connection import Connection
from reactorhost.api.peer_credentials import PeerCredentials
from reactorhost.api.proxy_facts import ProxyFacts
from reactorhost.api.worker import Worker
from reactorhost.errors import ReactorhostError
from reactorhost.ipc.counters import Counters
from reactorhost.ipc.messages import Values
from reactorhost.testing import bench_service, fakes
from reactorhost.testing.bench_bus import BenchBus, OtherWorker
from reactorhost.testing.bench_client import BenchClient, CloseWatcher
from reactorhost.testing.bench_time import BenchTime
from reactorhost.testing.fake_dialer import FakeDialer
from reactorhost.testing.fakes import FakeDatagramSocket, FakeSocket, RealDescriptor
from reactorhost.testing.live import HostFailedError
from reactorhost.tls.facts import TlsFacts
from reactorhost.worker.builder import WorkerBuilder, WorkerParts
from reactorhost.worker.bus.bus import BusSetup
from reactorhost.worker.context import Limits
from reactorhost.worker.handshake.pending import ClientInfo
from reactorhost.worker.service import RunningService
from reactorhost.worker.stream.socket import endpoint
from reactorhost.worker.stream.transport import StreamTransport
from reactorhost.worker.udp.connected import ConnectedTransport
from reactorhost.worker.udp.socket import UdpSocket

_STOP_SECONDS = 1.0


class PluginBench:
    """A worker with one service, whose plugins are modules, objects, classes or names as after `--plugin`.

    `options` holds tables by the names of plugins, as `[plugin.NAME]` does. An object has the name of its class, and a
    module its own without `reactorhost_`. `framing` is a name or a table, as in the table of a service, and `service`
    the name of that service.

    Attributes:
        bus: another worker of the host, to be played by the test, after `start()`.
        outbound: the far ends of the connections that plugins made by `worker.connect`, in this order.
        worker: the `Worker` of the first plugin, after `start()`.
    """

    bus: BenchBus
    worker: Worker
    _parts: WorkerParts
    _service: RunningService

    def __init__(
        self,
        *plugins: object,
        options: Mapping[str, Mapping[str, object]] | None = None,
        framing: str | Mapping[str, object] | None = None,
        service: str = "default",
        idle_timeout: float | None = None,
        close_timeout: float = 10.0,
        max_send_buffer: int = 16 << 20,
        message_timeout: float | None = None,
    ) -> None:
        self._named = plugins
        self._tables = options or {}
        self._framing = framing
        self._service_name = service
        self._limits = Limits(close_timeout, idle_timeout, max_send_buffer, message_timeout=message_timeout)
        self._time = BenchTime(self._hook_failed, self._answer)
        self._clients: dict[int, BenchClient] = {}
        self._udp_sockets: list[UdpSocket] = []
        self._failures: list[Exception] = []
        self.outbound: list[BenchClient] = []
        self._refused: dict[str, str] = {}
        self._running = False
        self._has_sessions = False
        self._minutes = itertools.count(1)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()

    def start(self) -> None:
        """Load the plugins, configure them, and start the worker.

        Raises:
            HostFailedError: a host would not start; with its exit status and its message.
            Exception: raised by a plugin's own code: its import, `options`, `configure` or `worker_start`.
        """
        __tracebackhide__ = True
        try:
            self._boot()
            self._running = True
        except ReactorhostError as error:
            if error.__cause__ is not None:
                # With its own cause, if it has one.
                raise error.__cause__ from error.__cause__.__cause__
            raise HostFailedError(error.exit_status, "\n".join(error.lines())) from None
        finally:
            if not self._running:
                self._time.end()
        leadership = self._parts.leadership
        self._time.within(lambda: leadership.lead(leadership.jobs.now()))
        self.settle()

    def connect(
        self,
        peer: tuple[str, int] | None = None,
        *,
        tls: TlsFacts | None = None,
        credentials: PeerCredentials | None = None,
        proxy: ProxyFacts | None = None,
        ends_too: bool = True,
        opening: bytes = b"",
    ) -> BenchClient:
        """Return a new client, after the `connect` hooks; without `peer` it has an address of its own.

        `tls` and `proxy` are what the plugin reads as `connection.tls` and `connection.proxy`; nothing is encrypted.
        With `credentials` it is a client of a unix socket. `opening` is what the client sends for the handshake of a
        framing that is a session, such as WebSocket.
        """
        assert self._running, "the bench was not started, or has stopped"
        sock = FakeSocket()
        sock.credentials = credentials
        self._time.poller.open(sock)
        address: Any = peer or ("127.0.0.1", 40_000 + len(self._clients))
        if credentials is not None:
            self._service.keep_credentials()
            address = ""
        client = BenchClient(self.settle, sock, None, ends_too=ends_too)

        def begun(transport: StreamTransport) -> None:
            client.begin(transport)
            self._clients[client.connection.id] = client

        def accepted() -> None:
            if not self._service.admits(endpoint(address)):
                client.refuse()
            elif self._has_sessions:
                info = ClientInfo(endpoint(address), tls=tls, proxy=proxy, on_begun=begun)
                self._service.pending_handshakes.accept(cast("Any", sock), info)
            else:
                begun(self._service.accept(cast("Any", sock), address, tls, proxy))

        if opening:
            sock.incoming.append(opening)
        self._time.within(accepted)
        self.settle()
        return client

    def datagram(self, data: bytes, peer: tuple[str, int] | None = None) -> list[bytes]:
        """Send one datagram, and return the answers; what is sent later, by a timer, is added to the same list.

        Raises:
            ValueError: `data` is too long for a datagram.
        """
        assert self._running, "the bench was not started, or has stopped"
        if len(data) > fakes.MOST_DATAGRAM_BYTES:
            raise ValueError(f"a datagram has room for {fakes.MOST_DATAGRAM_BYTES} bytes, not for {len(data)}")
        sock = FakeDatagramSocket()
        self._time.poller.open(sock)
        sock.incoming.append((data, peer or ("127.0.0.1", 50_000 + len(self._udp_sockets))))
        udp_socket = self._service.udp_socket(sock, lambda: None)
        self._udp_sockets.append(udp_socket)
        udp_socket.open()
        self.settle()
        return sock.answers

    def refuse(self, address: str, reason: str = "connection refused") -> None:
        """Make every `worker.connect` to an address fail from now on; without this each succeeds."""
        self._refused[address] = reason

    def accept(self, address: str) -> None:
        """Make `worker.connect` to an address succeed again, after `refuse`."""
        self._refused.pop(address, None)

    def advance(self, seconds: float) -> None:
        """Let time pass, and call each timer at its time."""
        if seconds < 0:
            raise ValueError(f"time does not go back by {-seconds!r} seconds")
        self._time.run(seconds)
        self._raise_failures()

    def stats(self, plugin: str | None = None) -> Values:
        """Return the metrics of a plugin, by default the first: its counters, and what its `stats` returns now.

        Raises:
            ValueError: `stats` returned anything but names and numbers.
        """
        name = plugin or self.worker.plugin
        # Each call is as if a minute had passed: gauges are not reported more often.
        gauged = self._parts.metrics.gauged(next(self._minutes) * 60.0)
        self._raise_failures()
        metrics = self._parts.metrics
        return {**gauged.get(name, {}), **metrics.counted().get(name, {}), **metrics.shared.values(name)}

    def drain(self) -> None:
        """Call the `drain` hook for every client, as a reload or a stop does."""
        self._time.within(self._drain)
        self.settle()

    def _drain(self) -> None:
        self._service.drain()
        self._parts.holds.drain()

    @property
    def holds(self) -> list[str]:
        """Why plugins hold the worker, see `worker.hold`."""
        return [hold["reason"] for hold in self._parts.holds.reasons]

    def stop(self) -> None:
        """Drain, close the remaining connections with reason `shutdown`, and stop the worker; once."""
        if not self._running:
            return
        self._running = False
        self._time.within(self._parts.leadership.step_down)
        self._time.within(self._drain)
        self._time.within(self._close_all)
        self._time.run(_STOP_SECONDS)
        self._parts.holds.end()
        self._parts.facades.cancel_calls()
        self._parts.bus.end_subscriptions()
        self._parts.call(self._parts.hooks.worker_stop)
        self._parts.soon.stop()
        self._time.end()
        self._raise_failures()

    def _close_all(self) -> None:
        for transport in tuple(self._service.transports):
            transport.close_for(CloseReason.SHUTDOWN, _STOP_SECONDS)
        for udp_socket in self._udp_sockets:
            udp_socket.abandon()
        self._parts.outbound.leave(_STOP_SECONDS)

    def settle(self) -> None:
        """Run until no bytes can be moved and no thread is busy, then raise what a hook raised.

        No time passes: a timer that is due later is called by `advance()`.

        Raises:
            TimeoutError: a function in a thread does not return.
        """
        self._time.run(0.0)
        self._raise_failures()

    def _boot(self) -> None:
        service = bench_service.load(
            self._service_name, self._named, self._tables, self._framing, self._limits, CloseWatcher(self._clients)
        )
        self._has_sessions = service.has_sessions
        other = OtherWorker(self._time.reactor)
        self._parts = WorkerBuilder(
            reactor=self._time.reactor,
            hook_failed=self._hook_failed,
            hook_cancel_ignored=self._hook_cancel_ignored,
            stats_invalid=lambda plugin, reason: self._hook_failed(plugin, "stats", None, ValueError(reason)),
            counters=Counters(pid=os.getpid()),
            threads=self._time.threads,
            soon=self._time.soon,
            dialer=FakeDialer(self._reached, self._refused),
            duplicate=self._duplicate,
            new_bridge=self._time.new_bridge,
            bus=BusSetup(new_outbound=other.connect),
            unix_clock=self._time.unix,
        ).build([service], self._limits)
        other.bench = self._parts.bus
        self.bus = BenchBus(other, self._within)
        self._service = self._parts.services[service.name]
        # From the start: the bench does not notice threads that plugins start.
        self._parts.context.loop_thread.other_starts()
        self.worker = self._parts.facades.of(service.plugins[0].name)
        self._parts.call(self._parts.hooks.worker_start)

    def _within(self, call: Callable[[], object]) -> None:
        self._time.within(call)
        self.settle()

    def _answer(self) -> bool:
        """Let every client answer a close of the plugin; returns whether one did."""
        answered = False
        for client in (*self._clients.values(), *self.outbound):
            answered = client.answer_close() or answered
        return answered

    def _duplicate(self, number: int) -> RealDescriptor:
        descriptor = RealDescriptor(number)
        self._time.poller.open(descriptor)
        return descriptor

    def _reached(self, sock: FakeSocket, connected: Callable[[], StreamTransport | ConnectedTransport]) -> None:
        self._time.poller.open(sock)
        # The transport of UDP has what the client uses.
        transport = cast("StreamTransport", connected())
        far_end = BenchClient(self.settle, sock, transport, ends_too=True)
        context = transport.context
        close = context.chain.close

        def closed(connection: Connection, reason: CloseReason) -> None:
            far_end.closed = reason
            close(connection, reason)

        # A handler is not a plugin of the service, so `CloseWatcher` does not see its connections.
        context.chain = replace(context.chain, close=closed)
        self.outbound.append(far_end)

    def _raise_failures(self) -> None:
        failures, self._failures = self._failures, []
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise ExceptionGroup("several hooks failed", failures)

    def _hook_failed(self, plugin: str, hook: str, connection: Connection | None, error: Exception) -> None:
        error.add_note(f"raised in {hook} of plugin {plugin}" + (f" for {connection!r}" if connection else ""))
        self._failures.append(error)

    def _hook_cancel_ignored(self, connection: Connection) -> None:
        self._failures.append(TimeoutError(f"a hook of {connection!r} did not end when it was cancelled"))
