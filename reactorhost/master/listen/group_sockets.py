"""Make the sockets of an internet address: those of slot 0, which create its groups, and those of other slots."""

from __future__ import annotations

import socket
from collections.abc import Collection

from reactorhost.address import Address
from reactorhost.config.service import Service
from reactorhost.config.settings import Settings
from reactorhost.errors import ReactorhostError
from reactorhost.master.listen import bind
from reactorhost.master.listen.slot_socket import Group, SlotSocket

_PORT_TRIES = 16


def bind_first(service: Service, address: Address, served: Collection[int], settings: Settings) -> list[SlotSocket]:
    """Return the sockets of slot 0 for an address, each in a group of its own: one for each family not in `served`.

    Raises:
        ReactorhostError: the address is in use, unknown, or not permitted for this user.
    """
    port, tries = address.port, _PORT_TRIES
    while True:
        bound: list[SlotSocket] = []
        try:
            for family, sockaddr in bind.resolve(address, without=served):
                wanted = (sockaddr[0], port, *sockaddr[2:])
                if port:
                    bind.probe(family, wanted, address)
                scheme = "tls" if service.speaks_tls(address) else address.scheme
                group = Group(service.name, scheme, family, wanted)
                try:
                    each = SlotSocket(0, group, unopened(group, settings))
                    bound.append(each)
                    if scheme == "udp":
                        each.open(settings.backlog)
                except OSError as error:
                    raise bind.bind_error(address, error) from None
                # With port 0 the kernel chose one, which the other family and the other slots have to share.
                name = each.socket.getsockname()
                group.sockaddr, port = name, name[1]
        except ReactorhostError:
            for each in bound:
                each.socket.close()
            # Port 0: the port that the kernel chose for IPv4 may be taken on IPv6. Let it choose another one.
            tries -= 1
            if address.port == 0 and port and tries:
                port = 0
                continue
            raise
        return bound


def unopened(group: Group, settings: Settings) -> socket.socket:
    """Return a socket of a group that no client reaches yet.

    Raises:
        OSError: the system has no room for it, or the address was removed from this machine.
    """
    assert not isinstance(group.sockaddr, str), "slots share it"
    if group.scheme == "udp":
        return bind.udp_socket(group.family, group.sockaddr)
    return bind.tcp_socket(group.family, group.sockaddr, settings.peer_timeout)
