"""Dialling: from an address to a socket that is connected, in as many steps as that takes.

    the name is resolved -> a socket connects -> TLS shakes hands

Whatever ends it closes what it has opened. It calls back once, `connected` or `failed`, and not after `cancel()`.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from reactorhost.address import Address
from reactorhost.reactor import Reactor
from reactorhost.tls.facts import TlsFacts
from reactorhost.worker.outbound.happy_eyeballs import HappyEyeballs
from reactorhost.worker.outbound.resolver import Lookup, Place, Resolver, interleaved, numeric
from reactorhost.worker.stream.socket import StreamSocket
from reactorhost.worker.stream.transport import StreamTransport

if TYPE_CHECKING:
    import ssl

Connected = Callable[[StreamSocket, Any, TlsFacts | None], StreamTransport]
"""Called with the socket, the address of the far end as the socket module has it, and the facts of TLS."""


@dataclass(frozen=True, slots=True)
class FarEnd:
    """What a plugin wants a connection to; `tls` and `server_name` are its own wishes for TLS, if it has any."""

    address: Address
    tls: ssl.SSLContext | None = None
    server_name: str | None = None


class Dial(Protocol):
    """One try to reach a far end."""

    step: str
    """What it waits for, for the sentence `STEP within 10 s`."""

    def start(self) -> None:
        """Begin; it may be over when this returns."""

    def cancel(self) -> None:
        """Give up, and close everything."""


class Dialer(Protocol):
    """What makes connected sockets."""

    def dial(self, far_end: FarEnd, connected: Connected, failed: Callable[[str], object]) -> Dial:
        """Return a try that begins with its `start()`."""


class SocketDialer:
    """Dials by sockets of the kernel; `peer_timeout` as for clients.

    `broken` hears of TLS that fails after its handshake, with the address and why.
    """

    def __init__(self, reactor: Reactor, peer_timeout: float | None, broken: Callable[[Address, str], object]) -> None:
        self.reactor = reactor
        self.resolver = Resolver(reactor)
        self.peer_timeout = peer_timeout
        self.broken = broken
        self._context: ssl.SSLContext | None = None

    def dial(self, far_end: FarEnd, connected: Connected, failed: Callable[[str], object]) -> Dial:
        """Return a try that begins with its `start()`."""
        return _Dial(self, far_end, connected, failed)

    def context(self) -> ssl.SSLContext:
        """Return what TLS is spoken by where a plugin has no wishes: certificates and names are verified."""
        if self._context is None:
            import ssl

            self._context = ssl.create_default_context()
        return self._context


class _Dial:
    def __init__(
        self,
        dialer: SocketDialer,
        far_end: FarEnd,
        connected: Connected,
        failed: Callable[[str], object],
    ) -> None:
        self.step = "no answer"
        self._dialer = dialer
        self._far_end = far_end
        self._connected = connected
        self._failed = failed
        self._stop: Callable[[], object] = _nothing_to_stop

    def start(self) -> None:
        address = self._far_end.address
        if address.scheme == "unix":
            self._race([Place(socket.AF_UNIX, address.path)])
            return
        place = numeric(address.host, address.port)
        if place is not None:
            self._race([place])
        else:
            self._look_up(address)

    def cancel(self) -> None:
        self._stop()

    def _look_up(self, address: Address) -> None:
        self.step = "the name was not resolved"
        try:
            lookup: Lookup = self._dialer.resolver.look_up(address.host, address.port, self._found, self._failed)
        except OSError as error:
            self._failed((error.strerror or str(error)).lower())
            return
        self._stop = lookup.cancel

    def _found(self, places: Sequence[Place]) -> None:
        self.step = "no answer"
        self._race(interleaved(places))

    def _race(self, places: Sequence[Place]) -> None:
        race = HappyEyeballs(self._dialer.reactor, places, self._dialer.peer_timeout, self._reached, self._failed)
        self._stop = race.stop
        race.start()

    def _reached(self, sock: socket.socket, place: Place) -> None:
        self._stop = _nothing_to_stop
        if self._far_end.address.scheme == "tls":
            self._shake_hands(sock, place)
        else:
            self._connected(sock, place.sockaddr, None)

    def _shake_hands(self, sock: socket.socket, place: Place) -> None:
        # Only here: whoever has no such far end does not pay for OpenSSL.
        from reactorhost.reactor.steps import StepError, StepRunner
        from reactorhost.tls.socket import TlsSocket

        self.step = "no TLS handshake"
        dialer, far_end = self._dialer, self._far_end
        name = far_end.server_name or far_end.address.host
        try:
            secure = TlsSocket(
                dialer.reactor,
                sock,
                far_end.tls or dialer.context(),
                lambda why: dialer.broken(far_end.address, why),
                is_server=False,
                server_hostname=name,
            )
        except (OSError, ValueError) as error:
            # A context that cannot be made or is for servers, or a name that no certificate can have.
            sock.close()
            self._failed(f"TLS: {error}")
            return

        def done(facts: TlsFacts) -> None:
            self._stop = _nothing_to_stop
            self._connected(secure, place.sockaddr, facts)

        def refused(error: StepError | OSError) -> None:
            self._stop = _nothing_to_stop
            why = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
            self._failed(f"TLS: {why}")

        runner = StepRunner(dialer.reactor, sock, secure.handshake(), done, refused)
        self._stop = runner.end
        # Whoever dials has the deadline for all the steps together.
        runner.begin(math.inf)


def _nothing_to_stop() -> None:
    """Do nothing."""
