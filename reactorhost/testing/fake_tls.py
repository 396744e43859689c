"""TLS that begins later, on a bench: the handshake is agreed on without a byte, and nothing is encrypted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from reactorhost.reactor import Reactor
from reactorhost.tls.facts import TlsFacts

if TYPE_CHECKING:
    from ssl import SSLContext


def fake_facts(server_name: str | None) -> TlsFacts:
    """Return the facts of a usual session."""
    return TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", None, server_name, None)


@dataclass(frozen=True, slots=True)
class FakeTlsRole:
    """Our side of such a session; `host` is the name of the server, None if it is the plugin's side."""

    host: str | None = None
    has_defaults: ClassVar[bool] = True

    def wrap(
        self,
        reactor: Reactor,
        sock: Any,
        on_broken: Callable[[str], object],
        context: SSLContext | None,
        server_name: str | None,
    ) -> Any:
        """Return the fake socket itself, which has a handshake too."""
        if sock.tls_facts is None:
            sock.tls_facts = fake_facts(server_name or self.host)
        return sock
