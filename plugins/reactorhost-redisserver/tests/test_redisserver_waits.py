"""BLPOP and BRPOP: the order of clients that wait, what they send meanwhile, and that no element is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from conversations import packed
from reactorhost import CloseReason
from reactorhost.testing import PluginBench
from reactorhost_redisserver import RedisServer
from redis_benches import Start, ask, starting

# A process that writes a snapshot is forked; the tests of one process run beside threads of the test runner.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


@pytest.fixture
def bench(plugin_bench: Start, tmp_path: Path) -> PluginBench:
    return starting(plugin_bench, tmp_path / "snapshot")()


def element(key: str, value: str) -> bytes:
    return b"*2\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(key), key.encode(), len(value), value.encode())


def test_clients_that_wait_are_served_in_their_order(bench: PluginBench) -> None:
    first, second, pusher = bench.connect(), bench.connect(), bench.connect()
    assert ask(first, "BLPOP", "a", "b", "0") == b""
    assert ask(second, "BRPOP", "b", "a", "0") == b""
    assert b"blocked_clients:2\r\n" in ask(pusher, "INFO", "clients")
    # The reply has the length before they are served.
    assert ask(pusher, "RPUSH", "a", "1", "2", "3") == b":3\r\n"
    assert (first.received, second.received) == (element("a", "1"), element("a", "3"))
    assert ask(pusher, "LRANGE", "a", "0", "-1") == b"*1\r\n$1\r\n2\r\n"
    assert b"blocked_clients:0\r\n" in ask(pusher, "INFO", "clients")


def test_a_wait_ends_with_its_time(bench: PluginBench) -> None:
    old, new = bench.connect(), bench.connect()
    ask(new, "HELLO", "3")
    assert ask(old, "BLPOP", "a", "1.5") == b""
    assert ask(new, "BLPOP", "a", "1.5") == b""
    before = len(new.received)
    bench.advance(1.4)
    assert old.received == b""
    bench.advance(0.2)
    assert (old.received, new.received[before:]) == (b"*-1\r\n", b"_\r\n")
    assert ask(old, "RPUSH", "a", "1") == b":1\r\n"
    assert ask(new, "LLEN", "a") == b":1\r\n"


@pytest.mark.parametrize("seconds", ["-0.0001", "9223372036854775.807", "0"])
def test_a_wait_may_last_for_ever(bench: PluginBench, seconds: str) -> None:
    client = bench.connect()
    ask(client, "BLPOP", "a", seconds)
    bench.advance(20.0)
    assert client.received == b""
    ask(bench.connect(), "RPUSH", "a", "1")
    assert client.received == element("a", "1")


def test_a_wait_that_was_served_does_not_time_out(bench: PluginBench) -> None:
    client, pusher = bench.connect(), bench.connect()
    ask(client, "BLPOP", "a", "1")
    ask(pusher, "RPUSH", "a", "1")
    ask(client, "BLPOP", "b", "0")
    bench.advance(2.0)
    assert client.received == element("a", "1")


def test_a_wait_that_was_served_leaves_no_timer(bench: PluginBench) -> None:
    client, pusher = bench.connect(), bench.connect()
    before = len(bench._time.reactor._timers)
    for number in range(20):
        assert ask(client, "BLPOP", "a", "3600") == b""
        assert len(bench._time.reactor._timers) == before + 1
        ask(pusher, "RPUSH", "a", str(number))
        bench.advance(0.001)
    assert client.received.endswith(element("a", "19"))
    assert len(bench._time.reactor._timers) == before


def test_a_client_that_waits_is_not_idle(plugin_bench: Start, tmp_path: Path) -> None:
    options = {"RedisServer": {"file": str(tmp_path / "snapshot"), "save_every": 0.0}}
    bench = plugin_bench(RedisServer, options=options, idle_timeout=5.0)
    client = bench.connect()
    ask(client, "BLPOP", "a", "0")
    bench.advance(60.0)
    ask(bench.connect(), "RPUSH", "a", "1")
    assert client.received == element("a", "1")
    bench.advance(6.0)
    assert client.closed is CloseReason.IDLE


def test_commands_behind_a_wait_run_after_it(bench: PluginBench) -> None:
    client, pusher = bench.connect(), bench.connect()
    client.send(packed([b"BLPOP", b"a", b"0"]) + packed([b"PING"]) + packed([b"BLPOP", b"a", b"0"]))
    client.send(packed([b"ECHO", b"x"])[:-3])
    client.send(packed([b"ECHO", b"x"])[-3:])
    assert client.received == b""
    ask(pusher, "RPUSH", "a", "1")
    bench.advance(0.1)
    assert client.received == element("a", "1") + b"+PONG\r\n"
    ask(pusher, "RPUSH", "a", "2")
    bench.advance(0.1)
    assert client.received == element("a", "1") + b"+PONG\r\n" + element("a", "2") + b"$1\r\nx\r\n"
    assert ask(client, "PING") == b"+PONG\r\n"


def test_a_client_that_sends_much_while_it_waits_is_not_read(bench: PluginBench) -> None:
    client, pusher = bench.connect(), bench.connect()
    ask(client, "BLPOP", "a", "0")
    ping = packed([b"PING"])
    for _ in range(40):
        client.send(ping * 1000)
    unread = client.connection.state.redis.unread
    assert len(unread) < 200_000
    ask(pusher, "RPUSH", "a", "1")
    bench.advance(1.0)
    assert client.received == element("a", "1") + b"+PONG\r\n" * 40_000


@pytest.mark.parametrize("leave", ["end", "reset"])
def test_a_client_that_has_left_gets_no_element(bench: PluginBench, leave: str) -> None:
    client, pusher = bench.connect(), bench.connect()
    ask(client, "BLPOP", "a", "0")
    getattr(client, leave)()
    assert ask(pusher, "RPUSH", "a", "1") == b":1\r\n"
    assert ask(pusher, "LPOP", "a") == b"$1\r\n1\r\n"


@pytest.mark.parametrize(
    "commands",
    [
        ["RPUSH b 1", "RENAME b a"],
        ["RPUSH b 1", "COPY b a"],
        ["SELECT 1", "RPUSH a 1", "MOVE a 0"],
        ["SELECT 1", "RPUSH a 1", "SWAPDB 0 1"],
        ["SET a x", "DEL a", "RPUSH a 1"],
        ["SADD a x", "SREM a x", "LPUSH a 1"],
        ["MULTI", "RPUSH a 1", "EXEC"],
        ["MULTI", "RPUSH a 2", "LPOP a", "RPUSH a 1", "EXEC"],
    ],
    ids=" ".join,
)
def test_an_element_comes_by_any_command_that_makes_the_list(bench: PluginBench, commands: list[str]) -> None:
    client, pusher = bench.connect(), bench.connect()
    ask(client, "BLPOP", "a", "0")
    for command in commands[:-1]:
        ask(pusher, *command.split())
        assert client.received == b""
    ask(pusher, *commands[-1].split())
    assert client.received == element("a", "1")


def test_a_list_that_is_empty_again_at_the_end_of_a_transaction_is_not_noticed(bench: PluginBench) -> None:
    client, pusher = bench.connect(), bench.connect()
    ask(client, "BLPOP", "a", "0")
    for command in ("MULTI", "RPUSH a 1", "LPOP a", "EXEC"):
        ask(pusher, *command.split())
    assert client.received == b""
    ask(pusher, "RPUSH", "a", "2")
    assert client.received == element("a", "2")


def test_a_wait_for_a_key_that_is_served_changes_it_for_those_that_watch(bench: PluginBench) -> None:
    client, pusher, watching = bench.connect(), bench.connect(), bench.connect()
    ask(client, "BLPOP", "a", "0")
    ask(watching, "WATCH", "a")
    ask(pusher, "RPUSH", "a", "1")
    ask(watching, "MULTI")
    assert ask(watching, "EXEC") == b"*-1\r\n"
    assert bench.stats()["keys"] == 0
