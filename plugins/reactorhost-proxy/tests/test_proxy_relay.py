"""A relay on the bench: every byte in its order, both ends, and bounded memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reactorhost import CloseReason, Connection, hookimpl
from reactorhost.testing import BenchClient, PluginBench

Bench = Callable[..., PluginBench]
Sides = tuple[PluginBench, BenchClient, BenchClient]
KIB = 1024
OPTIONS = {"proxy": {"servers": ["tcp://server:1"], "health": "off"}}


def is_open(client: BenchClient) -> bool:
    return client.closed is None


def in_order(sides: Sides, first: str) -> tuple[BenchClient, BenchClient]:
    _, client, server = sides
    return (client, server) if first == "client" else (server, client)


@pytest.fixture
def sides(plugin_bench: Bench) -> Sides:
    bench = plugin_bench("proxy", options=OPTIONS)
    client = bench.connect()
    return bench, client, bench.outbound[0]


def test_bytes_pass_both_ways(sides: Sides) -> None:
    _, client, server = sides
    client.send(b"question")
    server.send(b"answer")
    assert (server.received, client.received) == (b"question", b"answer")


def test_a_framing_of_the_service_changes_nothing(plugin_bench: Bench) -> None:
    bench = plugin_bench("proxy", options=OPTIONS, framing="lines")
    bench.connect().send(b"one\ntwo")
    assert bench.outbound[0].received == b"one\ntwo"


@pytest.mark.parametrize("ends_first", ["client", "server"])
def test_either_side_may_end_its_half_first(sides: Sides, ends_first: str) -> None:
    first, second = in_order(sides, ends_first)
    first.send(b"question")
    first.end()
    assert (second.received, second.eof, first.eof) == (b"question", True, False)
    second.send(b"answer")
    second.end()
    assert (first.received, first.eof) == (b"answer", True)
    assert (first.closed, second.closed) == (CloseReason.PEER, CloseReason.PEER)


@pytest.mark.parametrize("breaks", ["client", "server"])
def test_a_side_that_breaks_ends_the_other_one(sides: Sides, breaks: str) -> None:
    first, second = in_order(sides, breaks)
    first.send(b"last words")
    first.reset()
    assert (second.received, second.eof) == (b"last words", True)
    if breaks == "client":
        second.end()
    assert (first.closed is None, second.closed is None) == (False, False)


def test_what_was_received_before_a_reset_is_passed_on_whole(sides: Sides) -> None:
    bench, client, server = sides
    server.pause()
    client.send(b"x" * 300 * KIB)
    client.reset()
    bench.settle()
    server.resume()
    assert len(server.received) == 300 * KIB
    assert server.eof


def test_a_server_that_goes_on_sending_without_a_client_is_reset(sides: Sides) -> None:
    bench, client, server = sides
    client.send(b"last words")
    client.reset()
    for _ in range(16):
        assert is_open(server)
        server.send(b"y" * 256 * KIB)
    assert (server.received, server.eof, is_open(server)) == (b"last words", True, True)
    server.send(b"y")
    assert server.closed is CloseReason.LOCAL
    assert bench.stats()["default.active"] == 0


def test_a_server_that_does_not_end_without_a_client_is_closed(sides: Sides) -> None:
    bench, client, server = sides
    client.reset()
    bench.advance(6)
    assert server.closed is CloseReason.IDLE
    assert bench.stats()["default.active"] == 0


def test_a_server_that_still_has_to_read_is_not_reset(sides: Sides) -> None:
    bench, client, server = sides
    server.pause()
    client.send(b"x" * 300 * KIB)
    client.reset()
    for _ in range(20):
        server.send(b"y" * 256 * KIB)
    assert is_open(server)
    server.resume()
    bench.settle()
    assert (len(server.received), server.eof) == (300 * KIB, True)


def test_a_server_that_was_stopped_by_its_client_is_read_when_that_is_gone(sides: Sides) -> None:
    bench, client, server = sides
    client.pause()
    server.send(b"y" * 500 * KIB)
    client.reset()
    server.send(b"z")
    server.end()
    bench.settle()
    assert server.closed is CloseReason.PEER


@pytest.mark.parametrize("size", [KIB, 64 * KIB, 500 * KIB])
def test_a_side_that_does_not_read_stops_the_other_one(sides: Sides, size: int) -> None:
    bench, client, server = sides
    server.pause()
    for _ in range(1000 * KIB // size):
        client.send(b"x" * size)
    assert server.connection.queued <= (64 + 512) * KIB
    if size < 500 * KIB:
        assert client.connection.bytes_in <= (64 + 128) * KIB, "the rest stays in the kernel"
    server.resume()
    bench.settle()
    assert len(server.received) == 1000 * KIB // size * size


@pytest.mark.parametrize("size", [KIB, 64 * KIB, 500 * KIB])
def test_a_side_that_does_not_read_is_read(sides: Sides, size: int) -> None:
    """A client that writes all before it reads must not wait for a server that answers meanwhile."""
    bench, client, server = sides
    client.pause()
    for _ in range(1000 * KIB // size):
        server.send(b"y" * size)
    client.send(b"x" * 1000 * KIB)
    bench.settle()
    assert len(server.received) == 1000 * KIB
    client.resume()
    assert len(client.received) == 1000 * KIB // size * size


def test_an_end_comes_behind_what_waits(sides: Sides) -> None:
    bench, client, server = sides
    client.pause()
    server.send(b"x" * 500 * KIB)
    server.end()
    assert not client.eof
    client.resume()
    bench.settle()
    assert (len(client.received), client.eof) == (500 * KIB, True)
    assert is_open(client)
    client.end()
    assert (client.closed, server.closed) == (CloseReason.PEER, CloseReason.PEER)


def test_a_connection_that_is_half_closed_and_silent_is_closed(plugin_bench: Bench) -> None:
    bench = plugin_bench("proxy", options={"proxy": {**OPTIONS["proxy"], "half_closed_timeout": 30.0}})
    client = bench.connect()
    server = bench.outbound[0]
    bench.advance(3600)
    client.end()
    bench.advance(29)
    server.send(b"tick")
    bench.advance(29)
    assert is_open(client)
    bench.advance(2)
    assert client.closed is CloseReason.IDLE
    bench.settle()
    assert server.closed is not None


def test_a_shorter_idle_timeout_counts_when_half_closed_too(plugin_bench: Bench) -> None:
    bench = plugin_bench("proxy", options=OPTIONS, idle_timeout=20.0)
    client = bench.connect()
    client.end()
    bench.advance(19)
    assert is_open(client)
    bench.advance(2)
    assert client.closed is CloseReason.IDLE


def test_the_idle_timeout_is_that_of_the_service_for_both_sides(plugin_bench: Bench) -> None:
    bench = plugin_bench("proxy", options=OPTIONS, idle_timeout=60.0)
    client = bench.connect()
    server = bench.outbound[0]
    # Held by the server that does not read: such a client is not idle, and the server is.
    server.pause()
    client.send(b"x" * 200 * KIB)
    # Then `close_timeout` passes, because something is queued for it.
    bench.advance(61 + 11)
    assert server.closed is CloseReason.IDLE
    assert client.closed is not None


class Shorter:
    @hookimpl(tryfirst=True)
    def connect(self, connection: Connection) -> None:
        connection.idle_timeout = 5.0


def test_an_idle_timeout_that_another_plugin_has_set_is_that_of_both_sides(plugin_bench: Bench) -> None:
    bench = plugin_bench(Shorter, "proxy", options=OPTIONS, idle_timeout=60.0)
    bench.connect()
    assert bench.outbound[0].connection.idle_timeout == 5.0


def test_an_idle_client_is_closed_with_its_server(plugin_bench: Bench) -> None:
    bench = plugin_bench("proxy", options=OPTIONS, idle_timeout=60.0)
    client = bench.connect()
    bench.advance(59)
    bench.outbound[0].send(b"tick")
    bench.advance(59)
    assert is_open(client)
    bench.advance(2)
    assert client.closed is CloseReason.IDLE
    assert bench.outbound[0].closed is not None


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["client", "server"]), st.integers(1, 200 * KIB)),
        st.tuples(st.sampled_from(["client", "server"]), st.sampled_from(["pause", "resume"])),
    ),
    max_size=12,
)


@settings(max_examples=30, deadline=None)
@given(STEPS, st.sampled_from([("client", "server"), ("server", "client")]))
def test_every_byte_arrives_in_order_whatever_happens(
    steps: list[tuple[str, int | str]], ends: tuple[str, str]
) -> None:
    with PluginBench("proxy", options=OPTIONS) as bench:
        sides = {"client": bench.connect()}
        sides["server"] = bench.outbound[0]
        sent = {"client": b"", "server": b""}
        for number, (side, step) in enumerate(steps):
            if isinstance(step, int):
                data = bytes([number]) * step
                sent[side] += data
                sides[side].send(data)
            else:
                getattr(sides[side], step)()
            assert all(each.connection.queued <= (64 + 512) * KIB for each in sides.values())
        for side in ends:
            sides[side].end()
        for each in sides.values():
            each.resume()
        bench.settle()
        assert sides["server"].received == sent["client"]
        assert sides["client"].received == sent["server"]
        assert all(each.eof and each.closed is not None for each in sides.values())
