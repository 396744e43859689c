"""Proxies: whose PROXY header is believed, and how one is read off a socket without a byte of what follows."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

from reactorhost.address import Endpoint
from reactorhost.reactor import READ
from reactorhost.reactor.steps import ClosedBeforeDataError, ProxyRefusedError, Step
from reactorhost.worker.handshake.proxy_protocol import ProxyHeader, ProxyHeaderError, ProxyHeaderParser

_PEEK = 4096


class TrustedProxies:
    """The networks that proxies are in, as in `proxy_from`."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._unix = "unix" in networks
        self._networks = [ipaddress.ip_network(each) for each in networks if each != "unix"]

    def lists(self, peer: Endpoint) -> bool:
        """Say whether a peer is one of them."""
        if peer.host.startswith("unix"):
            return self._unix
        address = ipaddress.ip_address(peer.host)
        if isinstance(address, ipaddress.IPv6Address):
            address = address.ipv4_mapped or address
        return any(address in network for network in self._networks)


def read_header(sock: socket.SocketType) -> Step[ProxyHeader]:
    """Read a PROXY header.

    Raises:
        ProxyRefusedError: it did not come, or is none.
    """
    parser = ProxyHeaderParser()
    try:
        while parser.header is None:
            try:
                # What is looked at is taken in the same turn as far as it is header, so that nobody is woken twice.
                taken = parser.feed(sock.recv(_PEEK, socket.MSG_PEEK) or _end(begun=parser.begun))
                sock.recv(taken)
            except BlockingIOError:
                yield READ
    except ProxyHeaderError as error:
        raise ProxyRefusedError(str(error)) from None
    except TimeoutError:
        raise ProxyRefusedError("its PROXY header did not come in time") from None
    except OSError as error:
        if not parser.begun:
            _end(begun=False)
        raise ProxyRefusedError(f"its connection broke in the PROXY header: {error.strerror}") from None
    return parser.header


def _end(*, begun: bool) -> bytes:
    if begun:
        raise ProxyRefusedError("it ended the connection in its PROXY header")
    raise ClosedBeforeDataError("it ended before it sent anything")
