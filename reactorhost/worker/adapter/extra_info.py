"""What `get_extra_info` of a transport returns, by the names that asyncio has for it.

Each is computed when a protocol requests it: most protocols want one or two.
"""

from __future__ import annotations

import socket
from asyncio import trsock
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from reactorhost.address import Endpoint
from reactorhost.worker.stream.transport import StreamTransport

if TYPE_CHECKING:
    import ssl


def find(stream: StreamTransport, name: str, default: Any) -> Any:
    """Return a fact of a connection, or the default for one that it does not have."""
    fact = _FACTS.get(name)
    found = None if fact is None else fact(stream)
    return default if found is None else found


class HostSocket(trsock.TransportSocket):
    """The socket of a connection, for options; the addresses are those behind a PROXY header."""

    def __init__(self, stream: StreamTransport) -> None:
        # Below TLS, as asyncio shows it.
        super().__init__(cast("socket.socket", getattr(stream.socket, "socket", stream.socket)))
        self._stream = stream

    def getpeername(self) -> Any:
        """Return the client's address."""
        return _peername(self._stream)

    def getsockname(self) -> Any:
        """Return the host's own address."""
        return _sockname(self._stream)


def _peername(stream: StreamTransport) -> Any:
    return _socket_address(stream.peer)


def _sockname(stream: StreamTransport) -> Any:
    return _socket_address(stream.local)


def _socket_address(endpoint: Endpoint) -> Any:
    """Return an address as the socket module has it."""
    host, port = endpoint
    if host.startswith("unix"):
        path = host.removeprefix("unix").removeprefix(":")
        return b"\0" + path[1:].encode() if path.startswith("@") else path
    if ":" not in host:
        return (host, port)
    scope = 0
    with suppress(OSError):
        scope = socket.if_nametoindex(host.partition("%")[2]) if "%" in host else 0
    return (host, port, 0, scope)


def _ssl_object(stream: StreamTransport) -> ssl.SSLObject | None:
    return getattr(stream.socket, "ssl_object", None)


def _of_ssl(read: Callable[[ssl.SSLObject], Any]) -> Callable[[StreamTransport], Any]:
    def fact(stream: StreamTransport) -> Any:
        session = _ssl_object(stream)
        return None if session is None else read(session)

    return fact


_FACTS: Mapping[str, Callable[[StreamTransport], Any]] = {
    "connection": lambda stream: stream.connection,
    "peername": _peername,
    "sockname": _sockname,
    "socket": HostSocket,
    "ssl_object": _ssl_object,
    "sslcontext": _of_ssl(lambda session: session.context),
    "peercert": _of_ssl(lambda session: session.getpeercert()),
    "cipher": _of_ssl(lambda session: session.cipher()),
    "compression": _of_ssl(lambda session: session.compression()),
}
