"""Binding: sockets made with the options that they keep, and what is said when an address cannot be had."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from typing import Any

from reactorhost.address import Address
from reactorhost.errors import NotPermittedError, ReactorhostError
from reactorhost.system.socket_options import set_stream_options

SocketAddress = tuple[Any, ...]
"""Host and port as the socket module has them, for IPv6 with flow and scope."""

# The kernel doubles it, and gives at most net.core.rmem_max.
_DATAGRAM_BUFFER_BYTES = 4 << 20
# Not in the socket module before Python 3.14.
_IP_PKTINFO = 8


class AddressInUseError(ReactorhostError):
    """Somebody listens there."""


def resolved(address: Address) -> Iterator[tuple[socket.AddressFamily, SocketAddress]]:
    """Yield every family and socket address that an address stands for, IPv4 first.

    Raises:
        ReactorhostError: nobody knows the host.
    """
    if not address.host:
        yield socket.AF_INET, ("0.0.0.0", address.port)
        if _has_ipv6():
            yield socket.AF_INET6, ("::", address.port, 0, 0)
        return
    try:
        found = socket.getaddrinfo(address.host, address.port, type=_kind(address), flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        # UnicodeError: a label that is empty or too long never gets as far as the resolver.
        reason = error.strerror if isinstance(error, OSError) else "no host can have that name"
        raise ReactorhostError(
            f"{address} cannot be resolved: {reason}", hint="give an address of this machine"
        ) from None
    families = {family: sockaddr for family, _, _, _, sockaddr in reversed(found)}
    for family in sorted(families):
        if family == socket.AF_INET or _has_ipv6() or len(families) == 1:
            yield family, families[family]


def stream(family: socket.AddressFamily, sockaddr: SocketAddress, peer_timeout: float | None) -> socket.socket:
    """Return a TCP socket that is bound, with every option that accepted sockets inherit.

    `peer_timeout` is how long a client's machine may give no sign of life, in seconds; None: as long as the kernel
    has patience.

    Raises:
        OSError: it cannot be bound.
    """
    sock = _opened(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        set_stream_options(sock, peer_timeout)
        sock.bind(sockaddr)
    except OSError:
        sock.close()
        raise
    return sock


def datagrams(family: socket.AddressFamily, sockaddr: SocketAddress) -> socket.socket:
    """Return a UDP socket for an address, not bound yet: it would receive from that moment on.

    Raises:
        OSError: the system has no room for it.
    """
    sock = _opened(family, socket.SOCK_DGRAM)
    try:
        # No SO_REUSEADDR: with it on both sides, UDP lets another program take the port away.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _DATAGRAM_BUFFER_BYTES)
        # An answer has to come from the address that was asked, which only each datagram tells.
        if sockaddr[0] == "0.0.0.0":
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        elif sockaddr[0] == "::":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    except OSError:
        sock.close()
        raise
    return sock


def probe(family: socket.AddressFamily, sockaddr: SocketAddress, address: Address) -> None:
    """Make sure that nobody has it: with SO_REUSEPORT a second host would bind without an error.

    Raises:
        ReactorhostError: somebody has, or nobody can.
    """
    with _opened(family, _kind(address)) as sock:
        if address.scheme != "udp":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(sockaddr)
        except OSError as error:
            raise refusal(address, error) from None


def refusal(address: Address, error: OSError) -> ReactorhostError:
    """Return what to tell the operator of an address that cannot be bound."""
    if error.errno == errno.EADDRINUSE:
        see = "ss -lunp" if address.scheme == "udp" else "ss -ltnp"
        return AddressInUseError(f"{address} is in use by another process", hint=f"see which with: {see}")
    if error.errno in (errno.EACCES, errno.EPERM):
        return NotPermittedError(f"may not listen on {address}", hint="ports below 1024 need root")
    if error.errno == errno.EADDRNOTAVAIL:
        return ReactorhostError(f"{address} is not an address of this machine", hint="see yours with: ip address")
    return ReactorhostError(f"cannot listen on {address}: {error.strerror}")


def _kind(address: Address) -> socket.SocketKind:
    return socket.SOCK_DGRAM if address.scheme == "udp" else socket.SOCK_STREAM


def _opened(family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
    sock = socket.socket(family, kind)
    # Once, here: the flag belongs to the description that all workers share.
    sock.setblocking(False)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True
