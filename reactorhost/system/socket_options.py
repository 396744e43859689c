"""The options of TCP sockets: set on listeners, whose accepted sockets inherit them, and on outbound sockets."""

from __future__ import annotations

import socket

_LONGEST_KEEPALIVE_SECONDS = 32767
_KEEPALIVE_PROBES = 4


def set_stream_options(sock: socket.socket, peer_timeout: float | None) -> None:
    """Disable Nagle's algorithm and detect dead peers; a unix socket is left as it is.

    `peer_timeout` is the number of seconds without any packet from the other machine after which a connection is
    broken; None leaves it to the kernel's defaults.

    Raises:
        OSError: the kernel refuses an option.
    """
    if sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if peer_timeout is None:
        return
    # The kernel sends probes and breaks the connection when nothing was received. TCP_USER_TIMEOUT also limits the wait
    # for an acknowledgement, and overrides the number of probes: tcp(7), net/ipv4/tcp_timer.c.
    idle = min(max(1, int(peer_timeout / 2)), _LONGEST_KEEPALIVE_SECONDS)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, int(peer_timeout / 8)))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_PROBES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, int(peer_timeout * 1000)))
