"""Whether an address is in a set of networks."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, strategies

from reactorhost.worker.admission.networks import Networks, packed


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.0.2.7", bytes([192, 0, 2, 7])),
        ("::ffff:192.0.2.7", bytes([192, 0, 2, 7])),
        ("2001:db8::1", ipaddress.ip_address("2001:db8::1").packed),
        ("fe80::1%eth0", ipaddress.ip_address("fe80::1").packed),
        ("unix", None),
        ("unix:/run/a:b", None),
    ],
)
def test_the_bytes_of_an_address(host: str, expected: bytes | None) -> None:
    assert packed(host) == expected


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
        ("::/0", "2001:db8::1", "203.0.113.9"),
        ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
        ("192.0.2.7/32", "192.0.2.7", "192.0.2.8"),
        ("2001:db8::/32", "2001:db8:ffff::", "2001:db9::"),
        ("::1/128", "::1", "::2"),
        # A network of mapped addresses is one of IPv4 addresses, as its clients are.
        ("::ffff:10.0.0.0/104", "10.1.2.3", "11.1.2.3"),
        ("::ffff:0:0/96", "203.0.113.9", "2001:db8::1"),
        ("::/95", "::1", "203.0.113.9"),
    ],
)
def test_an_address_is_in_a_network(network: str, inside: str, outside: str) -> None:
    networks = Networks([network])
    found = [networks.contain(address) for host in (inside, outside) if (address := packed(host))]
    assert found == [True, False]


def test_an_empty_set_contains_nothing() -> None:
    assert not Networks([]).contain(bytes(4))


def _networks(bits: int) -> strategies.SearchStrategy[tuple[int, int]]:
    return strategies.tuples(strategies.integers(0, 2**bits - 1), strategies.integers(0, bits))


@given(
    four=strategies.lists(_networks(32), max_size=8),
    six=strategies.lists(_networks(128), max_size=8),
    address=strategies.ip_addresses(),
)
def test_it_answers_as_the_standard_library_does(
    four: list[tuple[int, int]], six: list[tuple[int, int]], address: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> None:
    made: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
    made += [ipaddress.IPv4Network((number, length), strict=False) for number, length in four]
    made += [ipaddress.IPv6Network((number, length), strict=False) for number, length in six]
    host = packed(str(address))
    assert host is not None
    plain = ipaddress.ip_address(host)
    assert Networks(map(str, made)).contain(host) is any(plain in network for network in made)
