"""Connecting a UDP socket: the first address with a route is kept, and every other socket is closed."""

from __future__ import annotations

import errno
import socket

import pytest

from reactorhost.worker.outbound.resolver import SocketAddress
from reactorhost.worker.outbound.udp_connect import UdpConnectError, connect_udp

NO_ROUTE = SocketAddress(socket.AF_INET6, ("2001:db8::1", 53, 0, 0))
FORBIDDEN = SocketAddress(socket.AF_INET, ("255.255.255.255", 53))
ITSELF = SocketAddress(socket.AF_INET, ("127.0.0.1", 40_000))
REACHED = SocketAddress(socket.AF_INET, ("192.0.2.1", 53))

ERRORS = {NO_ROUTE.sockaddr: errno.ENETUNREACH, FORBIDDEN.sockaddr: errno.EACCES}


class FakeSocket:
    """A socket whose connect fails as `ERRORS` says, and which gets port 40000."""

    made: list[FakeSocket]

    def __init__(self, family: int, kind: int) -> None:
        assert kind == socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
        self.is_open = True
        self.made.append(self)

    def connect(self, address: object) -> None:
        if address in ERRORS:
            raise OSError(ERRORS[address], "no")

    def getsockname(self) -> object:
        return ITSELF.sockaddr

    def close(self) -> None:
        self.is_open = False


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakeSocket]:
    FakeSocket.made = []
    monkeypatch.setattr(socket, "socket", FakeSocket)
    return FakeSocket.made


def test_the_first_address_with_a_route_is_kept(made: list[FakeSocket]) -> None:
    sock, address = connect_udp([NO_ROUTE, REACHED, ITSELF])
    assert address is REACHED
    assert [each.is_open for each in made] == [False, True]
    assert sock.getsockname() == ITSELF.sockaddr


@pytest.mark.parametrize(
    ("addresses", "reason"),
    [
        ([NO_ROUTE], "network is unreachable"),
        ([NO_ROUTE, FORBIDDEN, NO_ROUTE], "network is unreachable; permission denied"),
        # Nothing listens there, or the kernel could not have chosen the port.
        ([ITSELF], "connection refused"),
    ],
)
def test_without_one_the_reasons_are_named_once(
    made: list[FakeSocket], addresses: list[SocketAddress], reason: str
) -> None:
    with pytest.raises(UdpConnectError, match=f"^{reason}$"):
        connect_udp(addresses)
    assert not any(each.is_open for each in made)
