"""Pending handshakes of a service: the PROXY header, TLS, the opening of a session, before the `connect` hook.

A pending handshake counts as a connection from the moment that its socket is accepted.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reactorhost.address import Endpoint
from reactorhost.api.proxy_facts import ProxyFacts
from reactorhost.framing import Framing
from reactorhost.reactor.steps import (
    ClientRefusedError,
    NoDataError,
    ProxyRefusedError,
    SessionRefusedError,
    Step,
    StepError,
    StepRunner,
    TlsHandshakeError,
)
from reactorhost.system.rate_limit import RateLimit
from reactorhost.tls.facts import TlsFacts
from reactorhost.worker.context import ServiceContext
from reactorhost.worker.handshake.session_opening import OpenedSession, SessionOpening
from reactorhost.worker.handshake.trusted_proxies import TrustedProxies, read_header
from reactorhost.worker.stream.socket import StreamSocket, endpoint
from reactorhost.worker.stream.transport import StreamTransport

if TYPE_CHECKING:
    # Not above: it imports `ssl`, which a worker without TLS does not need.
    from reactorhost.tls.context import ServerTls

_MOST_DEBUG_LINES_A_SECOND = 5


def _ignore(transport: StreamTransport) -> None:
    """Do nothing; the default of `ClientInfo.on_begun`."""


@dataclass(slots=True)
class ClientInfo:
    """What is known of a client so far: a PROXY header replaces both addresses, and it or a handshake adds facts.

    Attributes:
        is_admitted: whether the service has counted it as admitted.
        on_begun: called with the transport of its connection, once that has begun.
    """

    peer: Endpoint
    local: Endpoint | None = None
    tls: TlsFacts | None = None
    proxy: ProxyFacts | None = None
    session: OpenedSession | None = None
    is_admitted: bool = False
    on_begun: Callable[[StreamTransport], object] = _ignore


BeginConnection = Callable[
    [StreamSocket, Endpoint, "TlsFacts | None", "Endpoint | None", "ProxyFacts | None", "OpenedSession | None"],
    StreamTransport,
]
"""Serves a client from its `connect` hook on: socket, peer, TLS, local address, what a proxy says, session."""


class PendingHandshakes:
    """The sockets of one service that are accepted and whose `connect` hook was not called yet.

    `on_ended` is called after each handshake that does not become a connection, and with whether that is a refusal.
    `new_session` makes the framing of each connection, if it is a session.
    """

    def __init__(
        self,
        context: ServiceContext,
        begin_connection: BeginConnection,
        on_ended: Callable[[bool], object],
        tls: ServerTls | None,
        proxy_from: Sequence[str],
        new_session: Callable[[], Framing] | None = None,
    ) -> None:
        self._context = context
        self._begin_connection = begin_connection
        self._on_ended = on_ended
        self._tls = tls
        self._proxies = TrustedProxies(proxy_from) if proxy_from else None
        self._new_session = new_session
        self._running: dict[StepRunner[StreamSocket], ClientInfo] = {}
        # Apart, and without a count of the others: they must not use up the lines of refusals.
        self._debug_lines = RateLimit(_MOST_DEBUG_LINES_A_SECOND)

    def __len__(self) -> int:
        return len(self._running)

    def acceptor(self, scheme: str) -> Callable[[socket.SocketType, Any], None] | None:
        """Return the function for sockets accepted at an address of this scheme; None if there is no handshake."""
        tls = self._tls if scheme == "tls" else None
        if tls is None and self._proxies is None and self._new_session is None:
            return None
        # Without a PROXY header a client comes here only when it is admitted.
        is_admitted = self._proxies is None
        return lambda sock, peer: self.accept(sock, ClientInfo(endpoint(peer), is_admitted=is_admitted), tls)

    def end_all(self) -> None:
        """Close every socket whose handshake is pending."""
        for runner in tuple(self._running):
            runner.end()
            self._ended(runner, is_refusal=True)

    def accept(self, sock: socket.SocketType, client: ClientInfo, tls: ServerTls | None = None) -> None:
        """Begin the handshakes of a client."""
        context = self._context
        context.client_accepted()

        def done(wrapped: StreamSocket) -> None:
            del self._running[runner]
            # Taken out: `runner` and this function refer to each other, and would keep the framing.
            session, client.session = client.session, None
            transport = self._begin_connection(wrapped, client.peer, client.tls, client.local, client.proxy, session)
            client.on_begun(transport)
            if context.draining:
                context.drain(transport)

        def failed(error: StepError | OSError) -> None:
            if isinstance(error, NoDataError):
                self._log_silent(client, error)
            # The others are logged already.
            elif not isinstance(error, ClientRefusedError | TlsHandshakeError | SessionRefusedError):
                self._log_refused(client, error)
            self._ended(runner, is_refusal=not isinstance(error, NoDataError))

        runner = StepRunner(context.reactor, sock, self._steps(sock, client, tls), done, failed)
        # First: the steps may end within `begin`, and then it is removed again.
        self._running[runner] = client
        runner.begin(context.reactor.now + context.limits.handshake_timeout)

    def _steps(self, sock: socket.SocketType, client: ClientInfo, tls: ServerTls | None) -> Step[StreamSocket]:
        if self._proxies is not None:
            # Before the header is read: any client could claim any address in it.
            if not self._proxies.trusts(client.peer):
                raise ProxyRefusedError("its address is not in proxy_from")
            header = yield from read_header(sock)
            if header.source is not None:
                client.peer, client.local, client.proxy = header.source, header.destination, header.facts
            if self._context.admission is not None:
                client.is_admitted = self._context.admission.admits(client.peer)
                if not client.is_admitted:
                    raise ClientRefusedError("its address is not admitted")
        if tls is None:
            yield from self._open_session(sock, client)
            return sock
        wrapped = tls.wrap(self._context.reactor, sock, lambda reason: self._log_broken_tls(client, reason))
        client.tls = yield from wrapped.handshake(lambda error: self._log_failed(client, str(error)))
        with ExitStack() as stack:
            # If the session is refused: its end of the TLS session may wait for a peer that reads nothing.
            stack.callback(wrapped.release)
            yield from self._open_session(wrapped, client)
            stack.pop_all()
        return wrapped

    def _open_session(self, stream: StreamSocket, client: ClientInfo) -> Step[None]:
        if self._new_session is None:
            return
        context = self._context
        client.session = yield from SessionOpening(
            stream,
            self._new_session,
            context.variables.copy(),
            lambda reason: self._log_failed(client, reason),
            context.session_raised,
        ).run()

    def _ended(self, runner: StepRunner[StreamSocket], *, is_refusal: bool) -> None:
        client = self._running.pop(runner)
        if client.is_admitted and self._context.admission is not None:
            self._context.admission.ended(client.peer)
        self._on_ended(is_refusal)

    # Log lines.

    def _log_failed(self, client: ClientInfo, reason: str) -> None:
        if self._context.client_log.admits_handshake_line():
            self._context.log.info("handshake_failed", service=self._context.name, peer=client.peer, reason=reason)

    def _log_refused(self, client: ClientInfo, error: StepError | OSError) -> None:
        if self._context.client_log.admits_handshake_line():
            self._context.log.warning("proxy_refused", service=self._context.name, peer=client.peer, reason=str(error))

    def _log_silent(self, client: ClientInfo, error: NoDataError) -> None:
        # At debug only: health checks connect every second, and close at once or wait for the end.
        if self._debug_lines.admits(self._context.reactor.now):
            self._context.log.debug("no_data_received", service=self._context.name, peer=client.peer, reason=str(error))

    def _log_broken_tls(self, client: ClientInfo, reason: str) -> None:
        if self._context.client_log.admits_handshake_line():
            self._context.log.info("tls_broken", service=self._context.name, peer=client.peer, reason=reason)
