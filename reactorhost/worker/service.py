"""A service in this worker: its plugin chain, its connections, and what they all share."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from reactorhost.address import Endpoint
from reactorhost.api.connection import CloseReason, Connection, TlsFacts, transport_of
from reactorhost.framing import Framing, FramingError
from reactorhost.ipc.scoreboard import Counters
from reactorhost.logs import EventLog
from reactorhost.plugins.chain import Around, Chain, as_it_is, resolve
from reactorhost.plugins.guard import OnError, as_error
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.reactor import Reactor
from reactorhost.system.rate_limit import RateLimit
from reactorhost.worker.handshake.pending import PendingHandshakes
from reactorhost.worker.hooks.hook_timing import HookTiming
from reactorhost.worker.stream.dispatch import Dispatcher
from reactorhost.worker.stream.socket import StreamSocket
from reactorhost.worker.stream.transport import CloseState, StreamTransport
from reactorhost.worker.udp.socket import DatagramSocket, UdpSocket

if TYPE_CHECKING:
    from reactorhost.tls.context import ServerTls
    from reactorhost.worker.hooks.hook_queue import HookQueues


class HookFailure(Protocol):
    """Who hears of an exception in a hook or a timer of a plugin."""

    def __call__(self, plugin: str, hook: str, connection: Connection | None, error: Exception) -> None:
        """Tell the log."""


Resolve = Callable[[Sequence[LoadedPlugin], OnError, Around], Chain]
"""Makes a chain: called with the plugins, with what hears of exceptions, and with what is put around each hook."""

_MOST_COMPLAINTS_A_SECOND = 5

Accept = Callable[[socket.SocketType, Any], None]
"""Takes over an accepted socket; called with the peer's address as the socket module has it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a service's connections are held to.

    Attributes:
        close_timeout: seconds for the flush and the client's answer when a connection is closed.
        idle_timeout: seconds without traffic that end a connection, or None.
        max_send_buffer: bytes that may wait for a client that does not read.
        handshake_timeout: seconds for everything that comes before `connect`.
        max_datagram: bytes of the longest datagram that is handed over.
    """

    close_timeout: float = 10.0
    idle_timeout: float | None = None
    max_send_buffer: int = 16 << 20
    handshake_timeout: float = 10.0
    max_datagram: int = 65535


@dataclass(frozen=True, slots=True)
class ServiceContext:
    """What all services of a worker share.

    Attributes:
        tally: counters, plain attributes.
        inbox: takes in what comes for connections that are counted there.
        ids: numbers for connections.
        failed: hears of every exception in a plugin's code.
        lanes: run the hooks of services that have async ones; None in a worker without any.
    """

    reactor: Reactor
    counters: Counters
    dispatcher: Dispatcher
    ids: itertools.count[int]
    failed: HookFailure
    timing: HookTiming
    log: EventLog
    hook_queues: HookQueues | None = None


class RunningService:
    """One service of one worker.

    Attributes:
        receive: the resolved receive chain; with one handler it is the plugin's own function, but in timed turns.
        tally: the worker's counters.
        inbox: takes in what comes for its connections.
        limits: what its connections are held to.
        new_framing: makes the framing of each connection, if it is to have one from its start.
        preludes: its connections that have not begun, because of TLS or a PROXY header.

    `resolved` makes the chain, of the plugins as a rule.
    """

    def __init__(
        self,
        name: str,
        plugins: Sequence[LoadedPlugin],
        context: ServiceContext,
        limits: Limits,
        new_framing: Callable[[], Framing] | None = None,
        tls: ServerTls | None = None,
        proxy_from: Sequence[str] = (),
        resolved: Resolve = resolve,
    ) -> None:
        self.name = name
        self.limits = limits
        self.new_framing = new_framing
        self.reactor = context.reactor
        self.counters = context.counters
        self.dispatcher = context.dispatcher
        self._context = context
        timing = context.timing
        self._hook_queues: HookQueues | None = None
        self._plain = self.chain = self._adapted(resolved(plugins, self.failed, as_it_is))
        timed = resolved(plugins, self.failed, timing.around)
        self._timed = self._adapted(replace(timed, receive=timing.around_receive(timed.receive)))
        self.receive = self.chain.receive
        self.transports: set[StreamTransport] = set()
        # Of clients that break the rules, who may be many.
        self._error_reporter = RateLimit(_MOST_COMPLAINTS_A_SECOND)
        self.pending_handshakes = PendingHandshakes(self, context.log, tls, proxy_from)
        self.on_ended: Callable[[], object] | None = None

    def _adapted(self, chain: Chain) -> Chain:
        """Let a chain whose hooks are coroutine functions run in lanes; a plain one is called as it is."""
        if not chain.awaits:
            return chain
        self._hook_queues = self._context.hook_queues
        assert self._hook_queues is not None, "a worker whose plugins await has lanes"
        return self._hook_queues.adapted(chain, self._hook_raised)

    def set_timed(self, timed: bool) -> None:
        """Call the hooks with a stopwatch from now on, or without."""
        self.chain = self._timed if timed else self._plain
        self.receive = self.chain.receive

    def acceptor(self, scheme: str) -> Accept:
        """Return what takes over the sockets accepted at an address of this scheme."""
        return self.pending_handshakes.acceptor(scheme) or self._accept

    def port(self, sock: DatagramSocket, on_closed: Callable[[], object]) -> UdpSocket:
        """Return what reads a UDP socket, after `open()`."""
        around = self._context
        return UdpSocket(self, sock, around.ids, self._hook_queues, around.log, on_closed)

    def _accept(self, sock: socket.SocketType, peer: Any) -> None:
        self.counters.accepted += 1
        self.counters.connections += 1
        self.begin(sock, peer)

    def begin(
        self, sock: StreamSocket, peer: Any, tls: TlsFacts | None = None, local: Endpoint | None = None
    ) -> StreamTransport:
        """Serve a client from its `connect` on; `local` is our end where it is another than the socket's."""
        transport = StreamTransport(self, sock, peer, next(self._context.ids), tls, local)
        self.transports.add(transport)
        if self.new_framing is not None:
            self._frame(transport, self.new_framing)
        transport.open()
        if transport.phase is not CloseState.OPEN:
            self.counters.refused += 1
        return transport

    def _frame(self, transport: StreamTransport, new_framing: Callable[[], Framing]) -> None:
        try:
            transport.framing = new_framing()
        except BaseException as raised:  # noqa: BLE001  a plugin's framing may raise anything
            self._hook_raised("framing", transport.connection, raised)

    def failed(self, plugin: str, hook: str, connection: Connection, error: Exception) -> None:
        """Tell of an exception in a plugin's code, and close the connection that it came over."""
        self._context.failed(plugin, hook, connection, error)
        transport_of(connection).close_for(CloseReason.ERROR)

    def receive_failed(self, connection: Connection, raised: BaseException) -> None:
        """Do the same for what came out of the receive chain."""
        self._hook_raised("receive", connection, raised)

    def _hook_raised(self, hook: str, connection: Connection, raised: BaseException) -> None:
        self.failed(self.chain.plugin_of(raised), hook, connection, as_error(raised))

    def framing_broken(self, connection: Connection, error: FramingError) -> None:
        """Tell of a client that broke the framing, and close its connection."""
        if self._error_reporter.admits(self.reactor.now):
            self._context.log.warning(
                "framing_broken",
                service=self.name,
                peer=connection.peer,
                connection=connection.id,
                reason=str(error),
                suppressed=self._error_reporter.take_held_back(),
            )
        transport_of(connection).close_for(CloseReason.FRAMING)

    def ended(self, transport: StreamTransport, reason: CloseReason) -> None:
        """Call the close hooks of a connection whose socket is closed, and forget it."""
        if self._hook_queues is None:
            self.chain.close(transport.connection, reason)
            self._forget(transport)
        else:
            self._hook_queues.finish(
                transport.connection,
                reason,
                self.chain.close,
                lambda: self._forget(transport),
                self.limits.close_timeout,
            )

    def _forget(self, transport: StreamTransport) -> None:
        self.transports.discard(transport)
        self.counters.connections -= 1
        if self.on_ended is not None:
            self.on_ended()

    def overflowed(self, connection: Connection) -> None:
        """Tell of a client that is closed because it does not read what it is sent."""
        if self._error_reporter.admits(self.reactor.now):
            self._context.log.warning(
                "send_buffer_overflow",
                service=self.name,
                peer=connection.peer,
                connection=connection.id,
                queued_bytes=connection.queued,
                max_send_buffer=self.limits.max_send_buffer,
                suppressed=self._error_reporter.take_held_back(),
            )

    @property
    def occupied(self) -> bool:
        """Whether it has connections, or somebody on the way to one."""
        return bool(self.transports or self.pending_handshakes)

    def drain(self) -> None:
        """Tell every connection that the worker goes away, also each that begins from now on."""
        self.pending_handshakes.drain()
        if self.chain.has_drain:
            for transport in tuple(self.transports):
                self.chain.drain(transport.connection)

    def connections(self) -> Iterator[Connection]:
        """Yield the connections that are open."""
        return (transport.connection for transport in self.transports)
