"""What a transport needs of its socket, plain or with TLS, and the questions about it for the kernel."""

from __future__ import annotations

import contextlib
import enum
import fcntl
import socket
import struct
import termios
from typing import Any, Protocol

from reactorhost.address import Endpoint, unix_endpoint
from reactorhost.reactor import ERROR, HANG_UP, Reactor
from reactorhost.system.scope import host_of

NO_ENDPOINT = Endpoint("", 0)
"""The local address of a socket that is closed."""

_INT = struct.Struct("i")
_LINGER_ZERO = struct.pack("ii", 1, 0)


class StreamSocket(Protocol):
    """The methods of a socket that a transport calls; `TlsSocket` has them too."""

    def recv(self, size: int, /) -> bytes: ...
    def send(self, data: bytes | memoryview, /) -> int: ...
    def shutdown(self, how: int, /) -> None: ...
    def setsockopt(self, level: int, option: int, value: bytes, /) -> None: ...
    def getsockopt(self, level: int, option: int, size: int, /) -> bytes: ...
    def getsockname(self) -> Any: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


class HangUp(enum.Enum):
    """In what way both halves of a connection are over."""

    NO = enum.auto()
    ORDERLY = enum.auto()
    """Both sides have closed; a unix socket reports this as soon as the client has closed its own."""
    BROKEN = enum.auto()
    """A reset, or an error that ends the connection."""


def hang_up(reactor: Reactor, sock: StreamSocket) -> HangUp:
    """Ask the kernel whether a connection is over, whether or not there is input to read."""
    events = reactor.hang_up(sock.fileno())
    if events & ERROR:
        return HangUp.BROKEN
    return HangUp.ORDERLY if events & HANG_UP else HangUp.NO


def unacknowledged_bytes(sock: StreamSocket) -> int | None:
    """Return how many bytes the kernel holds that the client has not acknowledged; None if the kernel does not say.

    A FIN counts as a byte on TCP. On a unix socket a message counts until it is read whole, and with the kernel's
    overhead: a change is progress, the number is none of bytes.
    """
    answer = bytearray(_INT.size)
    try:
        # SIOCOUTQ has the number of TIOCOUTQ.
        fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, answer)
    except OSError:
        return None
    count: int = _INT.unpack(answer)[0]
    return count


def let_client_be_slow(sock: StreamSocket) -> None:
    """Lift `peer_timeout` from a connection whose close is watched for progress.

    Linux counts TCP_USER_TIMEOUT from the first probe of a window that is too small for the next segment, and accepts
    no less than that segment as progress: a client that reads slowly through a small buffer would be cut.
    """
    # Fails on a unix socket, and on a connection that is gone.
    with contextlib.suppress(OSError):
        # The descriptor itself, around TLS: `TlsSocket.setsockopt` is for a socket that is about to be reset.
        plain = socket.socket(fileno=sock.fileno())
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 0)
        finally:
            plain.detach()


def reset_on_close(sock: StreamSocket) -> None:
    """Make the kernel send a reset when the socket is closed, and drop what it still holds.

    Raises:
        OSError: the client has reset the connection already.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)


def endpoint(address: Any) -> Endpoint:
    """Return the endpoint for an address as the socket module has it."""
    if isinstance(address, tuple):
        return Endpoint(host_of(address), address[1])
    # None is the peer of a socket pair.
    return unix_endpoint(address or "")
