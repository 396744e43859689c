"""Connect a UDP socket: it gets a port and a peer, and nothing is sent."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence

from reactorhost.worker.outbound.resolver import SocketAddress


class UdpConnectError(Exception):
    """No address of the peer can be used; the text has the reasons."""


def connect_udp(addresses: Sequence[SocketAddress]) -> tuple[socket.socket, SocketAddress]:
    """Return a socket connected to the first address that this machine has a route to, and that address.

    Raises:
        UdpConnectError: there is none.
    """
    # A dict for its order and unique keys, as in `HappyEyeballs`.
    reasons: dict[str, None] = {}
    for address in addresses:
        try:
            return _connected(address), address
        except OSError as error:
            reasons[os.strerror(error.errno or errno.EINVAL).lower()] = None
    raise UdpConnectError("; ".join(reasons))


def _connected(address: SocketAddress) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        sock.connect(address.sockaddr)
        if sock.getsockname() == address.sockaddr:
            # The kernel may choose an unused port of this machine as the source, also the one that is connected to.
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
    except OSError:
        sock.close()
        raise
    return sock
