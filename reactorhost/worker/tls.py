"""How TLS is spoken: contexts for services, out of their certificates, and for connections that a plugin opens.

Contexts are made anew in every worker when it boots, so a reload brings renewed certificates.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from reactorhost.config.service import Tls
from reactorhost.connection import TlsFacts
from reactorhost.errors import ConfigError
from reactorhost.worker import certificates
from reactorhost.worker.certificates import Certificate, CertificateError
from reactorhost.worker.prelude import Prelude, RefusedError, Step
from reactorhost.worker.tls_socket import TlsSession, TlsSocket

if TYPE_CHECKING:
    import socket

    from reactorhost.reactor import Reactor

T = TypeVar("T")

_VERIFY = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


class ServerTls:
    """The certificates of a service in use.

    Attributes:
        certificates: what was loaded, the default first.
        context: makes sessions; each changes to the certificate for the name that its client asks for.
    """

    def __init__(self, settings: Tls, where: str | None = None) -> None:
        """Load everything.

        Raises:
            ConfigError: something cannot be used; `where` says where the settings are.
        """
        pairs = list(zip(settings.certificates, settings.keys, strict=True))
        self.certificates = certificates.load_all(pairs, settings.client_ca, where)
        try:
            contexts = [_context(settings, certificate) for certificate in self.certificates]
        except CertificateError as error:
            # A file changed since it was looked at.
            raise ConfigError([error.problem]) from None
        self.context = contexts[0]
        named = zip((each.names for each in self.certificates), contexts, strict=True)
        choice = NameChoice(named)

        def choose(session: ssl.SSLObject, name: str | None, _default: ssl.SSLContext) -> None:
            if isinstance(session, TlsSession) and name is not None:
                session.asked_for = name
                session.context = choice.find(name) or self.context

        self.context.sni_callback = choose


class NameChoice(Generic[T]):
    """Finds what goes with a host name, among things that have exact names and names that begin with `*.`."""

    def __init__(self, named: Iterable[tuple[Iterable[str], T]]) -> None:
        self._named: dict[str, T] = {}
        for names, thing in named:
            for name in names:
                self._named.setdefault(name, thing)

    def find(self, name: str) -> T | None:
        """Return what has this name, or else a wildcard for its first label; the one given first if several do."""
        name = name.lower()
        return self._named.get(name) or self._named.get("*." + name.partition(".")[2])


def client_context(
    *,
    authorities: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    alpn: Sequence[str] = (),
) -> ssl.SSLContext:
    """Return a context for connections to others, which checks their certificate and its name.

    `authorities` is a PEM file of whom to trust in place of the system's; `certificate` and `key` are shown to a
    server that asks for them.

    Raises:
        ConfigError: a file cannot be used.
    """
    context = ssl.create_default_context()
    try:
        if authorities is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            certificates.trust(context, authorities)
        if certificate is not None:
            certificates.use(context, certificate, key or certificate)
    except CertificateError as error:
        raise ConfigError([error.problem]) from None
    _harden(context)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def handshake(
    reactor: Reactor,
    sock: socket.socket,
    context: ssl.SSLContext,
    server_hostname: str,
    done: Callable[[tuple[TlsSocket, TlsFacts]], object],
    failed: Callable[[RefusedError | OSError], object],
    broken: Callable[[str], object],
    deadline: float,
) -> Prelude[tuple[TlsSocket, TlsFacts]]:
    """Begin a client's handshake over a connected, non-blocking socket, which belongs to it from now on.

    Either `done((socket, facts))` is called with what goes to `RunningService.begin`, or the socket is closed and
    `failed(error)` is called: a `HandshakeError` whose words say why, as "its certificate is not accepted: Hostname
    mismatch", or an `OSError`. Both may come before this returns. `deadline` is a time of the reactor's clock.
    `broken` hears in plain words when TLS fails later. `end()` of what is returned gives up and calls nobody.
    """
    tls = TlsSocket(reactor, sock, context, broken, is_server=False, server_hostname=server_hostname)

    def step() -> Step[tuple[TlsSocket, TlsFacts]]:
        facts = yield from tls.handshake()
        return tls, facts

    prelude = Prelude(reactor, tls, step(), done, failed)
    prelude.begin(deadline)
    return prelude


def _context(settings: Tls, certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = TlsSession
    _harden(context)
    certificates.use(context, certificate.path, certificate.key)
    # Alike in all contexts of a service: a session that changes to another one takes some of it along, and some not.
    if settings.alpn:
        context.set_alpn_protocols(list(settings.alpn))
    if settings.client_ca is not None:
        certificates.trust(context, settings.client_ca)
    context.verify_mode = _VERIFY[settings.client_certificates]
    return context


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
