"""The PROXY header that a server is sent, before everything and before TLS."""

from __future__ import annotations

import select
from collections.abc import Iterator
from typing import Any

import pytest

from proxy_benches import NAMED, A, Bench, addresses, routed, serving
from reactorhost import CloseReason
from reactorhost.testing.fake_tls import FakeTlsRole
from reactorhost.testing.fakes import FakeSocket


def test_the_header_comes_before_everything(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A, send_proxy="v1")
    client = bench.connect(("10.1.2.3", 4000))
    client.send(b"hello")
    assert bench.outbound[0].received.startswith(b"PROXY TCP4 10.1.2.3 ")
    assert bench.outbound[0].received.endswith(b"\r\nhello")


def test_the_header_has_the_server_name_that_was_read(plugin_bench: Bench) -> None:
    bench = routed(plugin_bench, send_proxy="v2")
    bench.connect().send(NAMED)
    received = bench.outbound[0].received
    assert received.endswith(b"\x02\0\x0fapi.example.com" + NAMED)


def test_with_tls_the_header_comes_before_the_handshake(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, "tls://a:1", send_proxy="v1")
    client = bench.connect(("10.1.2.3", 4000))
    client.send(b"hello")
    (server,) = bench.outbound
    header, _, rest = server.received.partition(b"\r\n")
    assert (header.split()[2], rest) == (b"10.1.2.3", b"hello")
    assert server.connection.tls is not None
    # The deadline of the handshake is over.
    bench.advance(60.0)
    assert (client.closed, server.closed) == (None, None)


def test_a_server_whose_handshake_fails_behind_the_header_is_replaced(
    plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrap = FakeTlsRole.wrap

    def refusing(self: FakeTlsRole, reactor: Any, sock: Any, *rest: Any) -> Any:
        sock.tls_refusal = "its certificate has expired" if self.host == "a" else None
        return wrap(self, reactor, sock, *rest)

    monkeypatch.setattr(FakeTlsRole, "wrap", refusing)
    bench = serving(plugin_bench, "tls://a:1", "tls://b:1", send_proxy="v2")
    client = bench.connect()
    client.send(b"hello")
    assert addresses(bench) == ["tcp://a:1", "tcp://b:1"]
    assert bench.outbound[1].received.endswith(b"hello")
    assert bench.stats()["connect_failed"] == 1


@pytest.fixture
def silent_handshakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let servers answer no ClientHello behind a PROXY header."""

    def handshake(self: FakeSocket, on_failed: object, *, lingers: bool = True) -> Iterator[int]:
        while True:
            yield select.EPOLLIN

    monkeypatch.setattr(FakeSocket, "handshake", handshake)


@pytest.mark.usefixtures("silent_handshakes")
def test_a_server_that_does_not_answer_behind_the_header_is_replaced(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, "tls://a:1", "tls://b:1", send_proxy="v2", connect_timeout=3.0, retries=1)
    client = bench.connect()
    bench.advance(2.9)
    assert addresses(bench) == ["tcp://a:1"]
    bench.advance(0.2)
    assert addresses(bench) == ["tcp://a:1", "tcp://b:1"]
    assert bench.outbound[0].closed is not None
    bench.advance(3.1)
    assert client.closed is CloseReason.LOCAL
    assert bench.stats()["default.active"] == 0


@pytest.mark.usefixtures("silent_handshakes")
def test_a_client_that_leaves_during_the_handshake_of_its_server_ends_it(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, "tls://a:1", "tls://b:1", send_proxy="v2")
    client = bench.connect()
    client.connection.abort()
    bench.settle()
    assert len(bench.outbound) == 1
    assert bench.outbound[0].closed is not None
    assert bench.stats()["default.active"] == 0


@pytest.mark.usefixtures("silent_handshakes")
def test_a_check_whose_handshake_is_not_answered_fails(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, "tls://a:1", health="active", send_proxy="v2", fall=1, health_timeout=1.0)
    bench.advance(3.5)
    assert bench.stats()["default.down"] == 1
    assert bench.outbound[0].closed is not None
