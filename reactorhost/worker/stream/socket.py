"""A stream socket as transports use it, plain or with TLS, and what its addresses are called."""

from __future__ import annotations

import socket
import struct
from typing import Any, Protocol

from reactorhost.address import Endpoint

_LINGER_NOT_AT_ALL = struct.pack("ii", 1, 0)


class StreamSocket(Protocol):
    """What a transport needs of a socket; one that speaks TLS has it too."""

    def recv(self, size: int, /) -> bytes: ...
    def send(self, data: bytes | memoryview, /) -> int: ...
    def shutdown(self, how: int, /) -> None: ...
    def setsockopt(self, level: int, option: int, value: bytes, /) -> None: ...
    def getsockname(self) -> Any: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


def reset_on_close(sock: StreamSocket) -> None:
    """Let the other side hear of a reset when the socket is closed, and lose what is still on its way to it.

    Raises:
        OSError: the other side has reset it already.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT_AT_ALL)


def endpoint(address: Any) -> Endpoint:
    """Turn what the socket module calls an address into an endpoint."""
    if isinstance(address, tuple):
        return Endpoint(address[0], address[1])
    path = address.decode(errors="replace") if isinstance(address, bytes) else str(address)
    return Endpoint(f"unix:{path}" if path else "unix", 0)
