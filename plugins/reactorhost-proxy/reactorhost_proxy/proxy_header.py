"""Write PROXY headers, versions 1 and 2. Source: proxy-protocol.txt of HAProxy, sections 2.1 and 2.2."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Mapping

from reactorhost import Endpoint, ProxyFacts, TlsFacts

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_LOCAL, _PROXY = 0x20, 0x21
_UNSPECIFIED, _TCP4, _TCP6 = 0x00, 0x11, 0x21
_ALPN, _AUTHORITY, _CRC32C, _NOOP, _SSL = 0x01, 0x02, 0x03, 0x04, 0x20
_SSL_VERSION, _SSL_CN, _SSL_CIPHER = 0x21, 0x22, 0x23
_CLIENT_SSL, _CLIENT_CERTIFICATE = 0x01, 0x02


def version_1(peer: Endpoint, local: Endpoint) -> bytes:
    """Return the header as a line of text; a client of a unix socket is `UNKNOWN`."""
    addresses = _addresses(peer, local)
    if addresses is None:
        return b"PROXY UNKNOWN\r\n"
    source, destination = addresses
    return f"PROXY TCP{source.version} {_text(source)} {_text(destination)} {peer.port} {local.port}\r\n".encode()


def version_2(peer: Endpoint, local: Endpoint, extensions: Mapping[int, bytes]) -> bytes:
    """Return the binary header with the extensions."""
    addresses = _addresses(peer, local)
    if addresses is None:
        family, body = _UNSPECIFIED, b""
    else:
        source, destination = addresses
        family = _TCP4 if source.version == 4 else _TCP6
        body = source.packed + destination.packed + struct.pack("!HH", peer.port, local.port)
    body += b"".join(struct.pack("!BH", kind, len(value)) + value for kind, value in extensions.items())
    return _SIGNATURE + struct.pack("!BBH", _PROXY, family, len(body)) + body


CHECK_1 = b"PROXY UNKNOWN\r\n"
CHECK_2 = _SIGNATURE + struct.pack("!BBH", _LOCAL, _UNSPECIFIED, 0)
"""The headers of a connection that is made for no client, as a health check."""


def extensions(tls: TlsFacts | None, server_name: str | None, proxy: ProxyFacts | None) -> dict[int, bytes]:
    """Return the extensions for a client: what an earlier proxy has said, and what is known of its TLS session here."""
    found = {} if proxy is None else {kind: each for kind, each in proxy.values.items() if kind not in (_CRC32C, _NOOP)}
    name = server_name if tls is None else tls.server_name
    if name is not None:
        found[_AUTHORITY] = name.encode()
    if tls is not None:
        if tls.alpn is not None:
            found[_ALPN] = tls.alpn.encode()
        flags = _CLIENT_SSL | (_CLIENT_CERTIFICATE if tls.certificate else 0)
        # `verify` is 0 for a certificate that was verified, and the host admits no other.
        session = struct.pack("!BI", flags, 0 if tls.certificate else 1)
        texts = (_SSL_VERSION, tls.version), (_SSL_CN, _common_name(tls)), (_SSL_CIPHER, tls.cipher)
        for kind, value in ((kind, text.encode()) for kind, text in texts if text is not None):
            session += struct.pack("!BH", kind, len(value)) + value
        found[_SSL] = session
    return found


def _common_name(tls: TlsFacts) -> str | None:
    # As `ssl.SSLSocket.getpeercert` has it: a sequence of parts, each a sequence of pairs.
    subject = tls.certificate.get("subject", ()) if tls.certificate else ()
    return next((value for part in subject for name, value in part if name == "commonName"), None)


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _addresses(peer: Endpoint, local: Endpoint) -> tuple[_Address, _Address] | None:
    try:
        # Without the interface of a link-local address.
        source, destination = (ipaddress.ip_address(each.host.partition("%")[0]) for each in (peer, local))
    except ValueError:
        return None
    if source.version == destination.version:
        return source, destination
    # A header of an earlier proxy may have mixed them.
    return _as_6(source), _as_6(destination)


def _text(address: _Address) -> str:
    # Not by `str`, which writes an IPv4 address within an IPv6 one in hexadecimal before Python 3.13.
    return socket.inet_ntop(socket.AF_INET if address.version == 4 else socket.AF_INET6, address.packed)


def _as_6(address: _Address) -> ipaddress.IPv6Address:
    if isinstance(address, ipaddress.IPv4Address):
        return ipaddress.IPv6Address(b"\0" * 10 + b"\xff\xff" + address.packed)
    return address
