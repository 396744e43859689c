"""Facts of a TLS session, as plugins see them; without importing `ssl`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What is known of a TLS session after its handshake.

    Attributes:
        version: of the protocol, such as `TLSv1.3`.
        cipher: name of the cipher suite.
        alpn: protocol selected by ALPN, or None.
        server_name: host name that the client requested (SNI), or None.
        certificate: the peer's certificate as `ssl.SSLSocket.getpeercert()` returns it, or None.
    """

    version: str
    cipher: str
    alpn: str | None = None
    server_name: str | None = None
    certificate: Mapping[str, Any] | None = None
