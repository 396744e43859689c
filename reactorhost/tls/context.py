"""The TLS contexts of a service, made from its certificates.

Every worker makes its contexts when it boots, so a reload loads renewed certificates.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from reactorhost.config.service import Tls
from reactorhost.errors import ConfigError
from reactorhost.reactor import Reactor
from reactorhost.tls import certificates
from reactorhost.tls.certificates import Certificate, CertificateError
from reactorhost.tls.handshake import TlsSession
from reactorhost.tls.socket import TlsSocket

T = TypeVar("T")

_VERIFY = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


class ServerTls:
    """The loaded certificates of a service.

    Attributes:
        certificates: the default certificate is the first.
        context: makes sessions; a session changes to the certificate for the server name that its client requests.
    """

    def __init__(self, settings: Tls, where: str | None = None) -> None:
        """Load the certificates; `where` names the settings in errors.

        Raises:
            ConfigError: a certificate or a key cannot be used.
        """
        pairs = list(zip(settings.certificates, settings.keys, strict=True))
        self.certificates = certificates.load_all(pairs, settings.client_ca, where)
        try:
            contexts = [_context(settings, certificate) for certificate in self.certificates]
        except CertificateError as error:
            # A file has changed since it was checked above.
            raise ConfigError([error.problem]) from None
        self.context = contexts[0]
        by_name = ServerNames(zip((each.names for each in self.certificates), contexts, strict=True))

        def select(session: ssl.SSLObject, name: str | None, _default: ssl.SSLContext) -> None:
            if isinstance(session, TlsSession) and name is not None:
                session.requested_name = name
                session.context = by_name.find(name) or self.context

        self.context.sni_callback = select

    def wrap(self, reactor: Reactor, sock: socket.SocketType, on_broken: Callable[[str], object]) -> TlsSocket:
        """Return our end of a session on a client's socket, before its handshake."""
        return TlsSocket(reactor, sock, self.context, on_broken)


class ServerNames(Generic[T]):
    """Maps host names to values; a name that begins with `*.` matches any first label."""

    def __init__(self, entries: Iterable[tuple[Iterable[str], T]]) -> None:
        self._values: dict[str, T] = {}
        for names, value in entries:
            for name in names:
                self._values.setdefault(name, value)

    def find(self, name: str) -> T | None:
        """Return the first value with this name, else the first with a wildcard that matches, else None."""
        name = name.lower()
        return self._values.get(name) or self._values.get("*." + name.partition(".")[2])


def _context(settings: Tls, certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # The SNI callback gets the session only, so the session carries the requested name.
    context.sslobject_class = TlsSession
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Compression leaks secrets (CRIME). Renegotiation (TLS 1.2) is a handshake's work for few bytes.
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    certificates.use(context, certificate.path, certificate.key)
    # The same in all contexts of a service: OpenSSL does not document which settings a session takes over when its
    # context is changed.
    if settings.alpn:
        context.set_alpn_protocols(list(settings.alpn))
    if settings.client_ca is not None:
        certificates.trust(context, settings.client_ca)
    context.verify_mode = _VERIFY[settings.client_certificates]
    return context
