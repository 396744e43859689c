"""What a proxy says of its client in the extensions of a PROXY header."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ProxyTls:
    """The TLS session between a client and the proxy.

    Attributes:
        version: of the protocol, such as `TLSv1.3`, or None.
        cipher: name of the cipher suite, or None.
        verified: whether the client has presented a certificate that the proxy has verified.
        common_name: of the client's certificate, or None.
        values: every extension of the session as it was sent, by its type; of a repeated one the last.
    """

    version: str | None = None
    cipher: str | None = None
    verified: bool = False
    common_name: str | None = None
    values: Mapping[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProxyFacts:
    """The extensions (TLVs) of a PROXY header of version 2. Source: proxy-protocol.txt of HAProxy, 2.2.

    Attributes:
        alpn: protocol that the client has negotiated with the proxy, or None.
        authority: host name that the client requested (SNI), or None.
        unique_id: identifies the connection at the proxy, or None.
        tls: the client's TLS session with the proxy; None if it was plain, or the proxy does not say.
        values: every extension as it was sent, by its type, without padding; of a repeated one the last.
    """

    alpn: str | None = None
    authority: str | None = None
    unique_id: bytes | None = None
    tls: ProxyTls | None = None
    values: Mapping[int, bytes] = field(default_factory=dict)
