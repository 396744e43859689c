"""The server on a bench: turns, limits, messages and logins."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from conversations import packed
from reactorhost import CloseReason, SetupError
from reactorhost_redisserver import RedisServer
from reactorhost_redisserver.commands.table import COMMANDS
from redis_benches import Start, ask, starting

# A process that writes a snapshot is forked; the tests of one process run beside threads of the test runner.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


@pytest.fixture
def start(plugin_bench: Start, tmp_path: Path) -> Start:
    return starting(plugin_bench, tmp_path / "snapshot")


def test_a_long_pipeline_leaves_other_clients_their_turn(start: Start) -> None:
    bench = start()
    client = bench.connect()
    seen: list[int] = []
    for _ in range(3):
        bench.worker.call_later(0, lambda: seen.append(client.received.count(b":")))
    client.send(packed([b"INCR", b"a"]) * 2000 + packed([b"PING"]))
    assert 0 < seen[0] < 2000
    assert client.received.endswith(b":2000\r\n+PONG\r\n")


def test_a_client_that_does_not_read_gets_no_more_replies(start: Start) -> None:
    bench = start()
    client = bench.connect()
    ask(client, "SET", "a", b"x" * 300_000)
    client.pause()
    client.send(packed([b"GET", b"a"]) * 100)
    bench.advance(1.0)
    assert client.connection.queued < 3_000_000
    assert client.closed is None
    client.resume()
    bench.advance(1.0)
    assert client.received.count(b"$300000\r\n") == 100


def test_a_subscriber_that_does_not_read_is_disconnected(start: Start) -> None:
    bench = start()
    slow, publisher = bench.connect(), bench.connect()
    ask(slow, "SUBSCRIBE", "a")
    slow.pause()
    for _ in range(5):
        ask(publisher, "PUBLISH", "a", b"x" * 300_000)
    assert slow.closed is CloseReason.OVERFLOW
    assert ask(publisher, "PUBLISH", "a", "x") == b":0\r\n"


def test_messages_of_one_pipeline_arrive_together(start: Start) -> None:
    bench = start()
    subscriber, publisher = bench.connect(), bench.connect()
    ask(subscriber, "HELLO", "3")
    ask(subscriber, "PSUBSCRIBE", "n*")
    before = len(subscriber.received)
    publisher.send(packed([b"PUBLISH", b"news", b"1"]) + packed([b"PUBLISH", b"news", b"2"]))
    message = b">4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$1\r\n%b\r\n"
    assert subscriber.received[before:] == message % b"1" + message % b"2"
    assert publisher.received == b":1\r\n:1\r\n"


def test_a_watched_key_that_has_expired_has_changed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = RedisServer()
    client = start(plugin).connect()
    ask(client, "SET", "a", "1", "PX", "100000")
    ask(client, "WATCH", "a")
    clock = time.time() + 101
    monkeypatch.setattr(plugin.server, "_clock", lambda: clock)
    ask(client, "MULTI")
    ask(client, "PING")
    assert ask(client, "EXEC") == b"*-1\r\n"


def test_a_client_that_has_left_watches_nothing(start: Start) -> None:
    plugin = RedisServer()
    client = start(plugin).connect()
    ask(client, "WATCH", "a")
    watchers = plugin.server.keyspace.databases[0]._watchers
    assert list(watchers) == [b"a"]
    client.reset()
    assert not watchers


def test_a_login_is_required(start: Start) -> None:
    bench = start(password="sesame")
    client = bench.connect()
    assert ask(client, "GET", "a") == b"-NOAUTH Authentication required.\r\n"
    assert ask(client, "AUTH", "wrong").startswith(b"-WRONGPASS ")
    assert ask(client, "AUTH", "other", "sesame").startswith(b"-WRONGPASS ")
    assert ask(client, "HELLO", "3").startswith(b"-NOAUTH HELLO must be called")
    assert ask(client, "HELLO", "3", "AUTH", "default", "sesame").startswith(b"%7\r\n")
    assert ask(client, "GET", "a") == b"_\r\n"
    assert ask(client, "RESET") == b"+RESET\r\n"
    assert ask(client, "GET", "a").startswith(b"-NOAUTH ")
    assert ask(client, "AUTH", "sesame") == b"+OK\r\n"


def test_without_a_login_a_command_is_small(start: Start) -> None:
    bench = start(password="sesame")
    client = bench.connect()
    client.send(b"*2\r\n$4\r\nAUTH\r\n$100000\r\n" + b"x" * 40_000)
    assert client.received == b"-ERR Protocol error: invalid bulk length\r\n"
    assert client.closed is CloseReason.LOCAL


def test_a_command_has_a_largest_size(start: Start) -> None:
    client = start(max_request=100_000).connect()
    client.send(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$900000\r\n")
    client.send(b"x" * 90_000)
    assert client.received == b""
    client.send(b"x" * 20_000)
    assert client.received == b"-ERR Protocol error: invalid bulk length\r\n"


def test_a_violation_of_the_protocol_ends_the_connection_behind_the_replies(start: Start) -> None:
    client = start().connect()
    client.send(packed([b"PING"]) + b"*1\r\n:1\r\n" + packed([b"SET", b"a", b"1"]))
    assert client.received == b"+PONG\r\n-ERR Protocol error: expected '$', got ':'\r\n"
    assert client.closed is CloseReason.LOCAL


@pytest.mark.parametrize(
    "head", [b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n", b"PUT / HTTP/1.1\r\nhost: x\r\n\r\n"]
)
def test_a_page_in_a_browser_runs_no_command(start: Start, head: bytes) -> None:
    bench = start()
    client = bench.connect()
    client.send(head + b"SET a 1\r\n")
    assert client.received.endswith(b"-ERR Protocol error: this is a request of HTTP\r\n")
    assert client.closed is CloseReason.LOCAL
    assert ask(bench.connect(), "EXISTS", "a") == b":0\r\n"


def test_no_more_is_stored_than_the_memory_allows(start: Start) -> None:
    client = start(max_memory=5000).connect()
    out_of_memory = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"
    replies = [ask(client, "SET", f"key{number}", "x" * 1000) for number in range(6)]
    assert replies == [b"+OK\r\n"] * 5 + [out_of_memory]
    assert ask(client, "GET", "key0").startswith(b"$1000")
    assert ask(client, "DEL", "key0") == b":1\r\n"
    assert ask(client, "HSET", "hash", "a", "1") == b":1\r\n"
    assert ask(client, "CONFIG", "SET", "maxmemory", "1kb") == b"+OK\r\n"
    assert ask(client, "HSET", "hash", "a", "1") == out_of_memory
    assert ask(client, "FLUSHALL") == b"+OK\r\n"
    assert ask(client, "HSET", "hash", "a", "1") == b":1\r\n"


def test_a_transaction_has_a_largest_size(start: Start) -> None:
    client = start(max_request=100_000).connect()
    ask(client, "MULTI")
    replies = [ask(client, "SET", "a", "x" * 60_000) for _ in range(3)]
    assert replies == [b"+QUEUED\r\n", b"+QUEUED\r\n", b"-ERR transaction is too large\r\n"]
    assert ask(client, "EXEC").startswith(b"-EXECABORT ")


def test_what_has_expired_is_removed_without_a_client(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = RedisServer()
    bench = start(plugin)
    client = bench.connect()
    # More than are removed in one turn of the loop.
    client.send(b"".join(packed([b"SET", b"%d" % number, b"1", b"PX", b"100000"]) for number in range(5000)))
    bench.settle()
    assert bench.stats()["keys"] == 5000
    clock = time.time() + 101
    monkeypatch.setattr(plugin.server, "_clock", lambda: clock)
    bench.advance(0.1)
    assert (bench.stats()["keys"], bench.stats()["expired"]) == (0, 5000)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"password": ""}, "it is empty"),
        ({"max_memory": -1}, "-1 is negative"),
        ({"max_request": 100}, "100 is less than 16384"),
        ({"save_every": -1.0}, "-1 is negative"),
    ],
)
def test_a_wrong_option_is_reported(options: dict[str, object], problem: str) -> None:
    ((name, _),) = options.items()
    assert [(each.option, str(each)) for each in problems_of(options)] == [(name, problem)]


def test_all_wrong_options_are_reported_together() -> None:
    options = {"password": "", "max_memory": -1, "max_request": 0, "save_every": -1.0}
    assert {each.option for each in problems_of(options)} == set(options)


def problems_of(options: dict[str, object]) -> list[SetupError]:
    plugin = RedisServer()
    defaults = {option.name: option.default for option in plugin.options()}
    with pytest.raises(ExceptionGroup) as raised:
        plugin.configure({**defaults, **options})
    return [each for each in raised.value.exceptions if isinstance(each, SetupError)]


def test_a_folder_that_does_not_exist_is_reported(start: Start) -> None:
    problem = "/nowhere/snapshot.lock cannot be opened: No such file or directory; its folder"
    with pytest.raises(SetupError, match=re.escape(problem)):
        start(file="/nowhere/snapshot")


def test_info_and_command_describe_the_server(start: Start) -> None:
    client = start().connect()
    ask(client, "SET", "a", "1")
    text = ask(client, "INFO").decode()
    assert "db0:keys=1,expires=0" in text
    assert "redis_version:7.0.15" in text
    assert ask(client, "INFO", "keyspace").decode().count("# ") == 1
    count = int(ask(client, "COMMAND", "COUNT")[1:])
    assert ask(client, "COMMAND").startswith(b"*%d\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n" % count)
    assert ask(client, "COMMAND", "INFO", "nothing") == b"*1\r\n$-1\r\n"
    assert ask(client, "COMMAND", "DOCS", "GET").startswith(
        b"*2\r\n$3\r\nget\r\n*4\r\n$7\r\nsummary\r\n$16\r\nReturn a string."
    )


def test_nothing_runs_after_the_state_was_left(start: Start) -> None:
    plugin = RedisServer()
    bench = start(plugin)
    client = bench.connect()
    ask(client, "SET", "a", b"x" * 300_000)
    client.pause()
    client.send(packed([b"GET", b"a"]) * 20 + packed([b"SET", b"b", b"1"]))
    bench.drain()
    ran = plugin.server.commands_run
    client.resume()
    bench.advance(1.0)
    assert client.closed is CloseReason.LOCAL
    assert plugin.server.commands_run == ran < 20


def test_the_readme_lists_every_command() -> None:
    page = (Path(__file__).parents[1] / "README.md").read_text()
    listed = page.partition("## Commands")[2].partition("There are 16 databases")[0]
    words = {word.lower() for word in re.findall(r"[A-Z]+", listed)}
    missing = [each.name for each in COMMANDS if each.name not in words]
    options = [option.name for option in RedisServer().options() if f"| `{option.name}` |" not in page]
    assert (missing, options) == ([], [])
