"""The preludes of a service: the PROXY header, then the TLS handshake, before its clients' connections begin.

They count as connections from the moment that they are accepted, together with what has begun.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reactorhost.address import Endpoint
from reactorhost.api.connection import TlsFacts
from reactorhost.reactor.steps import (
    ClosedBeforeDataError,
    ProxyRefusedError,
    Step,
    StepError,
    StepRunner,
    TlsHandshakeError,
)
from reactorhost.system.rate_limit import RateLimit
from reactorhost.worker.context import ServiceContext
from reactorhost.worker.handshake.trusted_proxies import TrustedProxies, read_header
from reactorhost.worker.stream.closing import CloseState
from reactorhost.worker.stream.socket import StreamSocket, endpoint
from reactorhost.worker.stream.transport import StreamTransport

if TYPE_CHECKING:
    from reactorhost.tls.context import ServerTls

_MOST_LINES_A_SECOND = 5

Wrap = Callable[[socket.SocketType, "ClientInfo"], Step[tuple[StreamSocket, TlsFacts]]]


@dataclass(slots=True)
class ClientInfo:
    """What is known of a client on its way: a PROXY header changes both ends, a handshake brings the rest."""

    peer: Endpoint
    local: Endpoint | None = None
    tls: TlsFacts | None = None


Begin = Callable[[StreamSocket, Endpoint, "TlsFacts | None", "Endpoint | None"], StreamTransport]
"""Serves a client from its `connect` on: called with the socket, peer, TLS facts and local address."""


class PendingHandshakes:
    """What happens between accepting a client and its `connect`."""

    def __init__(
        self,
        context: ServiceContext,
        begin: Begin,
        on_failed: Callable[[], object],
        tls: ServerTls | None,
        proxy_from: Sequence[str],
    ) -> None:
        self._context = context
        self._begin_connection = begin
        self._on_failed = on_failed
        self._tls = tls
        self._proxies = TrustedProxies(proxy_from) if proxy_from else None
        self._running: set[StepRunner[StreamSocket]] = set()
        self._lines = RateLimit(_MOST_LINES_A_SECOND)
        self._will_tell_rest = False
        self._draining = False

    def __len__(self) -> int:
        return len(self._running)

    def acceptor(self, scheme: str) -> Callable[[socket.SocketType, Any], None] | None:
        """Return what takes over sockets accepted at an address of this scheme, None if nothing comes before them."""
        wrap = self._wrap(self._tls) if scheme == "tls" and self._tls is not None else None
        if wrap is None and self._proxies is None:
            return None

        def accept(sock: socket.SocketType, peer: Any) -> None:
            self._accept(sock, ClientInfo(endpoint(peer)), wrap)

        return accept

    def drain(self) -> None:
        """Tell every client from now on, when its connection begins, that the worker goes away."""
        self._draining = True

    def end_all(self) -> None:
        """Have no more patience with anybody."""
        for runner in tuple(self._running):
            runner.end()
            self._forget(runner)

    def _accept(self, sock: socket.SocketType, arrival: ClientInfo, wrap: Wrap | None) -> None:
        context = self._context
        context.counters.accepted += 1
        context.counters.connections += 1

        def done(wrapped: StreamSocket) -> None:
            self._running.discard(runner)
            self._begin(wrapped, arrival)

        def failed(error: StepError | OSError) -> None:
            self._tell_refused(arrival, error)
            self._forget(runner)

        runner = StepRunner(context.reactor, sock, self._steps(sock, arrival, wrap), done, failed)
        self._running.add(runner)
        runner.begin(context.reactor.now + context.limits.handshake_timeout)

    def _steps(self, sock: socket.SocketType, arrival: ClientInfo, wrap: Wrap | None) -> Step[StreamSocket]:
        if self._proxies is not None:
            if not self._proxies.lists(arrival.peer):
                raise ProxyRefusedError("it is not in proxy_from, and only who is may connect")
            header = yield from read_header(sock)
            if header.source is not None:
                arrival.peer, arrival.local = header.source, header.destination
        if wrap is None:
            return sock
        wrapped, arrival.tls = yield from wrap(sock, arrival)
        return wrapped

    def _wrap(self, tls: ServerTls) -> Wrap:
        # Here and not above: whoever speaks no TLS does without it.
        from reactorhost.tls.socket import TlsSocket

        def wrap(sock: socket.SocketType, arrival: ClientInfo) -> Step[tuple[StreamSocket, TlsFacts]]:
            def broken(reason: str) -> None:
                self._tell_broken(arrival, reason)

            wrapped = TlsSocket(self._context.reactor, sock, tls.context, broken, is_server=True)
            facts = yield from wrapped.handshake()
            return wrapped, facts

        return wrap

    def _begin(self, sock: StreamSocket, arrival: ClientInfo) -> None:
        chain = self._context.chain
        transport = self._begin_connection(sock, arrival.peer, arrival.tls, arrival.local)
        if self._draining and chain.has_drain and transport.close_state is CloseState.OPEN:
            chain.drain(transport.connection)

    def _forget(self, runner: StepRunner[StreamSocket]) -> None:
        self._running.discard(runner)
        self._on_failed()

    # What is told, of which strangers are the cause.

    def _tell_refused(self, arrival: ClientInfo, error: StepError | OSError) -> None:
        if isinstance(error, ClosedBeforeDataError) or not self._may_tell():
            return
        if isinstance(error, TlsHandshakeError):
            self._context.log.info("handshake_failed", service=self._context.name, peer=arrival.peer, reason=str(error))
        else:
            self._context.log.warning("proxy_refused", service=self._context.name, peer=arrival.peer, reason=str(error))

    def _tell_broken(self, arrival: ClientInfo, reason: str) -> None:
        if self._may_tell():
            self._context.log.info("tls_broken", service=self._context.name, peer=arrival.peer, reason=reason)

    def _may_tell(self) -> bool:
        reactor = self._context.reactor
        if self._lines.admits(reactor.now):
            return True
        if not self._will_tell_rest:
            self._will_tell_rest = True
            reactor.call_later(1.0, self._tell_rest)
        return False

    def _tell_rest(self) -> None:
        self._will_tell_rest = False
        self._context.log.info("log_suppressed", service=self._context.name, count=self._lines.take_held_back())
