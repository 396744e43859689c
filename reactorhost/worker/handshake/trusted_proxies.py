"""Trusted proxies, and how their PROXY header is read without a byte of what follows it."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from reactorhost.address import Endpoint
from reactorhost.reactor import READ
from reactorhost.reactor.steps import NoDataError, ProxyRefusedError, Step
from reactorhost.worker.admission.networks import Networks, packed
from reactorhost.worker.handshake.proxy_protocol import ProxyHeader, ProxyHeaderError, ProxyHeaderParser

_PEEK_BYTES = 4096


class TrustedProxies:
    """The networks of the setting `proxy_from`."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._unix = "unix" in networks
        self._networks = Networks(each for each in networks if each != "unix")

    def trusts(self, peer: Endpoint) -> bool:
        """Return whether a peer is in one of the networks."""
        address = packed(peer.host)
        return self._unix if address is None else self._networks.contain(address)


def read_header(sock: socket.SocketType) -> Step[ProxyHeader]:
    """Read a PROXY header.

    Raises:
        ProxyRefusedError: no complete and valid header was received.
        NoDataError: the connection ended, or its time was over, before the first byte.
    """
    parser = ProxyHeaderParser()
    try:
        while parser.header is None:
            try:
                # Peek, then read as much as belongs to the header: what follows is for TLS or the plugin. The header's
                # bytes have to leave the kernel's buffer even while it is incomplete, or epoll would report the socket
                # as readable all the time.
                size = parser.feed(sock.recv(_PEEK_BYTES, socket.MSG_PEEK) or _ended(begun=parser.begun))
                sock.recv(size)
            except BlockingIOError:
                yield READ
    except ProxyHeaderError as error:
        raise ProxyRefusedError(str(error)) from None
    except TimeoutError:
        if not parser.begun:
            raise NoDataError("it sent nothing in time") from None
        raise ProxyRefusedError("its PROXY header did not arrive in time") from None
    except OSError as error:
        if not parser.begun:
            _ended(begun=False)
        raise ProxyRefusedError(f"the connection failed during its PROXY header: {error.strerror}") from None
    return parser.header


def _ended(*, begun: bool) -> bytes:
    if begun:
        raise ProxyRefusedError("it closed the connection during its PROXY header")
    raise NoDataError("it closed the connection before it sent anything")
