"""From an address to a connected socket.

    resolve the name -> connect (happy eyeballs; at once for UDP) -> TLS handshake

A dial calls back once, `connected` or `failed`, and not at all after `cancel()`. At every moment one step is in
progress, and `_stop` ends it and closes what it has opened.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from reactorhost.address import Address
from reactorhost.reactor import Reactor
from reactorhost.tls.facts import TlsFacts
from reactorhost.tls.role import ClientRole, TlsRole
from reactorhost.worker.outbound.happy_eyeballs import HappyEyeballs
from reactorhost.worker.outbound.resolver import Resolver, SocketAddress, interleaved, numeric_address
from reactorhost.worker.outbound.udp_connect import UdpConnectError, connect_udp
from reactorhost.worker.stream.socket import StreamSocket
from reactorhost.worker.stream.transport import StreamTransport
from reactorhost.worker.udp.connected import ConnectedTransport

if TYPE_CHECKING:
    import ssl

Connected = Callable[[StreamSocket, Any, TlsFacts | None], StreamTransport | ConnectedTransport]
"""Called with the socket, the peer's address as the socket module has it, and the facts of its TLS session, or None."""

_ALERT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class FarEnd:
    """What to connect to; `tls` and `server_name` are what the plugin has set, if anything.

    Attributes:
        name: the address as text.
    """

    address: Address
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", str(self.address))

    @property
    def certificate_name(self) -> str:
        """The name that the certificate is verified for; empty for a unix address without one."""
        # Without the interface of a link-local address, which no certificate names.
        return self.server_name or self.address.host.partition("%")[0]


class Dial(Protocol):
    """One attempt to connect to a far end."""

    step: str
    """What has not happened yet, as in `STEP within 10 s`."""

    def start(self) -> None:
        """Begin; a callback may be called before this returns."""

    def cancel(self) -> None:
        """Close everything, and call neither callback."""


class Dialer(Protocol):
    """Makes connected sockets."""

    def dial(self, far_end: FarEnd, connected: Connected, failed: Callable[[str], object]) -> Dial:
        """Return an attempt that begins with its `start()`."""

    def tls_role(self, far_end: FarEnd) -> TlsRole:
        """Return the side and the defaults of a TLS that begins later."""


class SocketDialer:
    """Dials with real sockets.

    `peer_timeout` is that of clients. `tls_broken` is called with an address and a reason when TLS fails after its
    handshake.
    """

    def __init__(
        self, reactor: Reactor, peer_timeout: float | None, tls_broken: Callable[[Address, str], object]
    ) -> None:
        self.reactor = reactor
        self.resolver = Resolver(reactor)
        self.peer_timeout = peer_timeout
        self.tls_broken = tls_broken

    def dial(self, far_end: FarEnd, connected: Connected, failed: Callable[[str], object]) -> Dial:
        """Return an attempt that begins with its `start()`."""
        return _SocketDial(self, far_end, connected, failed)

    def tls_role(self, far_end: FarEnd) -> TlsRole:
        """Return the side and the defaults of a TLS that begins later."""
        return ClientRole(far_end.certificate_name, lambda: self.tls_context)

    @cached_property
    def tls_context(self) -> ssl.SSLContext:
        """The context for plugins that set none: certificates and host names are verified."""
        # On first use: to load the authorities of the system takes some milliseconds.
        import ssl

        return ssl.create_default_context()


def _do_nothing() -> None:
    """Do nothing: no step is in progress."""


@dataclass(slots=True, eq=False, repr=False)
class _SocketDial:
    dialer: SocketDialer
    far_end: FarEnd
    connected: Connected
    failed: Callable[[str], object]
    step: str = field(default="no answer", init=False)
    _stop: Callable[[], object] = field(default=_do_nothing, init=False)

    def start(self) -> None:
        address = self.far_end.address
        if address.scheme == "unix":
            self._connect([SocketAddress(socket.AF_UNIX, address.unix_name)])
        elif (numeric := numeric_address(address.host, address.port)) is not None:
            self._connect([numeric])
        else:
            self.step = "the name was not resolved"
            try:
                lookup = self.dialer.resolver.look_up(address.host, address.port, self._resolved, self.failed)
            except OSError as error:
                self.failed((error.strerror or str(error)).lower())
            else:
                self._stop = lookup.cancel

    def cancel(self) -> None:
        self._stop()

    def _resolved(self, addresses: Sequence[SocketAddress]) -> None:
        self.step = "no answer"
        self._connect(interleaved(addresses))

    def _connect(self, addresses: Sequence[SocketAddress]) -> None:
        dialer = self.dialer
        if self.far_end.address.scheme == "udp":
            self._stop = _do_nothing
            try:
                sock, address = connect_udp(addresses)
            except UdpConnectError as error:
                self.failed(str(error))
            else:
                self.connected(sock, address.sockaddr, None)
            return
        attempts = HappyEyeballs(dialer.reactor, addresses, dialer.peer_timeout, self._socket_connected, self.failed)
        self._stop = attempts.stop
        attempts.start()

    def _socket_connected(self, sock: socket.socket, address: SocketAddress) -> None:
        self._stop = _do_nothing
        if self.far_end.address.scheme == "tls":
            self._start_tls(sock, address)
        else:
            self.connected(sock, address.sockaddr, None)

    def _start_tls(self, sock: socket.socket, address: SocketAddress) -> None:
        # Not at the top: OpenSSL is loaded only in workers that use TLS.
        from reactorhost.reactor.steps import StepRunner, TlsHandshakeError
        from reactorhost.tls.socket import TlsSocket

        self.step = "no TLS handshake"
        dialer, far_end = self.dialer, self.far_end
        try:
            tls_socket = TlsSocket(
                dialer.reactor,
                sock,
                far_end.tls or dialer.tls_context,
                lambda reason: dialer.tls_broken(far_end.address, reason),
                server_hostname=far_end.certificate_name,
            )
        except (OSError, ValueError) as error:
            # A context that cannot be made or is for servers, or a name that no certificate can have.
            sock.close()
            self.failed(f"TLS: {error}")
            return

        def succeeded(facts: TlsFacts) -> None:
            self._stop = _do_nothing
            self.connected(tls_socket, address.sockaddr, facts)

        def failed(error: TlsHandshakeError) -> None:
            self._stop = _do_nothing
            # The server may take its time to close the connection after our alert.
            dialer.reactor.call_later(_ALERT_SECONDS, handshake.end)
            self.failed(f"TLS: {error}")

        # Every error of a client's handshake is a `TlsHandshakeError`, and has been reported then.
        handshake = StepRunner(dialer.reactor, sock, tls_socket.handshake(failed), succeeded, lambda error: None)
        self._stop = handshake.end
        # No deadline of its own: the caller has one for all steps together.
        handshake.begin(math.inf)
