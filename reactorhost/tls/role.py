"""The side that the host takes when a connection begins TLS after some plain text, and the defaults for it.

Nothing here imports `ssl` before it is needed: every service has a role.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from reactorhost.reactor import Reactor

if TYPE_CHECKING:
    from ssl import SSLContext

    from reactorhost.tls.context import ServerTls
    from reactorhost.tls.socket import TlsSocket

OnBroken = Callable[[str], object]
"""Called with a reason when TLS fails after its handshake."""


class TlsRole(Protocol):
    """The side of TLS that the host takes on the connections of a service."""

    @property
    def has_defaults(self) -> bool:
        """Whether a session needs neither a context nor a name of the plugin."""

    def wrap(
        self,
        reactor: Reactor,
        sock: socket.SocketType,
        on_broken: OnBroken,
        context: SSLContext | None,
        server_name: str | None,
    ) -> TlsSocket:
        """Return our end of a session, before its handshake; None is for the defaults.

        Raises:
            TypeError: the context is not an `ssl.SSLContext`.
            ValueError: the context or the name does not fit this side, or there is no default.
        """


@dataclass(frozen=True, slots=True)
class ServerRole:
    """The server's side, with the certificates of the service."""

    tls: ServerTls | None = None

    @property
    def has_defaults(self) -> bool:
        """Whether the service has certificates."""
        return self.tls is not None

    def wrap(
        self,
        reactor: Reactor,
        sock: socket.SocketType,
        on_broken: OnBroken,
        context: SSLContext | None,
        server_name: str | None,
    ) -> TlsSocket:
        """See `TlsRole`."""
        if server_name is not None:
            raise ValueError("server_name is for outbound connections: here it is the client that names the server")
        if context is not None:
            return _wrapped(reactor, sock, on_broken, context, None)
        if self.tls is None:
            raise ValueError("the service has no certificates: set certificate, key and starttls, or pass a context")
        return self.tls.wrap(reactor, sock, on_broken)


@dataclass(frozen=True, slots=True)
class ClientRole:
    """The client's side; `host` is the name that the server's certificate is verified for, empty if there is none."""

    host: str
    default_context: Callable[[], SSLContext]

    @property
    def has_defaults(self) -> bool:
        """Whether there is a name to verify the certificate for."""
        return bool(self.host)

    def wrap(
        self,
        reactor: Reactor,
        sock: socket.SocketType,
        on_broken: OnBroken,
        context: SSLContext | None,
        server_name: str | None,
    ) -> TlsSocket:
        """See `TlsRole`."""
        name = server_name or self.host
        # With a context that checks no name none is needed.
        if not name and (context is None or getattr(context, "check_hostname", False)):
            raise ValueError("a unix address has no host name to verify the certificate for: pass server_name")
        return _wrapped(reactor, sock, on_broken, context or self.default_context(), name)


def _wrapped(
    reactor: Reactor, sock: socket.SocketType, on_broken: OnBroken, context: SSLContext, server_name: str | None
) -> TlsSocket:
    import ssl

    from reactorhost.tls.socket import TlsSocket

    if not isinstance(context, ssl.SSLContext):
        raise TypeError(f"a context is an ssl.SSLContext, not {context!r}")
    wrong = ssl.PROTOCOL_TLS_CLIENT if server_name is None else ssl.PROTOCOL_TLS_SERVER
    if context.protocol is wrong:
        raise ValueError(f"the context is for the other side: it is one of ssl.{wrong.name}")
    try:
        return TlsSocket(reactor, sock, context, on_broken, server_name)
    except ssl.SSLError as error:
        raise ValueError(f"the context cannot be used: {error.reason or error}") from None
