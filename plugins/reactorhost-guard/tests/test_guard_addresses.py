"""Addresses as numbers, and values found by the network of an address."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost_guard import notation
from reactorhost_guard.addresses import Address, NetworkMap, Prefixes, address_of

NETWORKS = st.one_of(
    st.builds(
        lambda number, length: ipaddress.ip_network((number, length), strict=False),
        st.integers(0, 2**32 - 1),
        st.integers(0, 32),
    ),
    st.builds(
        lambda number, length: ipaddress.IPv6Network((number, length), strict=False),
        st.integers(0, 2**128 - 1),
        st.integers(0, 128),
    ),
)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("1.2.3.4", Address(32, 0x01020304)),
        ("::ffff:1.2.3.4", Address(32, 0x01020304)),
        ("::1", Address(128, 1)),
        ("fe80::1%eth0", Address(128, 0xFE80 << 112 | 1)),
        ("unix", None),
        ("unix:@name", None),
    ],
)
def test_an_address_is_a_number_of_32_or_128_bits(host: str, address: Address | None) -> None:
    assert address_of(host) == address


def test_a_client_is_an_ipv4_address_or_the_first_bits_of_an_ipv6_address() -> None:
    prefixes = Prefixes(32, 64)
    first, same, other = map(address_of, ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"))
    assert first
    assert same
    assert other
    assert prefixes.key(first) == prefixes.key(same) != prefixes.key(other)
    assert str(prefixes.network(first)) == "2001:db8::/64"
    four = address_of("1.2.3.4")
    assert four
    assert str(prefixes.network(four)) == "1.2.3.4/32"


def test_the_keys_of_both_kinds_of_addresses_differ() -> None:
    assert Prefixes(32, 128).key(Address(32, 1)) != Prefixes(32, 128).key(Address(128, 1))


def test_only_a_network_of_exactly_the_length_of_a_client_is_one() -> None:
    prefixes = Prefixes(32, 64)
    assert prefixes.exactly(notation.network("1.2.3.4")) == Address(32, 0x01020304)
    assert prefixes.exactly(notation.network("2001:db8::/64")) == Address(128, 0x20010DB8 << 96)
    assert prefixes.exactly(notation.network("1.2.3.0/24")) is None
    assert prefixes.exactly(notation.network("2001:db8::1")) is None


@given(st.dictionaries(NETWORKS, st.integers(), max_size=20), st.data())
def test_an_address_finds_the_values_of_all_networks_that_contain_it(
    values: dict[notation.Network, int], data: st.DataObject
) -> None:
    found: NetworkMap[int] = NetworkMap()
    for network, value in values.items():
        found[network] = value
    removed = data.draw(st.sets(st.sampled_from(list(values)))) if values else set()
    for network in removed:
        found.pop(network)
    kept = {network: value for network, value in values.items() if network not in removed}
    inside = [network[data.draw(st.integers(0, network.num_addresses - 1))] for network in values]
    for each in [*inside, ipaddress.ip_address("1.2.3.4"), ipaddress.ip_address("::5")]:
        address = Address(each.max_prefixlen, int(each))
        expected = sorted(value for network, value in kept.items() if each in network)
        assert sorted(found.matches(address)) == expected
        assert found.contains(address) is bool(expected)
