"""The preludes of a service: the PROXY header, then the TLS handshake, before its clients' connections begin.

They count as connections from the moment that they are accepted, together with what has begun.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reactorhost.address import Endpoint
from reactorhost.connection import TlsFacts
from reactorhost.logs import EventLog
from reactorhost.worker.line_limit import LineLimit
from reactorhost.worker.prelude import (
    HandshakeError,
    Prelude,
    ProxyRefusedError,
    RefusedError,
    SilentEndError,
    Step,
)
from reactorhost.worker.proxies import Proxies, read_header
from reactorhost.worker.stream_socket import StreamSocket, endpoint
from reactorhost.worker.transport import Phase

if TYPE_CHECKING:
    from reactorhost.worker.service import RunningService
    from reactorhost.worker.tls import ServerTls

_MOST_LINES_A_SECOND = 5

Wrap = Callable[[socket.SocketType, "Arrival"], Step[tuple[StreamSocket, TlsFacts]]]


@dataclass(slots=True)
class Arrival:
    """What is known of a client on its way: a PROXY header changes both ends, a handshake brings the rest."""

    peer: Endpoint
    local: Endpoint | None = None
    tls: TlsFacts | None = None


class Preludes:
    """What happens between accepting a client and its `connect`."""

    def __init__(
        self, service: RunningService, log: EventLog, tls: ServerTls | None, proxy_from: Sequence[str]
    ) -> None:
        self._service = service
        self._log = log
        self._tls = tls
        self._proxies = Proxies(proxy_from) if proxy_from else None
        self._running: set[Prelude[StreamSocket]] = set()
        self._lines = LineLimit(_MOST_LINES_A_SECOND)
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
            self._accept(sock, Arrival(endpoint(peer)), wrap)

        return accept

    def drain(self) -> None:
        """Tell every client from now on, when its connection begins, that the worker goes away."""
        self._draining = True

    def end_all(self) -> None:
        """Have no more patience with anybody."""
        for prelude in tuple(self._running):
            prelude.end()
            self._forget(prelude)

    def _accept(self, sock: socket.SocketType, arrival: Arrival, wrap: Wrap | None) -> None:
        service = self._service
        service.tally.accepted += 1
        service.tally.connections += 1

        def done(wrapped: StreamSocket) -> None:
            self._running.discard(prelude)
            self._begin(wrapped, arrival)

        def failed(error: RefusedError | OSError) -> None:
            self._tell_refused(arrival, error)
            self._forget(prelude)

        prelude = Prelude(service.reactor, sock, self._steps(sock, arrival, wrap), done, failed)
        self._running.add(prelude)
        prelude.begin(service.reactor.now + service.limits.handshake_timeout)

    def _steps(self, sock: socket.SocketType, arrival: Arrival, wrap: Wrap | None) -> Step[StreamSocket]:
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
        from reactorhost.worker.tls_socket import TlsSocket

        def wrap(sock: socket.SocketType, arrival: Arrival) -> Step[tuple[StreamSocket, TlsFacts]]:
            def broken(reason: str) -> None:
                self._tell_broken(arrival, reason)

            wrapped = TlsSocket(self._service.reactor, sock, tls.context, broken, is_server=True)
            facts = yield from wrapped.handshake()
            return wrapped, facts

        return wrap

    def _begin(self, sock: StreamSocket, arrival: Arrival) -> None:
        service = self._service
        transport = service.begin(sock, arrival.peer, arrival.tls, arrival.local)
        if self._draining and service.chain.has_drain and transport.phase is Phase.OPEN:
            service.chain.drain(transport.connection)

    def _forget(self, prelude: Prelude[StreamSocket]) -> None:
        service = self._service
        self._running.discard(prelude)
        service.tally.connections -= 1
        service.tally.refused += 1
        if service.on_ended is not None:
            service.on_ended()

    # What is told, of which strangers are the cause.

    def _tell_refused(self, arrival: Arrival, error: RefusedError | OSError) -> None:
        if isinstance(error, SilentEndError) or not self._may_tell():
            return
        if isinstance(error, HandshakeError):
            self._log.info("handshake_failed", service=self._service.name, peer=arrival.peer, reason=str(error))
        else:
            self._log.warning("proxy_refused", service=self._service.name, peer=arrival.peer, reason=str(error))

    def _tell_broken(self, arrival: Arrival, reason: str) -> None:
        if self._may_tell():
            self._log.info("tls_broken", service=self._service.name, peer=arrival.peer, reason=reason)

    def _may_tell(self) -> bool:
        reactor = self._service.reactor
        if self._lines.admits(reactor.now):
            return True
        if not self._will_tell_rest:
            self._will_tell_rest = True
            reactor.call_later(1.0, self._tell_rest)
        return False

    def _tell_rest(self) -> None:
        self._will_tell_rest = False
        self._log.info("refusals_not_told", service=self._service.name, count=self._lines.take_held_back())
