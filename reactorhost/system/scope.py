"""The scope of IPv6 addresses: a link-local address is complete only with the name of its interface."""

from __future__ import annotations

import socket
from typing import Any


def host_of(sockaddr: tuple[Any, ...]) -> str:
    """Return the host of an internet socket address, as `fe80::1%eth0` if the kernel has given it a scope."""
    host: str = sockaddr[0]
    # Host, port, flow and scope: Python puts the scope into a number of its own, and accepts it in the host only.
    if len(sockaddr) != 4 or not sockaddr[3] or "%" in host:
        return host
    try:
        return f"{host}%{socket.if_indextoname(sockaddr[3])}"
    except OSError:
        # The interface has been removed.
        return f"{host}%{sockaddr[3]}"
