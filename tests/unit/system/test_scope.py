"""The scope of IPv6 addresses: an address that has one is named with its interface, wherever it is shown."""

from __future__ import annotations

import socket
import struct
from typing import Any

import pytest

from reactorhost.address import parse
from reactorhost.master.listen.slot_socket import Group
from reactorhost.system.scope import host_of
from reactorhost.worker.stream.socket import endpoint
from reactorhost.worker.udp import pktinfo

# The loopback interface, the first one of each network namespace.
LO = 1
NO_INTERFACE = 2**31 - 1


@pytest.mark.parametrize(
    ("sockaddr", "host"),
    [
        (("192.0.2.1", 9), "192.0.2.1"),
        (("2001:db8::1", 9, 0, 0), "2001:db8::1"),
        (("fe80::1", 9, 0, LO), "fe80::1%lo"),
        (("fe80::1%lo", 9, 0, LO), "fe80::1%lo"),
        (("fe80::1", 9, 0, NO_INTERFACE), f"fe80::1%{NO_INTERFACE}"),
    ],
)
def test_the_host_of_a_socket_address_has_the_interface(sockaddr: tuple[Any, ...], host: str) -> None:
    assert host_of(sockaddr) == host


def test_a_peer_is_shown_with_the_interface_and_its_text_can_be_connected_to() -> None:
    peer = endpoint(("fe80::1", 9, 0, LO))
    assert str(peer) == "[fe80::1%lo]:9"
    assert parse(f"tcp://{peer}").host == "fe80::1%lo"


def test_a_listener_is_shown_with_the_interface() -> None:
    assert str(Group("default", "tcp", socket.AF_INET6, ("fe80::1", 9, 0, LO))) == "tcp://[fe80::1%lo]:9"


@pytest.mark.parametrize(
    ("address", "host"), [("fe80::1", "fe80::1%lo"), ("ff02::1", "ff02::1%lo"), ("2001:db8::1", "2001:db8::1")]
)
def test_the_destination_of_a_datagram_has_the_interface_if_it_means_something(address: str, host: str) -> None:
    data = socket.inet_pton(socket.AF_INET6, address) + struct.pack("=I", LO)
    assert pktinfo.destination([(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, data)]) == host
