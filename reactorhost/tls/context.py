"""How services speak TLS: contexts out of their certificates.

Contexts are made anew in every worker when it boots, so a reload brings renewed certificates.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Generic, TypeVar

from reactorhost.config.service import Tls
from reactorhost.errors import ConfigError
from reactorhost.tls import certificates
from reactorhost.tls.certificates import Certificate, CertificateError
from reactorhost.tls.socket import TlsSession

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


def _context(settings: Tls, certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = TlsSession
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    certificates.use(context, certificate.path, certificate.key)
    # Alike in all contexts of a service: a session that changes to another one takes some of it along, and some not.
    if settings.alpn:
        context.set_alpn_protocols(list(settings.alpn))
    if settings.client_ca is not None:
        certificates.trust(context, settings.client_ca)
    context.verify_mode = _VERIFY[settings.client_certificates]
    return context
