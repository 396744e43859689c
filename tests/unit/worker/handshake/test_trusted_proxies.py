"""Whose PROXY header is believed."""

from __future__ import annotations

import pytest

from reactorhost.address import Endpoint
from reactorhost.worker.handshake.trusted_proxies import TrustedProxies

LISTED = TrustedProxies(["10.0.0.0/8", "192.0.2.7/32", "fe80::/10", "2001:db8::/32"])


@pytest.mark.parametrize(
    ("host", "listed"),
    [
        ("10.255.0.1", True),
        ("11.0.0.1", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("::ffff:10.0.0.7", True),
        ("::ffff:11.0.0.7", False),
        ("2001:db8::7", True),
        ("fe80::7%eth0", True),
        ("::1", False),
        ("unix", False),
        ("unix:/run/client", False),
    ],
)
def test_a_peer_is_listed_by_its_network(host: str, listed: bool) -> None:
    assert LISTED.lists(Endpoint(host, 4711)) is listed


def test_who_comes_over_a_unix_socket_is_listed_by_that_word() -> None:
    assert TrustedProxies(["unix"]).lists(Endpoint("unix", 0))
    assert TrustedProxies(["unix"]).lists(Endpoint("unix:/run/client", 0))
    assert not TrustedProxies(["unix"]).lists(Endpoint("10.0.0.7", 1))
