"""What the guard refuses, closes, drops and bans, in one worker on the bench."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Callable

import pytest

from guard_bench import HOST, NEIGHBOUR, OTHER, PEER, counted, guarded_echo, refused
from reactorhost import PeerCredentials
from reactorhost.testing import PluginBench
from reactorhost_guard import Guard


@pytest.fixture
def guarded(plugin_bench: Callable[..., PluginBench]) -> Callable[..., PluginBench]:
    return guarded_echo(plugin_bench)


def test_the_entry_point_is_the_class() -> None:
    (entry_point,) = importlib.metadata.entry_points(group="reactorhost", name="guard")
    assert entry_point.load() is Guard


def test_without_limits_nothing_is_refused(guarded: Callable[..., PluginBench]) -> None:
    bench = guarded()
    clients = [bench.connect(PEER) for _ in range(100)]
    for client in clients:
        client.send(b"hello\n" * 100)
        assert client.received == b"hello\n" * 100
    assert counted(bench) == {}


@pytest.mark.parametrize(
    ("options", "warns"),
    [
        ({}, True),
        ({"allow": [HOST], "dry_run": True}, True),
        ({"messages": "1/s"}, False),
        ({"network_connects": "1/s"}, False),
        ({"deny": [HOST]}, False),
    ],
)
def test_a_guard_without_limits_is_reported(
    guarded: Callable[..., PluginBench], caplog: pytest.LogCaptureFixture, options: dict[str, object], warns: bool
) -> None:
    guarded(**options)
    line = "guard_without_limits hint='set connects, messages, bytes or deny'"
    assert caplog.messages == [line] * warns


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, set()),
        ({"connects": "1/s", "ban_after": 0}, {"refused_connects", "strikes"}),
        ({"messages": "9/s slow", "deny": [HOST]}, {
            "closed_messages", "slowed_messages", "refused_denied", "strikes", "bans",
        }),
        ({"network_connects": "1/s", "network_bytes": "1/s"}, {"refused_network_connects", "closed_network_bytes"}),
        ({"bytes": "1/s", "dry_run": True}, {"closed_bytes", "strikes", "bans"}),
    ],
)  # fmt: skip
def test_counters_that_can_grow_begin_with_0(
    guarded: Callable[..., PluginBench], options: dict[str, object], names: set[str]
) -> None:
    prefix = "dry_" if "dry_run" in options else ""
    always = {"refused_banned", "closed_banned", "dropped_datagrams"}
    expected = {f"{prefix}{name}" for name in names | always} | {"banned", "addresses"}
    assert guarded(**options).stats("Guard") == dict.fromkeys(expected, 0)


def test_an_address_that_connects_too_often_is_refused_and_others_are_not(
    guarded: Callable[..., PluginBench],
) -> None:
    bench = guarded(connects="1/s burst 3", ban_after=0)
    assert [refused(bench.connect(PEER)) for _ in range(5)] == [False] * 3 + [True] * 2
    assert not refused(bench.connect(NEIGHBOUR))
    bench.advance(2.0)
    assert [refused(bench.connect(PEER)) for _ in range(3)] == [False] * 2 + [True]
    assert counted(bench) == {"refused_connects": 3, "strikes": 3}


def test_a_client_that_sends_too_many_messages_is_closed_and_the_rest_is_not_handled(
    guarded: Callable[..., PluginBench],
) -> None:
    bench = guarded(messages="10/s burst 3")
    client = bench.connect(PEER)
    client.send(b"1\n2\n3\n")
    client.send(b"4\n5\n")
    assert client.received == b"1\n2\n3\n"
    assert refused(client)
    assert counted(bench) == {"closed_messages": 1, "strikes": 1}
    later = bench.connect(PEER)
    bench.advance(0.1)
    later.send(b"a\n")
    assert later.received == b"a\n"
    later.send(b"b\n")
    assert refused(later)


def test_a_client_that_keeps_to_the_rate_is_served_for_ever(guarded: Callable[..., PluginBench]) -> None:
    client = (bench := guarded(messages="10/s burst 1")).connect(PEER)
    for _ in range(200):
        client.send(b"x\n")
        bench.advance(0.1)
    assert client.received == b"x\n" * 200


def test_a_client_that_sends_too_many_bytes_is_closed(guarded: Callable[..., PluginBench]) -> None:
    bench = guarded(bytes="1KiB/s burst 4KiB")
    first, second = bench.connect(PEER), bench.connect(PEER)
    for client in (first, second, first, second):
        client.send(b"x" * 1023 + b"\n")
    bench.advance(0.5)
    first.send(b"y" * 600 + b"\n")
    assert first.received.endswith(b"y\n")
    second.send(b"z\n")
    assert refused(second)
    assert not refused(first)
    assert counted(bench) == {"closed_bytes": 1, "strikes": 1}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"network_connects": "1/h burst 3"}, "refused_network_connects"),
        ({"network_messages": "1/h burst 3"}, "closed_network_messages"),
        ({"network_bytes": "1B/h burst 3B"}, "closed_network_bytes"),
    ],
)
def test_the_addresses_of_a_network_share_a_limit_without_strikes(
    guarded: Callable[..., PluginBench], options: dict[str, str], reason: str
) -> None:
    bench = guarded(**options, ban_after=1)
    clients = []
    for number in range(4):
        clients.append(bench.connect((f"203.0.113.{number}", 1)))
        if not refused(clients[-1]):
            clients[-1].send(b"x\n")
    assert [refused(client) for client in clients] == [False] * 3 + [True]
    other = bench.connect(OTHER)
    other.send(b"x\n")
    assert other.received == b"x\n"
    assert counted(bench) == {reason: 1}


def test_the_bits_of_a_network_and_of_an_ipv6_client_can_be_set(guarded: Callable[..., PluginBench]) -> None:
    bench = guarded(connects="1/h burst 1", network_connects="1/h burst 2", ipv4_network=16, ipv6_address=56)
    hosts = ("203.0.1.1", "203.0.2.1", "203.0.3.1", "2001:db8::1", "2001:db8:0:ff::1", "2001:db8:0:100::1")
    assert [refused(bench.connect((host, 1))) for host in hosts] == [False, False, True, False, True, False]


def test_an_ipv6_client_is_its_first_64_bits_and_an_ipv4_client_is_one_on_both_kinds_of_sockets(
    guarded: Callable[..., PluginBench],
) -> None:
    bench = guarded(connects="1/h burst 1")
    hosts = ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", HOST, f"::ffff:{HOST}")
    assert [refused(bench.connect((host, 1))) for host in hosts] == [False, True, False, False, True]


def test_enough_strikes_ban_an_address_and_end_its_other_connections(guarded: Callable[..., PluginBench]) -> None:
    bench = guarded(messages="1/h burst 1", ban_after=2, ban_time="1m")
    idle, neighbour = bench.connect(PEER), bench.connect(NEIGHBOUR)
    bench.connect(PEER).send(b"1\n2\n")
    assert not refused(idle)
    last = bench.connect(PEER)
    last.send(b"3\n")
    assert refused(idle)
    # Before the handshake of TLS, and before any other plugin is called.
    assert bench.connect(PEER).refused
    assert not refused(neighbour)
    assert counted(bench) == {
        "closed_messages": 2, "strikes": 2, "bans": 1, "closed_banned": 1, "refused_banned": 1
    }  # fmt: skip
    assert bench.stats("Guard")["banned"] == 1
    bench.advance(60.0)
    assert not refused(bench.connect(PEER))
    assert bench.stats("Guard")["banned"] == 0


def test_a_ban_is_twice_as_long_each_time(
    guarded: Callable[..., PluginBench], caplog: pytest.LogCaptureFixture
) -> None:
    bench = guarded(connects="1/h burst 1", ban_after=1, ban_time="1m", ban_time_max="3m")
    bench.connect(PEER)
    for seconds in (60, 120, 180):
        assert refused(bench.connect(PEER))
        bench.advance(seconds - 1.0)
        before = counted(bench)["refused_banned"] if seconds > 60 else 0
        assert refused(bench.connect(PEER))
        assert counted(bench)["refused_banned"] == before + 1
        bench.advance(1.0)
    lines = [line for line in caplog.messages if line.startswith("guard_banned")]
    assert lines == [
        f"guard_banned network={HOST} reason=connects time={minutes}m before={minutes - 1}" for minutes in (1, 2, 3)
    ]


def test_strikes_are_forgotten(guarded: Callable[..., PluginBench]) -> None:
    bench = guarded(connects="1/h burst 1", ban_after=3, strike_memory="10s")
    bench.connect(PEER)
    for _ in range(20):
        assert refused(bench.connect(PEER))
        bench.advance(10.0)
    assert counted(bench) == {"refused_connects": 20, "strikes": 20}


def test_networks_in_deny_are_refused_and_those_in_allow_are_not_limited(
    guarded: Callable[..., PluginBench],
) -> None:
    bench = guarded(
        connects="1/h burst 1", messages="1/h burst 1", deny=["203.0.113.0/24"], allow=["198.51.100.0/24", NEIGHBOUR[0]]
    )
    assert refused(bench.connect(PEER))
    for peer in (OTHER, NEIGHBOUR):
        for _ in range(3):
            client = bench.connect(peer)
            client.send(b"1\n2\n3\n")
            assert client.received == b"1\n2\n3\n"
    assert counted(bench) == {"refused_denied": 1}


def test_clients_of_unix_sockets_are_not_limited(guarded: Callable[..., PluginBench]) -> None:
    bench = guarded(connects="1/h burst 1", messages="1/h burst 1", network_connects="1/h burst 1")
    for _ in range(3):
        client = bench.connect(credentials=PeerCredentials(1, 2, 3))
        client.send(b"1\n2\n")
        assert client.received == b"1\n2\n"


def test_a_dry_run_refuses_nothing_and_counts_what_it_would(
    guarded: Callable[..., PluginBench], caplog: pytest.LogCaptureFixture
) -> None:
    bench = guarded(messages="1/h burst 2", ban_after=2, deny=[OTHER[0]], dry_run=True)
    clients = [bench.connect(PEER) for _ in range(3)]
    for client in clients:
        client.send(b"1\n2\n3\n4\n5\n")
        assert client.received == b"1\n2\n3\n4\n5\n"
    for peer in (PEER, OTHER):
        client = bench.connect(peer)
        client.send(b"x\n")
        assert client.received == b"x\n"
    # A connection that would have been closed counts once, and the third one would have been ended by the ban.
    assert counted(bench) == {
        "dry_closed_messages": 2, "dry_strikes": 2, "dry_bans": 1, "dry_closed_banned": 1, "dry_refused_banned": 1,
        "dry_refused_denied": 1,
    }  # fmt: skip
    assert caplog.messages
    assert all(line.endswith(" dry_run=true") for line in caplog.messages)


def test_a_ban_of_a_dry_run_has_no_effect_after_it(
    guarded: Callable[..., PluginBench], caplog: pytest.LogCaptureFixture
) -> None:
    dry = guarded(connects="1/h burst 1", ban_after=1, dry_run=True)
    dry.connect(PEER)
    dry.connect(PEER)
    ((topic, data),) = [each for each in dry.bus.published if each[0] == "guard:bans"]
    bench = guarded(connects="1/h burst 1", ban_after=1)
    bench.bus.publish(topic, data)
    assert not refused(bench.connect(PEER))
    assert bench.stats("Guard")["banned"] == 0
    assert refused(bench.connect(PEER))
    (line,) = [line for line in caplog.messages if line.startswith("guard_banned") and "dry_run" not in line]
    assert line == "guard_banned network=203.0.113.7 reason=connects time=1m before=0"


def test_datagrams_over_a_limit_are_dropped_without_a_ban(guarded: Callable[..., PluginBench]) -> None:
    # The address of a datagram may be forged.
    bench = guarded(messages="1/s burst 3", network_bytes="1B/s burst 8B", ban_after=1)
    assert [len(bench.datagram(b"ab\n", PEER)) for _ in range(5)] == [1, 1, 1, 0, 0]
    assert counted(bench) == {"dropped_datagrams": 2}
    assert not refused(bench.connect(PEER))
    assert not bench.datagram(b"ab\n", NEIGHBOUR)
    assert bench.datagram(b"ab\n", OTHER)
    bench.advance(9.0)
    assert bench.datagram(b"ab\n", PEER)


def test_datagrams_of_banned_addresses_are_dropped_and_those_of_allowed_ones_are_not(
    guarded: Callable[..., PluginBench],
) -> None:
    bench = guarded(connects="1/h burst 1", ban_after=1, deny=[OTHER[0]], allow=[NEIGHBOUR[0]], messages="1/h")
    bench.connect(PEER)
    bench.connect(PEER)
    assert not bench.datagram(b"x", PEER)
    assert not bench.datagram(b"x", OTHER)
    assert [len(bench.datagram(b"x", NEIGHBOUR)) for _ in range(3)] == [1, 1, 1]


def test_a_dry_run_drops_no_datagram(guarded: Callable[..., PluginBench]) -> None:
    bench = guarded(messages="1/h", dry_run=True)
    assert [len(bench.datagram(b"x", PEER)) for _ in range(3)] == [1, 1, 1]
    assert counted(bench) == {"dry_dropped_datagrams": 2}


def test_few_lines_are_logged_of_a_flood(guarded: Callable[..., PluginBench], caplog: pytest.LogCaptureFixture) -> None:
    bench = guarded(connects="1/h burst 1", ban_after=0)
    for _ in range(100):
        bench.connect(PEER)
    bench.advance(10.0)
    bench.connect(PEER)
    line = f"guard_refused service=default reason=connects peer={HOST}:4000"
    assert caplog.messages == [line, f"{line} suppressed=98"]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_what_has_ended_is_forgotten(guarded: Callable[..., PluginBench]) -> None:
    bench = guarded(connects="1/s burst 5", messages="1/s burst 5", network_connects="9/s", max_addresses=1)
    clients = [bench.connect((f"203.0.113.{number}", 1)) for number in range(50)]
    assert bench.stats("Guard")["addresses"] > 5
    for client in clients:
        if not refused(client):
            client.end()
    assert bench.stats("Guard")["addresses"] == 1
