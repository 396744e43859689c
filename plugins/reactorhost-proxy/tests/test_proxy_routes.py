"""Which pool a client gets, by service and by server name."""

from __future__ import annotations

import pytest

from client_hellos import hello_of
from proxy_benches import NAMED, NAMES, Bench, addresses, routed
from reactorhost import CloseReason, ProxyFacts, SetupError, TlsFacts


@pytest.mark.parametrize(("at", "name", "host"), [(1, "Api.example.com", "api"), (200, "www.Example.com", "web")])
def test_the_server_name_leads_to_a_pool(plugin_bench: Bench, at: int, name: str, host: str) -> None:
    bench = routed(plugin_bench)
    hello = hello_of(name)
    client = bench.connect()
    client.send(hello[:at])
    assert bench.outbound == []
    client.send(hello[at:])
    assert addresses(bench) == [f"tcp://{host}:1"]
    client.send(b"more")
    assert bench.outbound[0].received == hello + b"more"


@pytest.mark.parametrize(
    ("opening", "received"),
    [
        (hello_of("example.org"), b"\x15\x03\x03\0\x02\x02\x70"),
        (hello_of(None), b"\x15\x03\x03\0\x02\x02\x70"),
        (b"GET /", b""),
    ],
)
def test_a_client_without_a_route_is_refused(plugin_bench: Bench, opening: bytes, received: bytes) -> None:
    bench = routed(plugin_bench)
    client = bench.connect()
    client.send(opening)
    assert (client.received, client.closed) == (received, CloseReason.LOCAL)
    assert bench.stats()["no_route"] == 1


@pytest.mark.parametrize("opening", [hello_of("example.org"), hello_of(None), b"GET /"])
def test_a_star_is_for_all_others(plugin_bench: Bench, opening: bytes) -> None:
    bench = routed(plugin_bench, {**NAMES, "*": "web"})
    bench.connect().send(opening)
    assert addresses(bench) == ["tcp://web:1"]
    assert bench.outbound[0].received == opening


def test_a_client_that_sends_no_name_in_time_is_closed(plugin_bench: Bench) -> None:
    bench = routed(plugin_bench)
    late, other = bench.connect(), bench.connect()
    late.send(NAMED[:50])
    other.send(NAMED)
    bench.advance(4.9)
    assert (late.closed, other.closed) == (None, None)
    bench.advance(0.2)
    assert (late.closed, other.closed) == (CloseReason.LOCAL, None)


def test_a_client_that_ends_within_its_hello_is_closed(plugin_bench: Bench) -> None:
    client = routed(plugin_bench).connect()
    client.send(NAMED[:50])
    client.end()
    assert client.closed is CloseReason.PEER


def test_the_name_of_a_session_that_the_host_has_decrypted_leads_too(plugin_bench: Bench) -> None:
    bench = routed(plugin_bench)
    bench.connect(tls=TlsFacts("TLSv1.3", "AES", server_name="www.example.com"))
    assert addresses(bench) == ["tcp://web:1"]


def test_the_name_that_an_earlier_proxy_says_leads_too(plugin_bench: Bench) -> None:
    bench = routed(plugin_bench)
    bench.connect(proxy=ProxyFacts(authority="API.example.com"))
    assert addresses(bench) == ["tcp://api:1"]


def test_a_service_without_servers_is_reported_at_the_start(plugin_bench: Bench) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        plugin_bench("proxy")
    assert caught.group_contains(SetupError, match="service 'default' has no servers")
