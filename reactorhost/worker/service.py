"""A service in this worker: makes the transports of its clients, and ends them when the worker leaves."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from reactorhost.address import Endpoint
from reactorhost.api.connection import Connection, TlsFacts
from reactorhost.framing import Framing
from reactorhost.plugins.chain import resolve
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.worker.context import Limits, Resolve, ServiceContext, WorkerContext
from reactorhost.worker.handshake.pending import PendingHandshakes
from reactorhost.worker.stream.closing import CloseState
from reactorhost.worker.stream.socket import StreamSocket
from reactorhost.worker.stream.transport import StreamTransport
from reactorhost.worker.udp.socket import DatagramSocket, UdpSocket

if TYPE_CHECKING:
    from reactorhost.tls.context import ServerTls

Accept = Callable[[socket.SocketType, Any], None]
"""Takes over an accepted socket; called with the peer's address as the socket module has it."""


class RunningService:
    """One service of one worker.

    Attributes:
        context: what its transports read.
        transports: its open connections.
        new_framing: makes the framing of each connection, if it is to have one from its start.
        pending_handshakes: its clients that have no connection yet, because of TLS or a PROXY header.
        on_ended: called after each connection or handshake that ended.
    """

    def __init__(
        self,
        name: str,
        worker: WorkerContext,
        limits: Limits,
        resolved: Resolve,
        new_framing: Callable[[], Framing] | None = None,
        tls: ServerTls | None = None,
        proxy_from: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.context = ServiceContext(name, worker, limits, resolved)
        self.context.on_closed = self._forget
        self.new_framing = new_framing
        self.transports: set[StreamTransport] = set()
        self.pending_handshakes = PendingHandshakes(self.context, self.begin, self._handshake_ended, tls, proxy_from)
        self.on_ended: Callable[[], object] | None = None
        self._worker = worker

    @classmethod
    def of_plugins(
        cls,
        name: str,
        plugins: Sequence[LoadedPlugin],
        worker: WorkerContext,
        limits: Limits,
        new_framing: Callable[[], Framing] | None = None,
        tls: ServerTls | None = None,
        proxy_from: Sequence[str] = (),
    ) -> RunningService:
        """Return a service whose hooks are those of `plugins`, in this order."""
        return cls(
            name,
            worker,
            limits,
            lambda on_error, around: resolve(plugins, on_error, around),
            new_framing,
            tls,
            proxy_from,
        )

    def acceptor(self, scheme: str) -> Accept:
        """Return what takes over the sockets accepted at an address of this scheme."""
        return self.pending_handshakes.acceptor(scheme) or self._accept

    def udp_socket(self, sock: DatagramSocket, on_closed: Callable[[], object]) -> UdpSocket:
        """Return what reads a UDP socket, after `open()`."""
        return UdpSocket(self.context, sock, self._worker.ids, on_closed)

    def _accept(self, sock: socket.SocketType, peer: Any) -> None:
        counters = self.context.counters
        counters.accepted += 1
        counters.connections += 1
        self.begin(sock, peer)

    def begin(
        self, sock: StreamSocket, peer: Any, tls: TlsFacts | None = None, local: Endpoint | None = None
    ) -> StreamTransport:
        """Serve a client from its `connect` on; `local` is our end where it is another than the socket's."""
        transport = StreamTransport(self.context, sock, peer, next(self._worker.ids), tls, local)
        self.transports.add(transport)
        if self.new_framing is not None:
            self._frame(transport, self.new_framing)
        transport.open()
        if transport.close_state is not CloseState.OPEN:
            self.context.counters.refused += 1
        return transport

    def _frame(self, transport: StreamTransport, new_framing: Callable[[], Framing]) -> None:
        try:
            transport.framing = new_framing()
        except BaseException as raised:  # noqa: BLE001  a plugin's framing may raise anything
            self.context.framing_failed(transport.connection, raised)

    def _forget(self, transport: StreamTransport) -> None:
        self.transports.discard(transport)
        self.context.counters.connections -= 1
        self._note_end()

    def _handshake_ended(self) -> None:
        counters = self.context.counters
        counters.connections -= 1
        counters.refused += 1
        self._note_end()

    def _note_end(self) -> None:
        if self.on_ended is not None:
            self.on_ended()

    @property
    def occupied(self) -> bool:
        """Whether it has connections or pending handshakes."""
        return bool(self.transports or self.pending_handshakes)

    def drain(self) -> None:
        """Call the `drain` hook for every connection, also for each that begins from now on."""
        self.pending_handshakes.drain()
        chain = self.context.chain
        if chain.has_drain:
            for transport in tuple(self.transports):
                chain.drain(transport.connection)

    def connections(self) -> Iterator[Connection]:
        """Yield the connections that are open."""
        return (transport.connection for transport in self.transports)
