"""The peers whose PROXY header is trusted."""

from __future__ import annotations

import socket
from typing import cast

import pytest

from reactorhost.address import Endpoint
from reactorhost.reactor import READ
from reactorhost.reactor.steps import NoDataError, ProxyRefusedError
from reactorhost.worker.handshake.trusted_proxies import TrustedProxies, read_header

TRUSTED = TrustedProxies(["10.0.0.0/8", "192.0.2.7/32", "fe80::/10", "2001:db8::/32"])


@pytest.mark.parametrize(
    ("host", "trusted"),
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
def test_a_peer_is_trusted_by_its_network(host: str, trusted: bool) -> None:
    assert TRUSTED.trusts(Endpoint(host, 4711)) is trusted


def test_unix_peers_are_trusted_by_the_word_unix() -> None:
    assert TrustedProxies(["unix"]).trusts(Endpoint("unix", 0))
    assert TrustedProxies(["unix"]).trusts(Endpoint("unix:/run/client", 0))
    assert not TrustedProxies(["unix"]).trusts(Endpoint("10.0.0.7", 1))


class FakeKernel:
    """The kernel's side of a socket."""

    def __init__(self, received: bytes) -> None:
        self.received = received

    def recv(self, size: int, flags: int = 0) -> bytes:
        if not self.received:
            raise BlockingIOError
        data = self.received[:size]
        if flags != socket.MSG_PEEK:
            self.received = self.received[size:]
        return data


@pytest.mark.parametrize(
    ("sent", "error", "reason"),
    [(b"", NoDataError, "nothing in time"), (b"PROXY TCP4", ProxyRefusedError, "PROXY header did not arrive in time")],
)
def test_a_proxy_that_stays_silent_is_not_refused(sent: bytes, error: type[Exception], reason: str) -> None:
    step = read_header(cast("socket.socket", FakeKernel(sent)))
    assert next(step) == READ
    with pytest.raises(error, match=reason):
        step.throw(TimeoutError())
