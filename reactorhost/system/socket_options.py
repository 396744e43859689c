"""The options of TCP sockets: the same where listeners pass them on to what they accept, and where we connect."""

from __future__ import annotations

import socket

_LONGEST_KEEPALIVE_SECONDS = 32767
_KEEPALIVE_PROBES = 4


def set_stream_options(sock: socket.socket, peer_timeout: float | None) -> None:
    """Send small messages at once, and find dead peers; nothing on a unix socket.

    `peer_timeout` is how long the other machine may give no sign of life, in seconds; None: as long as the kernel has
    patience.

    Raises:
        OSError: the kernel does not take an option.
    """
    if sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if peer_timeout is not None:
        _find_dead_peers(sock, peer_timeout)


def _find_dead_peers(sock: socket.socket, seconds: float) -> None:
    """Let the kernel ask a silent machine, and give it up when nothing came from there for so long.

    TCP_USER_TIMEOUT also ends the wait for an acknowledgement, and takes the place of the number of probes: tcp(7),
    net/ipv4/tcp_timer.c.
    """
    idle = min(max(1, int(seconds / 2)), _LONGEST_KEEPALIVE_SECONDS)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, int(seconds / 8)))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_PROBES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, int(seconds * 1000)))
