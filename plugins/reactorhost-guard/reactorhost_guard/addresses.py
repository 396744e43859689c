"""Addresses as numbers, and what is known of networks, found by address.

An IPv4 address is a number of 32 bits, an IPv6 address one of 128. A network is the first bits of its addresses.
Nothing here makes a system call.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

from reactorhost_guard.notation import Network

_MAPPED = bytes(10) + b"\xff\xff"
_IPV4_BITS = 32
_IPV6_BITS = 128

T = TypeVar("T")


class Address(NamedTuple):
    """An IP address: 32 or 128 `bits`, and the number that they are."""

    bits: int
    number: int


def address_of(host: str) -> Address | None:
    """Return the address of `connection.peer.host`, or None for a client of a unix socket.

    A dual-stack listener reports an IPv4 client as ::ffff:192.0.2.7: that is the IPv4 address. A scope is left out.
    """
    if host.startswith("unix"):
        return None
    if ":" not in host:
        return Address(_IPV4_BITS, int.from_bytes(socket.inet_pton(socket.AF_INET, host)))
    packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    if packed.startswith(_MAPPED):
        return Address(_IPV4_BITS, int.from_bytes(packed[12:]))
    return Address(_IPV6_BITS, int.from_bytes(packed))


class Prefixes(NamedTuple):
    """How many of the first bits of an address count: `ipv4` of 32, `ipv6` of 128."""

    ipv4: int
    ipv6: int

    def key(self, address: Address) -> int:
        """Return a number for the network of an address; that of an IPv6 network is above all of IPv4."""
        if address.bits == _IPV4_BITS:
            return address.number >> (_IPV4_BITS - self.ipv4)
        return 1 << _IPV6_BITS | address.number >> (_IPV6_BITS - self.ipv6)

    def network(self, address: Address) -> Network:
        """Return the network of an address."""
        length = self.ipv4 if address.bits == _IPV4_BITS else self.ipv6
        kept = address.number >> (address.bits - length) << (address.bits - length)
        kind = ipaddress.IPv4Network if address.bits == _IPV4_BITS else ipaddress.IPv6Network
        return kind((kept, length))

    def exactly(self, network: Network) -> Address | None:
        """Return the first address of a network that has exactly this length, or None for another length."""
        bits = network.max_prefixlen
        length = self.ipv4 if bits == _IPV4_BITS else self.ipv6
        return Address(bits, int(network.network_address)) if network.prefixlen == length else None


class NetworkMap(Generic[T]):
    """A value for each network, found by an address with one look-up for each length of a prefix that occurs."""

    def __init__(self) -> None:
        self._found: dict[int, dict[int, dict[int, T]]] = {_IPV4_BITS: {}, _IPV6_BITS: {}}

    def __setitem__(self, network: Network, value: T) -> None:
        bits = network.max_prefixlen
        shift = bits - network.prefixlen
        self._found[bits].setdefault(shift, {})[int(network.network_address) >> shift] = value

    def get(self, network: Network) -> T | None:
        """Return the value of exactly this network."""
        bits = network.max_prefixlen
        shift = bits - network.prefixlen
        return self._found[bits].get(shift, {}).get(int(network.network_address) >> shift)

    def pop(self, network: Network) -> None:
        """Remove a network, if it is there."""
        bits = network.max_prefixlen
        shift = bits - network.prefixlen
        values = self._found[bits].get(shift, {})
        values.pop(int(network.network_address) >> shift, None)
        if not values:
            self._found[bits].pop(shift, None)

    def matches(self, address: Address) -> Iterator[T]:
        """Yield the value of each network that contains the address."""
        for shift, values in self._found[address.bits].items():
            value = values.get(address.number >> shift)
            if value is not None:
                yield value

    def contains(self, address: Address) -> bool:
        """Return whether the address is in a network."""
        return any(True for _ in self.matches(address))
