"""Requests for an upgrade: the head is parsed a second time, by what speaks the protocol that the client gets.

llhttp ends a request for an upgrade behind its headers, whatever they say about a body. If nothing here speaks the new
protocol, the client continues with HTTP/1.1, and what llhttp would take for its next request is the body of this one:
`Upgrade: anything` would let a client place a request in a body, behind the back of a proxy.
"""

from __future__ import annotations

from collections.abc import Iterable

Headers = Iterable[tuple[bytes, bytes]]


def head(method: str, url: bytes, version: str, headers: Headers) -> bytes:
    """Return the line and the headers of a request as a client sends them."""
    lines = b"".join(b"%s: %s\r\n" % header for header in headers)
    return b"%s %s HTTP/%s\r\n%s\r\n" % (method.encode(), url, version.encode(), lines)


def without_upgrade(headers: Headers) -> Headers:
    """Return the headers of a request that does not ask for another protocol."""
    return (header for header in headers if header[0] != b"upgrade")
