"""Sockets with all options that they keep, bound to an address, and the error when that fails."""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from reactorhost.address import Address
from reactorhost.config.settings import Layer, Settings
from reactorhost.errors import NotPermittedError, ReactorhostError, joined_hints
from reactorhost.system.capabilities import may_bind
from reactorhost.system.socket_options import set_stream_options

SocketAddress = tuple[Any, ...]
"""Host and port as in the socket module, for IPv6 with flow and scope."""

# The kernel doubles the value and caps it at net.core.rmem_max.
_DATAGRAM_BUFFER_BYTES = 4 << 20
# Not in the socket module before Python 3.14.
_IP_PKTINFO = 8


class AddressInUseError(ReactorhostError):
    """Another process listens on the address."""


@contextmanager
def naming_setting(settings: Settings, key: str, flag: str) -> Iterator[None]:
    """Add to the hint about an address that is in use where another one is set: in a key of the origins, or a flag."""
    try:
        yield
    except AddressInUseError as error:
        origin = settings.origins[key]
        is_of_command = origin.layer in (Layer.FLAG, Layer.DEFAULT)
        change = f"choose another address with {flag}" if is_of_command else f"change it in {origin.where}"
        error.hint = joined_hints(*filter(None, (error.hint, f"or {change}")))
        raise


def resolve(address: Address, without: Collection[int] = ()) -> Iterator[tuple[socket.AddressFamily, SocketAddress]]:
    """Yield every family and socket address of an address, IPv4 first; leave out the families in `without`.

    Raises:
        ReactorhostError: the host cannot be resolved.
    """
    if not address.host:
        # Two sockets, the second with IPV6_V6ONLY. A dual-stack [::] would lose all of its IPv4 clients to any other
        # socket on 0.0.0.0.
        if socket.AF_INET not in without:
            yield socket.AF_INET, ("0.0.0.0", address.port)
        if socket.AF_INET6 not in without and _has_ipv6():
            yield socket.AF_INET6, ("::", address.port, 0, 0)
        return
    try:
        found = socket.getaddrinfo(address.host, address.port, type=_kind(address), flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        # UnicodeError: Python refuses to encode a label that is empty or too long.
        reason = error.strerror if isinstance(error, OSError) else "not a valid host name"
        what = f"{address} cannot be resolved: {reason}"
        raise ReactorhostError(what, hint="give an address of this machine") from None
    families = {family: sockaddr for family, _, _, _, sockaddr in reversed(found)}
    for family in sorted(families.keys() - without):
        if family == socket.AF_INET or _has_ipv6() or len(families) == 1:
            yield family, families[family]


def tcp_socket(family: socket.AddressFamily, sockaddr: SocketAddress, peer_timeout: float | None) -> socket.socket:
    """Return a bound TCP socket with every option that accepted sockets inherit.

    `peer_timeout` is how long a client's machine may stay silent, in seconds; None leaves it to the kernel.

    Raises:
        OSError: it cannot be bound.
    """
    with ExitStack() as on_error:
        sock = on_error.enter_context(_create(family, socket.SOCK_STREAM))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        set_stream_options(sock, peer_timeout)
        sock.bind(sockaddr)
        # Two sockets that both set it may be bound to one port while none of them listens. Without it from here on, the
        # probe of another host fails and another program cannot bind; `open` sets it again, because accepted sockets
        # inherit it, and those in TIME_WAIT would block the next start.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        on_error.pop_all()
    return sock


def udp_socket(family: socket.AddressFamily, sockaddr: SocketAddress) -> socket.socket:
    """Return a UDP socket for an address, not bound yet: from bind() on it would receive.

    Raises:
        OSError: the system has no room for it.
    """
    with ExitStack() as on_error:
        sock = on_error.enter_context(_create(family, socket.SOCK_DGRAM))
        # No SO_REUSEADDR: if both sides set it, UDP lets another program take over the port.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _DATAGRAM_BUFFER_BYTES)
        request_destinations(sock, sockaddr)
        on_error.pop_all()
    return sock


def request_destinations(sock: socket.socket, sockaddr: SocketAddress | str) -> None:
    """Request of a UDP socket the address that each datagram was sent to."""
    # A reply must come from the address that the client sent to, which on a wildcard only the datagram contains.
    if sockaddr[0] == "0.0.0.0":
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    elif sockaddr[0] == "::":
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)


def abstract_socket(address: Address) -> socket.socket:
    """Return a unix socket bound to an abstract name, which the kernel frees with the last copy of the socket.

    Raises:
        ReactorhostError: the name is in use.
    """
    with ExitStack() as on_error:
        sock = on_error.enter_context(_create(socket.AF_UNIX, socket.SOCK_STREAM))
        try:
            sock.bind(address.unix_name)
        except OSError as error:
            raise bind_error(address, error) from None
        on_error.pop_all()
    return sock


def probe(family: socket.AddressFamily, sockaddr: SocketAddress | str, address: Address) -> None:
    """Check that the address is free: with SO_REUSEPORT a second host would bind it without an error.

    Raises:
        ReactorhostError: it is in use, or cannot be bound.
    """
    exclusive_socket(family, sockaddr, address).close()


def exclusive_socket(family: socket.AddressFamily, sockaddr: SocketAddress | str, address: Address) -> socket.socket:
    """Return a socket bound to an address that no other socket may share.

    Raises:
        ReactorhostError: it is in use, or cannot be bound.
    """
    with ExitStack() as on_error:
        try:
            sock = on_error.enter_context(_create(family, _kind(address)))
            if address.scheme != "udp":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(sockaddr)
        except OSError as error:
            raise bind_error(address, error) from None
        on_error.pop_all()
    return sock


def check_local(address: Address) -> None:
    """Check that an address is one of this machine, and its port permitted, whether or not it is in use.

    Raises:
        ReactorhostError: it cannot be resolved, or is not.
    """
    if not may_bind(address.port):
        raise bind_error(address, PermissionError(errno.EACCES, ""))
    for family, sockaddr in resolve(address):
        with _create(family, _kind(address)) as sock:
            try:
                sock.bind((sockaddr[0], 0, *sockaddr[2:]))
            except OSError as error:
                raise bind_error(address, error) from None


def effective_backlog(backlog: int) -> int:
    """Return the length that a queue can reach: the one that was asked for, or the limit of the kernel."""
    try:
        limit = int(Path("/proc/sys/net/core/somaxconn").read_text())
    except (OSError, ValueError):
        return backlog
    return min(backlog, limit)


def bind_error(address: Address | str, error: OSError) -> ReactorhostError:
    """Return the error for an address that cannot be bound, or whose socket cannot listen."""
    if error.errno == errno.EADDRINUSE:
        # Of TCP not only listeners: the port may be the own one of a connection to another server.
        see = {"udp": "ss -lunp", "unix": "ss -lxp"}.get(str(address).partition(":")[0], "ss -tanp")
        return AddressInUseError(f"{address} is in use by another process", hint=f"see which with: {see}")
    if error.errno in (errno.EACCES, errno.EPERM):
        return NotPermittedError(f"not permitted to listen on {address}", hint="ports below 1024 need root")
    if error.errno == errno.EADDRNOTAVAIL:
        return ReactorhostError(f"{address} is not an address of this machine", hint="list them with: ip address")
    if error.errno == errno.EAFNOSUPPORT:
        hint = "listen on an IPv4 address, for example 0.0.0.0"
        return ReactorhostError(f"cannot listen on {address}: this system has no IPv6", hint=hint)
    return ReactorhostError(f"cannot listen on {address}: {error.strerror}")


def _kind(address: Address) -> socket.SocketKind:
    return socket.SOCK_DGRAM if address.scheme == "udp" else socket.SOCK_STREAM


def _create(family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
    sock = socket.socket(family, kind)
    # Here and not in workers: O_NONBLOCK belongs to the description that all of them share.
    sock.setblocking(False)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind(("::1", 0))
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        return False
    return True
