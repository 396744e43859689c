"""The address that a datagram was sent to, as ancillary data of the kernel.

A socket that is bound to every address needs it: without it the kernel sends an answer from the address of the route
back, and a client that checks the source address drops it. Sources: IP_PKTINFO in ip(7), IPV6_PKTINFO in ipv6(7).
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable

from reactorhost.system.scope import host_of

# The socket module has this constant from Python 3.14 on.
_IP_PKTINFO = 8
_IPV6_MULTICAST = 0xFF
_IPV6_LINK_LOCAL = 0xFE80
_IPV6_LINK_LOCAL_MASK = 0xFFC0

AncillaryData = list[tuple[int, int, bytes]]
"""Level, type and data of each control message, as `socket.sendmsg` accepts them."""


def is_enabled(family: int, getsockopt: Callable[[int, int], int]) -> bool:
    """Return whether the kernel reports the address; the master requests it for sockets bound to every address."""
    if family == socket.AF_INET6:
        return bool(getsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO))
    return bool(getsockopt(socket.IPPROTO_IP, _IP_PKTINFO))


def destination(ancillary: AncillaryData) -> str | None:
    """Return the address that a datagram was sent to, or None when the kernel did not report it."""
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            # struct in_pktinfo: the interface's index, `ipi_spec_dst`, `ipi_addr`, 4 bytes each (ip(7)).
            return socket.inet_ntop(socket.AF_INET, data[8:12])
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            # struct in6_pktinfo: the address, then the interface's index (ipv6(7)), which has a meaning for some only.
            index = int.from_bytes(data[16:20], sys.byteorder) if _has_scope(data) else 0
            return host_of((socket.inet_ntop(socket.AF_INET6, data[:16]), 0, 0, index))
    return None


def source_of_answer(ancillary: AncillaryData) -> AncillaryData:
    """Return the ancillary data that makes an answer come from the datagram's destination, on any interface."""
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            # `ipi_spec_dst`, the local address: after a broadcast it differs from the destination.
            return [(level, kind, bytes(4) + data[4:8] + bytes(4))]
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO and data[0] != _IPV6_MULTICAST:
            return [(level, kind, data[:16] + bytes(4))]
    return []


def _has_scope(address: bytes) -> bool:
    is_link_local = int.from_bytes(address[:2], "big") & _IPV6_LINK_LOCAL_MASK == _IPV6_LINK_LOCAL
    return is_link_local or address[0] == _IPV6_MULTICAST
