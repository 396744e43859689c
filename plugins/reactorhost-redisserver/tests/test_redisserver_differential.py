"""The same commands to the plugin and to Redis 7.0: the replies have the same bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from redis import Redis as Client

from conversations import FLUSH, Conversation, Step, split_replies, with_bench, with_redis
from reactorhost.testing import PluginBench
from reactorhost_redisserver import RedisServer as Plugin
from redis_server import RedisServer

# A process that writes a snapshot is forked; the tests of one process run beside threads of the test runner.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
KEYS = (b"a", b"b", b"c")


@pytest.fixture(scope="module")
def redis() -> Iterator[Conversation]:
    # Redis keeps the order of fields only in hashes of small values.
    with RedisServer("--hash-max-listpack-value", "1000000") as server:
        with Client("127.0.0.1", server.port) as client:
            version = client.info("server")["redis_version"]
        if not version.startswith("7.0.") and not os.environ.get("REQUIRE_REDIS"):
            pytest.skip(f"the replies are those of Redis 7.0, and this is {version}")
        yield with_redis(server)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Conversation]:
    file = str(tmp_path_factory.mktemp("redisserver") / "snapshot")
    with PluginBench(Plugin, options={"RedisServer": {"file": file}}) as bench:
        yield with_bench(bench)


def words(*choices: str) -> st.SearchStrategy[list[bytes]]:
    """Commands as texts, in which the letters of `_WORDS` stand for keys, fields, values, numbers and so on."""
    return st.sampled_from([choice.split() for choice in choices]).flatmap(
        lambda parts: st.tuples(*(_WORDS.get(part, st.just(part.encode())) for part in parts)).map(list)
    )


VALUES = st.one_of(
    st.sampled_from([b"", b"1", b"10", b"-3", b"3.5", b"9223372036854775807", b"a b", b"\r\n", b"\0\xff", b"x" * 100]),
    st.binary(max_size=8),
)
NUMBERS = st.one_of(
    st.sampled_from(
        b"0,1,-1,5,007,+1, 1,,1.5,abc,9223372036854775807,-9223372036854775808,9223372036854775808,1_0".split(b",")
    ),
    st.integers(-20, 20).map(lambda number: b"%d" % number),
)
FLOATS = st.one_of(
    st.sampled_from(
        [b"0", b"0.1", b"-2.5", b"1e3", b"5.0e-3", b"x", b"", b" 1", b"1e400", b".5", b"5.", b"1_0", b"nan"]
    ),
    st.decimals(-1000, 1000, allow_nan=False, places=3).map(lambda number: str(number).encode()),
)
_WORDS = {
    "K": st.sampled_from(KEYS),
    "F": st.sampled_from((b"f", b"g", b"h")),
    "V": VALUES,
    "M": st.sampled_from((b"1", b"2", b"x", b"")),
    "N": NUMBERS,
    "R": FLOATS,
    "B": st.sampled_from(
        (b"0", b"100gb", b"99GB", b"9G", b"99999999k", b"98765432100b", b"1tb", b"-1", b"1.5mb", b"x")
    ),
    "P": st.sampled_from(b"* a ? [ab] [^a] [a-b] [b-a] a* *b* \\a [ [a [] [^] ** a[ [\\]] [a".split()),
}
STRINGS = words(
    *("GET K", "get K", "SET K V", "SET K V NX", "SET K V XX", "SET K V GET", "SET K V NX GET", "SET K V XX GET"),
    *("SET K V KEEPTTL", "SET K V EX N", "SET K V PX 100000 NX", "SET K V EXAT N", "SET K V FOO", "SET K V NX XX"),
    *("SET K V EX 10 PX 10", "SET K V EX 10 KEEPTTL", "SET K V EX", "SETNX K V", "SETEX K N V", "PSETEX K 100000 V"),
    *("GETSET K V", "GETDEL K", "GETEX K", "GETEX K EX N", "GETEX K PERSIST", "GETEX K FOO", "GETEX K EX"),
    *("MGET K K K", "MSET K V K V", "MSET K V K", "MSETNX K V K V", "APPEND K V", "STRLEN K", "INCR K", "DECR K"),
    *("INCRBY K N", "DECRBY K N", "INCRBYFLOAT K R", "GETRANGE K N N", "SUBSTR K N N", "SETRANGE K N V"),
)
HASHES = words(
    *("HSET K F V", "HSET K F V F V", "HSET K F", "HSET K F V F", "HMSET K F V F V", "HSETNX K F V", "HGET K F"),
    *("HMGET K F F", "HGETALL K", "HKEYS K", "HVALS K", "HLEN K", "HEXISTS K F", "HSTRLEN K F", "HDEL K F F"),
    *("HINCRBY K F N", "HINCRBYFLOAT K F R", "HSCAN K 0", "HSCAN K 0 MATCH P", "HSCAN K x", "HSCAN K 0 COUNT 0"),
    *("HSCAN K 0 TYPE x", "HRANDFIELD K 0", "HRANDFIELD K x", "HRANDFIELD K 1 FOO", "HRANDFIELD K 9 WITHVALUES"),
    *("HRANDFIELD K -9223372036854775808", "HRANDFIELD K -9223372036854775807 FOO"),
)
LISTS = words(
    *("LPUSH K V", "RPUSH K V V V", "LPUSH K V V V", "RPUSH K M M M M", "LPUSHX K V", "RPUSHX K V V"),
    *("LPOP K", "RPOP K"),
    *("LPOP K N", "RPOP K 2", "LPOP K 0", "LPOP K 1 1", "RPOP K 1 1", "LLEN K", "LINDEX K N", "LRANGE K N N"),
    *("LRANGE K 0 -1", "LRANGE K 1 x", "LTRIM K N N", "LTRIM K 1 -2", "LREM K N M", "LREM K 1 M", "LREM K -1 M"),
    *("LREM K 0 M", "LSET K N V", "LSET K 0 V", "LSET K -1 V", "LINSERT K BEFORE M V", "LINSERT K after M V"),
    *("LINSERT K FOO M V", "BLPOP K -1", "BRPOP K x", "BLPOP K 1e400", "BLPOP K K 9223372036854776", "BLPOP K"),
)
SETS = words(
    *("SADD K M", "SADD K M M M", "SADD K V", "SREM K M M", "SMEMBERS K", "SISMEMBER K M", "SMISMEMBER K M M V"),
    *("SCARD K", "SINTER K K", "SUNION K K K", "SDIFF K K", "SDIFF K K K", "SINTERSTORE K K K", "SUNIONSTORE K K K"),
    *("SDIFFSTORE K K K", "SMOVE K K M", "SPOP K 9", "SPOP K 0", "SPOP K N N", "SPOP K -1", "SPOP K x"),
    *("SRANDMEMBER K 9", "SRANDMEMBER K 0", "SRANDMEMBER K x", "SRANDMEMBER K 1 1", "SSCAN K 0", "SSCAN K 0 MATCH P"),
    *("SSCAN K x", "SSCAN K 0 COUNT 0", "SINTER K", "SRANDMEMBER K -9223372036854775808"),
)
OTHER_TYPES = words("SET K V", "HSET K F V", "GET K", "DEL K", "TYPE K", "RENAME K K", "COPY K K REPLACE", "HELLO 3")
GENERIC = words(
    *("DEL K K", "UNLINK K", "EXISTS K K K", "TOUCH K K", "TYPE K", "RENAME K K", "RENAMENX K K", "COPY K K"),
    *("COPY K K REPLACE", "COPY K K DB 1", "COPY K K DB 16", "COPY K K FOO", "COPY K K DB", "MOVE K 1", "MOVE K 0"),
    *("MOVE K x", "SELECT 0", "SELECT 1", "SELECT 16", "SELECT x", "EXPIRE K 100", "EXPIRE K N"),
    *(
        "EXPIRE K 200 NX",
        "EXPIRE K 50 XX",
        "EXPIRE K 300 GT",
        "EXPIRE K 20 LT",
        "EXPIRE K 20 LT GT",
        "EXPIRE K 20 NX XX",
    ),
    *("EXPIRE K 20 FOO", "PEXPIRE K 100000", "PEXPIRE K N", "EXPIREAT K 99999999999", "PEXPIREAT K N", "EXPIREAT K N"),
    *("TTL K", "EXPIRETIME K", "PERSIST K", "SCAN 0 COUNT x", "SCAN x", "SCAN 0 FOO 1", "SCAN 0 COUNT"),
    *("SCAN 0 TYPE hash MATCH x", "FLUSHDB FOO", "FLUSHDB ASYNC", "SWAPDB 0 1", "SWAPDB 0 x", "SWAPDB y x"),
    *("SWAPDB 0 99", "KEYS x"),
)
CONNECTION = words(
    *("PING", "PING V", "PING a b", "ECHO V", "ECHO", "FOO", "FOO V V", "CLIENT", "CLIENT FOO", "CLIENT ID x"),
    *("CLIENT GETNAME", "CLIENT SETNAME V", "HELLO 3", "HELLO 2", "HELLO 4", "HELLO x", "HELLO 3 FOO"),
    *("HELLO 3 SETNAME n", "HELLO 3 AUTH default x", "AUTH x", "AUTH default x", "AUTH other x", "AUTH a b c"),
    *("RESET", "CONFIG", "CONFIG GET", "CONFIG FOO", "CONFIG SET foo", "CONFIG SET foo bar", "OBJECTIVE V"),
    *("PUBSUB", "PUBSUB FOO", "PUBSUB NUMPAT x", "COMMAND FOO", "CONFIG GET maxmemory", "CONFIG GET nothing"),
    *("COMMAND INFO nothing", "BGSAVE FOO", "BGSAVE SCHEDULE FOO", "CONFIG SET maxmemory B"),
)
TRANSACTIONS = words("MULTI", "EXEC", "DISCARD", "WATCH K", "WATCH K K", "UNWATCH", "EXEC x", "WATCH")
SUBSCRIPTIONS = words(
    *(
        "SUBSCRIBE K",
        "SUBSCRIBE K K",
        "UNSUBSCRIBE K",
        "UNSUBSCRIBE K K",
        "PSUBSCRIBE P",
        "PUNSUBSCRIBE",
        "PUNSUBSCRIBE P",
    ),
    *("PUBLISH K V", "PUBSUB NUMSUB K K", "PUBSUB NUMPAT", "PUBSUB CHANNELS x", "PING", "PING V", "SUBSCRIBE"),
)


def conversations(*commands: st.SearchStrategy[list[bytes]], clients: int = 1) -> st.SearchStrategy[list[Step]]:
    steps = st.tuples(st.integers(0, clients - 1), st.one_of(*commands))
    return st.lists(steps, min_size=1, max_size=25)


def same(plugin: Conversation, redis: Conversation, steps: Sequence[Step]) -> None:
    __tracebackhide__ = True
    expected, found = redis(steps), plugin(steps)
    # HELLO has the number of the connection.
    assert [without_numbers(each) for each in found] == [without_numbers(each) for each in expected]


def without_numbers(received: bytes) -> bytes:
    head, *rest = received.split(b"$2\r\nid\r\n:")
    return b"$2\r\nid\r\n:".join([head, *(each.partition(b"\r\n")[2] for each in rest)])


@settings(max_examples=60, deadline=None)
@given(conversations(STRINGS, STRINGS, GENERIC))
@example([(0, [b"SET", b"a", b"1000.1"]), (0, [b"INCRBYFLOAT", b"a", b"0"])])
def test_strings_and_keys(plugin: Conversation, redis: Conversation, steps: list[Step]) -> None:
    same(plugin, redis, steps)


@settings(max_examples=60, deadline=None)
@given(conversations(HASHES, HASHES, words("SET K V", "GET K", "DEL K", "TYPE K", "EXPIRE K 100", "DBSIZE", "HELLO 3")))
@example([(0, [b"HSET", b"a", b"f", b"", b"g", b"x" * 100]), (0, [b"HGETALL", b"a"])])
def test_hashes(plugin: Conversation, redis: Conversation, steps: list[Step]) -> None:
    same(plugin, redis, steps)


@pytest.mark.parametrize("commands", [LISTS, SETS], ids=["lists", "sets"])
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_lists_and_sets(
    plugin: Conversation, redis: Conversation, commands: st.SearchStrategy[list[bytes]], data: st.DataObject
) -> None:
    steps = data.draw(conversations(commands, commands, commands, OTHER_TYPES))
    (expected,), (found,) = redis(steps), plugin(steps)
    sent = [words for _, words in (FLUSH, *steps)]
    assert ordered(sent, found) == ordered(sent, expected)


def ordered(sent: Sequence[Sequence[bytes]], received: bytes) -> list[tuple[bytes, list[bytes]]]:
    """Return the head and the parts of each reply, the members of sets in the order of their bytes."""
    parts = [parts_of(without_numbers(reply)) for reply in split_replies(received)]
    names = [words[0].upper() for words in sent] + [b"QUIT"]
    assert len(parts) == len(names)
    return [
        (head, sorted(rest) if name in UNORDERED else rest) for name, (head, rest) in zip(names, parts, strict=True)
    ]


UNORDERED = {b"SMEMBERS", b"SINTER", b"SUNION", b"SDIFF", b"SPOP", b"SRANDMEMBER"}


def parts_of(reply: bytes) -> tuple[bytes, list[bytes]]:
    head, newline, rest = reply.partition(b"\r\n")
    if head[:1] not in b"*~":
        return reply, []
    parts = split_replies(rest)
    if len(parts) == 2 and parts[1][:1] == b"*":
        # A cursor, and what SSCAN returns.
        inner, found = parts_of(parts[1])
        return head + newline + parts[0] + inner, sorted(found)
    return head, parts


def test_in_a_transaction_no_command_waits(plugin: Conversation, redis: Conversation) -> None:
    commands = ("MULTI", "BLPOP a 0", "RPUSH b 1 2", "SET c x", "BRPOP a b 0", "BLPOP a c b 0", "BLPOP a b 1", "EXEC")
    same(plugin, redis, [(0, command.encode().split()) for command in ("HELLO 3", *commands, "RESET", *commands)])


@pytest.mark.parametrize("command", ["LTRIM a 0 -1", "LTRIM a 0 0", "LREM a 0 x", "LSET a 0 1", "LPUSHX b 1"])
def test_what_changes_a_list_for_those_that_watch_it(plugin: Conversation, redis: Conversation, command: str) -> None:
    commands = ("RPUSH a 1 2", "WATCH a b", command, "MULTI", "PING", "EXEC")
    same(plugin, redis, [(0, each.encode().split()) for each in commands])


@settings(max_examples=60, deadline=None)
@given(conversations(TRANSACTIONS, TRANSACTIONS, STRINGS, CONNECTION, GENERIC, clients=2))
def test_transactions_of_two_clients(plugin: Conversation, redis: Conversation, steps: list[Step]) -> None:
    same(plugin, redis, steps)


@settings(max_examples=60, deadline=None)
@given(
    conversations(
        SUBSCRIPTIONS, SUBSCRIPTIONS, words("HELLO 3", "HELLO 2", "RESET", "GET K", "MULTI", "EXEC"), clients=3
    )
)
@example([(0, [b"UNSUBSCRIBE"]), (0, [b"SUBSCRIBE", b"a"]), (0, [b"UNSUBSCRIBE"]), (1, [b"PUBLISH", b"a", b""])])
def test_subscriptions_of_three_clients(plugin: Conversation, redis: Conversation, steps: list[Step]) -> None:
    same(plugin, redis, steps)
