"""Sets of IP networks, made for the question whether an address is in one of them.

A network is the first bits of its addresses. So there is one set of numbers for each length of a prefix, and a question
costs one look-up for each length that occurs, however many networks there are.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

_MAPPED = bytes(10) + b"\xff\xff"
_MAPPED_BITS = 96


def packed(host: str) -> bytes | None:
    """Return the bytes of an IP address, 4 or 16; None for the host of a unix socket.

    A dual-stack listener reports an IPv4 client as ::ffff:192.0.2.7: that is the IPv4 address. A scope is left out.
    """
    if host.startswith("unix"):
        return None
    if ":" not in host:
        return socket.inet_pton(socket.AF_INET, host)
    address = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    return address.removeprefix(_MAPPED)


class Networks:
    """IPv4 and IPv6 networks, given as `10.0.0.0/8` or as single addresses."""

    __slots__ = ("_prefixes",)

    def __init__(self, networks: Iterable[str]) -> None:
        found: dict[int, dict[int, set[int]]] = {4: {}, 16: {}}
        for text in networks:
            network = ipaddress.ip_network(text)
            number, length = int(network.network_address), network.prefixlen
            size = network.max_prefixlen // 8
            if size == 16 and length >= _MAPPED_BITS and network.network_address.packed.startswith(_MAPPED):
                size, number, length = 4, number & 0xFFFF_FFFF, length - _MAPPED_BITS
            shift = 8 * size - length
            found[size].setdefault(shift, set()).add(number >> shift)
        # The shortest prefixes first: such a network has most addresses.
        self._prefixes = {size: sorted(sets.items(), reverse=True) for size, sets in found.items()}

    def contain(self, address: bytes) -> bool:
        """Return whether an address is in one of the networks; it is as `packed` returns it."""
        number = int.from_bytes(address)
        return any(number >> shift in prefixes for shift, prefixes in self._prefixes[len(address)])
