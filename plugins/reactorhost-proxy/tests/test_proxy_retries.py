"""Which server a client gets, and what happens when it cannot be connected to."""

from __future__ import annotations

import pytest

from proxy_benches import A, B, Bench, addresses, serving
from reactorhost import CloseReason


def test_another_server_is_tried_after_a_failure(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A, B)
    bench.refuse(A)
    client = bench.connect()
    client.send(b"hello")
    assert addresses(bench) == [B]
    assert bench.outbound[0].received == b"hello"
    stats = bench.stats()
    assert (stats["retries"], stats["connect_failed"], stats["default.active"]) == (1, 1, 1)


def test_nothing_is_read_before_a_server_is_connected(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A)
    bench.refuse(A)
    client = bench.connect()
    client.send(b"early")
    assert client.connection.bytes_in == 0
    bench.accept(A)
    bench.advance(1.0)
    assert bench.outbound[0].received == b"early"


def test_a_single_server_is_tried_again_after_a_second(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A, retries=2)
    bench.refuse(A)
    client = bench.connect()
    assert bench.stats()["connect_failed"] == 1
    bench.advance(0.9)
    assert bench.stats()["connect_failed"] == 1
    bench.advance(1.2)
    assert bench.stats()["connect_failed"] == 3
    assert client.closed is CloseReason.LOCAL
    assert (bench.stats()["no_server"], bench.stats()["default.active"]) == (1, 0)


def test_failures_of_a_server_are_logged_once_a_minute(plugin_bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench = serving(plugin_bench, A, B)
    bench.refuse(A)
    bench.connect()
    bench.advance(59.0)
    bench.connect()
    line = 'connect_failed pool=default server=tcp://a:1 reason="connection refused"'
    assert caplog.text.count(line) == 1
    bench.advance(2.0)
    bench.connect()
    bench.connect()
    assert caplog.text.count(line) == 2


def test_a_server_that_was_sent_something_is_not_replaced(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A, B)
    client = bench.connect()
    client.send(b"hello")
    bench.outbound[0].reset()
    assert len(bench.outbound) == 1
    assert client.closed is not None


def test_a_client_that_leaves_while_it_waits_is_forgotten(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A)
    bench.refuse(A)
    client = bench.connect()
    client.connection.abort()
    bench.accept(A)
    bench.advance(5.0)
    assert bench.outbound == []
    assert bench.stats()["default.active"] == 0


def test_a_server_is_left_when_its_client_has_ended(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A)
    clients = [bench.connect() for _ in range(3)]
    assert bench.stats()["default.active"] == 3
    clients[0].reset()
    bench.outbound[0].end()
    bench.outbound[1].reset()
    assert bench.stats()["default.active"] == 1


def test_a_client_of_one_address_has_one_server_with_a_hash(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A, B, balance="hash")
    for host in [f"10.0.0.{n % 10}" for n in range(40)]:
        bench.connect((host, 1000))
    by_host: dict[int, set[str]] = {}
    for number, address in enumerate(addresses(bench)):
        by_host.setdefault(number % 10, set()).add(address)
    assert all(len(each) == 1 for each in by_host.values())
    assert set(addresses(bench)) == {A, B}


def test_a_datagram_is_ignored(plugin_bench: Bench) -> None:
    assert serving(plugin_bench, A).datagram(b"hello") == []
