"""The address that a datagram was sent to: told by the kernel with each one, and told to it with each answer.

Sockets that are bound to every address need it, so that an answer comes from the address that was asked. Sources:
IP_PKTINFO in ip(7), IPV6_PKTINFO in ipv6(7).
"""

from __future__ import annotations

import socket
from typing import Protocol

# Not in the socket module before Python 3.14.
_IP_PKTINFO = 8
_IPV6_MULTICAST = 0xFF

Control = list[tuple[int, int, bytes]]
"""What goes with a datagram besides its bytes: level, type and data, as `socket.sendmsg` takes it."""


class Options(Protocol):
    """What has to be known of a socket."""

    @property
    def family(self) -> int: ...
    def getsockopt(self, level: int, option: int, /) -> int: ...


def is_told(sock: Options) -> bool:
    """Tell whether the master asked for it, as it does for sockets that are bound to every address."""
    if sock.family == socket.AF_INET6:
        return bool(sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO))
    return bool(sock.getsockopt(socket.IPPROTO_IP, _IP_PKTINFO))


def of(control: Control) -> str | None:
    """Return the address, or None when the kernel did not tell."""
    for level, kind, data in control:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            return socket.inet_ntop(socket.AF_INET, data[8:12])
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            return socket.inet_ntop(socket.AF_INET6, data[:16])
    return None


def answering(control: Control) -> Control:
    """Return what makes an answer come from the address that was asked, by whatever interface leads there."""
    for level, kind, data in control:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            # Our own address, which differs from the one that was asked when that was a broadcast.
            return [(level, kind, bytes(4) + data[4:8] + bytes(4))]
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO and data[0] != _IPV6_MULTICAST:
            return [(level, kind, data[:16] + bytes(4))]
    return []
