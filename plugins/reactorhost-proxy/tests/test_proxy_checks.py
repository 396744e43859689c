"""When a server is down, and what a check looks at."""

from __future__ import annotations

import logging

import pytest

from proxy_benches import A, B, Bench, addresses, advance_until, serving
from reactorhost import CloseReason


def test_a_server_that_fails_for_clients_is_down_until_checks_succeed(
    plugin_bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    bench = serving(plugin_bench, A, B, health="passive", fall=2, rise=2, health_interval=10.0)
    bench.refuse(A)
    for _ in range(4):
        bench.connect()
    assert bench.stats()["connect_failed"] == 2, "it is not chosen any more"
    assert 'server_down pool=default server=tcp://a:1 reason="connection refused"' in caplog.text
    assert bench.stats()["default.down"] == 1
    bench.advance(30)
    assert bench.stats()["default.down"] == 1
    bench.accept(A)
    count = len(bench.outbound)
    advance_until(bench, lambda: len(bench.outbound) == count + 1)
    assert bench.stats()["default.down"] == 1, "one check is not enough"
    advance_until(bench, lambda: len(bench.outbound) == count + 2)
    assert "server_up pool=default server=tcp://a:1" in caplog.text
    assert bench.stats()["default.down"] == 0
    bench.advance(6)
    checked = bench.outbound[count:]
    assert [each.closed for each in checked] == [CloseReason.IDLE] * 2
    bench.advance(60)
    assert len(bench.outbound) == count + 2, "a server that is up is not checked"
    bench.connect()
    assert addresses(bench)[-1] == A


def test_a_client_that_is_connected_ends_a_row_of_failures(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A, health="passive", fall=2, retries=0)
    for accepts in (False, True, False):
        (bench.accept if accepts else bench.refuse)(A)
        bench.connect()
    assert (bench.stats()["connect_failed"], bench.stats()["default.down"]) == (2, 0)
    bench.connect()
    assert bench.stats()["default.down"] == 1


def test_active_checks_find_a_server_that_is_down_before_a_client_does(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A, B, health="active", fall=3, health_interval=2.0)
    bench.refuse(A)
    bench.advance(9.0)
    assert bench.stats()["default.down"] == 1
    bench.connect()
    assert bench.stats()["connect_failed"] == 0


@pytest.mark.parametrize("health", ["passive", "active"])
def test_a_want_of_descriptors_is_not_the_fault_of_a_server(plugin_bench: Bench, health: str) -> None:
    bench = serving(plugin_bench, A, health=health, fall=1, retries=0)
    bench.refuse(A, "too many open files")
    bench.connect()
    bench.advance(10.0)
    assert (bench.stats()["connect_failed"], bench.stats()["default.down"]) == (1, 0)


def test_any_number_of_pools_is_served_although_the_metrics_are_limited(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A, pools={f"pool{number}": {"servers": [B]} for number in range(40)})
    bench.connect()
    assert bench.stats()["default.active"] == 1
    assert len(bench.stats()) <= 50


def test_without_checks_a_server_stays_up(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A, health="off", fall=1, retries=0)
    bench.refuse(A)
    for _ in range(3):
        assert bench.connect().closed is CloseReason.LOCAL
    assert (bench.stats()["default.down"], bench.stats()["connect_failed"]) == (0, 3)


def test_clients_are_closed_at_once_while_every_server_is_down(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A, health="passive", fall=1, retries=0)
    bench.refuse(A)
    bench.connect()
    client = bench.connect()
    assert client.closed is CloseReason.LOCAL
    assert (bench.stats()["no_server"], bench.stats()["connect_failed"]) == (2, 1)


@pytest.mark.parametrize(
    ("pieces", "down"),
    [
        ([b"HTTP/1.1 20", b"0 OK\r\n"], 0),
        ([b"HTTP/1.1 503 Busy\r\n", None], 1),
        ([None], 1),
        ([], 1),
        ([b"x" * 20_000], 1),
    ],
)
def test_the_answer_to_a_check_is_looked_at(plugin_bench: Bench, pieces: list[bytes | None], down: int) -> None:
    bench = serving(
        plugin_bench,
        A,
        health="active",
        fall=1,
        health_interval=10.0,
        health_timeout=3.0,
        health_send="GET / HTTP/1.0\r\n\r\n",
        health_expect=" 200 ",
    )
    advance_until(bench, lambda: bool(bench.outbound))
    server = bench.outbound[0]
    assert server.received == b"GET / HTTP/1.0\r\n\r\n"
    for piece in pieces:
        if piece is None:
            server.end()
        else:
            server.send(piece)
    # Only silence takes until the deadline.
    assert bench.stats()["default.down"] == (down if pieces else 0)
    bench.advance(3.0)
    assert bench.stats()["default.down"] == down
    bench.advance(6.0)
    assert server.closed is not None


def test_a_check_does_not_receive_all_that_a_server_sends(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A, health="active")
    advance_until(bench, lambda: bool(bench.outbound))
    server = bench.outbound[0]
    assert server.eof
    for _ in range(17):
        assert server.closed is None
        server.send(b"y" * 256 * 1024)
    assert server.closed is CloseReason.LOCAL
    assert bench.stats()["default.down"] == 0


def test_a_check_sends_a_header_that_is_for_no_client(plugin_bench: Bench) -> None:
    bench = serving(plugin_bench, A, health="active", send_proxy="v1")
    bench.advance(2.0)
    assert bench.outbound[0].received == b"PROXY UNKNOWN\r\n"
