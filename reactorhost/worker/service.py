"""One service of a worker: makes the transports of its clients and keeps track of them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from reactorhost.address import Endpoint
from reactorhost.api.connection import Connection
from reactorhost.api.proxy_facts import ProxyFacts
from reactorhost.framing import Framing
from reactorhost.plugins import admitting, chain
from reactorhost.plugins.identity import LoadedPlugin
from reactorhost.plugins.protocols import ServingPlugin
from reactorhost.plugins.worker_limit import WorkerLimit
from reactorhost.tls.facts import TlsFacts
from reactorhost.tls.role import ServerRole, TlsRole
from reactorhost.worker.admission.admission import Admission, AdmissionRules
from reactorhost.worker.context import Limits, ServiceContext, WorkerContext
from reactorhost.worker.handshake.pending import PendingHandshakes
from reactorhost.worker.handshake.session_opening import OpenedSession
from reactorhost.worker.stream import deadlines, receiving
from reactorhost.worker.stream.closing import CloseState
from reactorhost.worker.stream.session_input import SessionInput
from reactorhost.worker.stream.socket import StreamSocket, endpoint
from reactorhost.worker.stream.transport import StreamTransport
from reactorhost.worker.udp.socket import DatagramSocket, UdpSocket

if TYPE_CHECKING:
    from reactorhost.tls.context import ServerTls
    from reactorhost.worker.adapter.adapter import ProtocolAdapter

Accept = Callable[[socket.SocketType, Any], object]
"""Serves an accepted socket; called with the peer's address as the socket module returns it."""


@dataclass(frozen=True, slots=True)
class LoadedService:
    """One service, with all that was named in its settings loaded.

    Attributes:
        new_framing: makes the framing of each connection; None for none.
        has_sessions: whether these framings are sessions, which begin with a handshake.
        tls: its certificates; None for a service that has no TLS.
        tls_role: our side of TLS on connections that begin in plain text; None for the server's.
        proxy_from: networks of proxies that send a PROXY header.
        rules: which clients are admitted.
        most_workers: what its plugins declare with `service_workers`; None without a limit.
        serving: what serves its clients with asyncio's protocols or streams; None without such a plugin.
    """

    name: str
    plugins: Sequence[LoadedPlugin]
    limits: Limits = field(default_factory=Limits)
    new_framing: Callable[[], Framing] | None = None
    tls: ServerTls | None = None
    tls_role: TlsRole | None = None
    proxy_from: Sequence[str] = ()
    rules: AdmissionRules = field(default_factory=AdmissionRules)
    most_workers: WorkerLimit | None = None
    serving: ServingPlugin | None = None
    has_sessions: bool = False

    @property
    def ignores_message_timeout(self) -> bool:
        """Whether the time of a message is limited, and no framing marks where a message ends."""
        return self.limits.message_timeout is not None and self.new_framing is None

    @property
    def receives(self) -> bool:
        """Whether a plugin receives what clients send; else it is discarded."""
        return self.serving is not None or any("receive" in plugin.hooks for plugin in self.plugins)


class RunningService:
    """One service of one worker.

    `on_ended` is called after the end of each connection and of each failed handshake.

    Attributes:
        context: the part of the service that its transports read.
        protocols: what serves its clients with protocols of asyncio, or None.
        transports: the transports of its open connections.
        pending_handshakes: accepted clients without a connection yet, because of TLS or a PROXY header.
    """

    def __init__(
        self,
        loaded: LoadedService,
        worker: WorkerContext,
        on_ended: Callable[[], object],
    ) -> None:
        self.name = loaded.name
        self.protocols = adapter = None if loaded.serving is None else _adapter(loaded.serving)
        added = {} if adapter is None else {adapter.plugin.name: adapter.hooks()}
        self.context = ServiceContext(
            loaded.name, worker, loaded.limits, partial(chain.resolve, loaded.plugins, added=added)
        )
        self.context.protocols = adapter
        self.context.on_closed = self._transport_closed
        self.context.tls_role = loaded.tls_role or ServerRole(loaded.tls)
        plugins_admit = admitting.from_plugins(loaded.name, loaded.plugins, self._admit_failed)
        admits = loaded.rules.any or plugins_admit is not None
        if admits:
            counts = worker.address_counts()
            self.context.admission = Admission(
                loaded.name, loaded.rules, counts, worker.reactor, self.context.counters, worker.log, plugins_admit
            )
        # Behind a proxy the client's address is known when the PROXY header has arrived.
        self._admits_before_handshakes = admits and not loaded.proxy_from
        self.transports: set[StreamTransport] = set()
        new_session = loaded.new_framing if loaded.has_sessions else None
        self.pending_handshakes = PendingHandshakes(
            self.context, self.begin, self._handshake_ended, loaded.tls, loaded.proxy_from, new_session
        )
        self._new_framing = None if loaded.has_sessions else loaded.new_framing
        self._on_ended = on_ended
        self._worker = worker

    def acceptor(self, scheme: str) -> Accept:
        """Return the function that serves sockets accepted at an address of this scheme."""
        if scheme == "unix":
            self.keep_credentials()
        accept = self.pending_handshakes.acceptor(scheme) or self.accept
        return partial(self._accept_if_admitted, accept) if self._admits_before_handshakes else accept

    def _accept_if_admitted(self, accept: Accept, sock: socket.SocketType, peer: Any) -> None:
        if self.admits(endpoint(peer)):
            accept(sock, peer)
            return
        sock.close()
        self.refused()

    def admits(self, peer: Endpoint) -> bool:
        """Return whether a client is admitted; its connection is counted then, and `begin` has to follow."""
        return self.context.admission is None or self.context.admission.admits(peer)

    def _admit_failed(self, plugin: str, hook: str, _service: str, error: Exception) -> None:
        # Before there is a connection that could be closed.
        self.context.counters.hook_errors += 1
        self._worker.hook_failed(plugin, hook, None, error)

    def refused(self) -> None:
        """Count a client that was accepted and closed at once."""
        self.context.client_accepted()
        self.context.client_refused()
        self.context.client_ended()

    def keep_credentials(self) -> None:
        """Let the `close` hooks see the credentials of unix peers."""
        if self.context.credentials is None:
            self.context.credentials = {}

    def udp_socket(self, sock: DatagramSocket, on_closed: Callable[[], object]) -> UdpSocket:
        """Return a UDP socket of this service; it reads after `open()`."""
        return UdpSocket(self.context, sock, self._worker.ids, on_closed)

    def accept(
        self, sock: socket.SocketType, peer: Any, tls: TlsFacts | None = None, proxy: ProxyFacts | None = None
    ) -> StreamTransport:
        """Serve an accepted client that needs no handshake."""
        self.context.client_accepted()
        return self.begin(sock, peer, tls, None, proxy)

    def begin(
        self,
        sock: StreamSocket,
        peer: Any,
        tls: TlsFacts | None = None,
        local: Endpoint | None = None,
        proxy: ProxyFacts | None = None,
        session: OpenedSession | None = None,
    ) -> StreamTransport:
        """Serve a client from its `connect` hook on; `local` replaces the socket's own address."""
        number = next(self._worker.ids)
        if proxy is not None:
            self.context.proxies[number] = proxy
        transport = StreamTransport(self.context, sock, peer, number, tls, local)
        self.transports.add(transport)
        if session is not None:
            self._begin_session(transport, session)
        if self.context.loop_thread.has_others:
            self.context.loop_thread.check_sends(transport.connection)
        # Before the hooks of `connect`, which may set another one.
        if self._new_framing is not None:
            self._set_framing(transport, self._new_framing)
        transport.open()
        # A `connect` hook has closed it, or has failed.
        if transport.close_state is not CloseState.OPEN:
            self.context.client_refused()
        # A session is accepted now, unless an async `connect` runs: that does it at its end.
        if session is not None and not transport.owed:
            receiving.deliver_frames(transport)
        return transport

    def _begin_session(self, transport: StreamTransport, session: OpenedSession) -> None:
        connection = transport.connection
        connection.bytes_in, connection.bytes_out = session.bytes_in, session.bytes_out
        self.context.counters.bytes_in += session.bytes_in
        self.context.counters.bytes_out += session.bytes_out
        transport.receiver = session_input = SessionInput(transport, self.context, session.framing, session.messages)
        connection.send = session_input.send

    def _set_framing(self, transport: StreamTransport, new_framing: Callable[[], Framing]) -> None:
        try:
            transport.framing = transport.variables.run(new_framing)
        except BaseException as raised:  # noqa: BLE001  a plugin's framing may raise anything
            self.context.hook_raised("framing", transport.connection, raised)

    def _transport_closed(self, transport: StreamTransport) -> None:
        self.transports.discard(transport)
        # Here, and not when the socket is closed: the `close` hooks still see the groups.
        self.context.groups.ended(transport.connection)
        if self.context.protocols is not None:
            self.context.protocols.forget(transport.connection)
        if self.context.admission is not None:
            self.context.admission.ended(transport.peer)
        transport.release()
        self.context.client_ended()
        self._on_ended()

    def _handshake_ended(self, is_refusal: bool) -> None:
        self.context.client_ended()
        if is_refusal:
            self.context.client_refused()
        self._on_ended()

    @property
    def occupied(self) -> bool:
        """Whether the service has connections or pending handshakes."""
        return bool(self.transports or self.pending_handshakes)

    def drain(self) -> None:
        """Call the `drain` hook for every connection, and for each one that begins later."""
        self.context.draining = True
        # A copy: a hook may close connections.
        for transport in tuple(self.transports):
            self.context.drain(transport)
            deadlines.drain_begins(transport)

    def connections(self) -> Iterator[Connection]:
        """Return the open connections."""
        return (transport.connection for transport in self.transports)


def _adapter(serving: ServingPlugin) -> ProtocolAdapter:
    # Here and not above: a worker without protocols does not import asyncio.
    from reactorhost.worker.adapter.adapter import ProtocolAdapter

    return ProtocolAdapter(serving)
