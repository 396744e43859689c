"""What the loss rule promises, on a real server that is killed, stopped, slow, full, replaced, or refuses.

Two workers of two hosts publish to each other. What arrives is counted: nothing twice, each key in order, and nothing
is missing without a gap.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterator, Sequence

import pytest

import reactorhost_redis
from reactorhost.bus import Backend, BackendState, Keep
from reactorhost.bus.refs import Origin
from reactorhost.ipc.counters import Counters
from reactorhost.logs import EventLog
from reactorhost.worker.bus.remote.backend_bridge import BackendBridge
from real_workers import OPTIONS, RealNetwork
from recorded_inbound import RecordedInbound
from redis_server import RedisServer

KILLS = 20
SOAK_KILLS = 200


class History:
    """Keeps the groups whose names begin with `kept`."""

    read_stored: Callable[[str, int, Callable[[Sequence[bytes] | None], object]], object] | None = None

    def keep_of(self, key: str) -> Keep | None:
        return Keep(1000, 60.0) if key.startswith("g:kept") else None

    def since(self, key: str, number: int) -> Sequence[tuple[int, bytes]] | None:
        return None


class Node:
    """A worker of a host of its own."""

    def __init__(self, network: RealNetwork, backend: Backend) -> None:
        self.inbound = RecordedInbound()
        self.counters = Counters()
        self.bridge = BackendBridge(
            Origin(os.urandom(8), os.urandom(8)),
            backend,
            network.reactor,
            self.inbound,
            History(),
            self.counters,
            EventLog(logging.getLogger("test.outages")),
            down_period=3.0,
        )
        self._numbers = itertools.count(1)
        self.sent: dict[str, int] = {}
        self.bridge.start()

    @property
    def up(self) -> bool:
        return self.bridge.state is BackendState.UP

    def publish(self, key: str) -> None:
        """Publish the next number of a key."""
        self.sent[key] = number = self.sent.get(key, 0) + 1
        self.bridge.publish(key, 0, b"%d" % number)

    def received(self, key: str) -> list[int]:
        return [int(data) for each, data in self.inbound.events if each == key and isinstance(data, bytes) and data]


@pytest.fixture
def soak(request: pytest.FixtureRequest) -> bool:
    """Return whether the long form was requested, by an option that only the tests of the host have."""
    return bool(request.config.getoption("--soak", default=False))


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def network(server: RedisServer) -> Iterator[RealNetwork]:
    with RealNetwork(server) as network:
        yield network


Join = Callable[..., Node]


@pytest.fixture
def join(network: RealNetwork) -> Iterator[Join]:
    nodes: list[Node] = []

    def join(*keys: str, url: str | None = None) -> Node:
        where = url or f"{network.server.url}?{OPTIONS}"
        node = Node(network, reactorhost_redis.backend(network.worker, where))
        nodes.append(node)
        for key in keys:
            node.bridge.want(key)
        network.until(lambda: node.bridge.state is not BackendState.CONNECTING)
        return node

    yield join
    for node in nodes:
        node.bridge.stop()


def check_key(publisher: Node, receiver: Node, key: str) -> tuple[int, int]:
    """Check order, repeats and gaps of a key; returns how many messages are missing, and how many gaps there were."""
    found = receiver.received(key)
    assert found == sorted(set(found)), "out of order, or twice"
    gaps = missing = last = 0
    reported = False
    for each, data in receiver.inbound.events:
        if each in (key, None) and data is False:
            gaps += 1
            reported = True
        elif each == key and isinstance(data, bytes) and data:
            number = int(data)
            if number != last + 1:
                missing += number - last - 1
                assert reported, f"{key}: {last + 1} to {number - 1} are missing, and there was no gap"
            last, reported = number, False
    if last != publisher.sent[key]:
        missing += publisher.sent[key] - last
        assert reported, f"{key}: those after {last} are missing, and there was no gap"
    return missing, gaps


@pytest.mark.timeout(600)
def test_killed_many_times_under_traffic(
    server: RedisServer, network: RealNetwork, join: Join, soak: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = ("t:topic", "g:group", "g:kept")
    one, other = join(*keys), join(*keys)
    kills = SOAK_KILLS if soak else KILLS

    def traffic(turns: int) -> None:
        for _ in range(turns):
            for key in keys:
                one.publish(key)
                other.publish(key)
            network.turn()

    for number in range(kills):
        traffic(20)
        # In the middle of a turn's batch, with what was sent on its way.
        one.publish("t:topic")
        server.kill()
        traffic(3 + number % 5)
        server.start()
        network.until(lambda: one.up and other.up)
    traffic(20)
    # A last message that arrives shows what is missing before it, and notices are sent with the next heartbeat.
    ends = {key: (one.sent[key] + 1, other.sent[key] + 1) for key in keys}
    traffic(1)
    network.until(
        lambda: all(ends[key][0] in other.received(key) and ends[key][1] in one.received(key) for key in keys)
    )
    total = missing = gaps = 0
    for publisher, receiver in ((one, other), (other, one)):
        for key in keys:
            lost, reported = check_key(publisher, receiver, key)
            total += publisher.sent[key]
            missing += lost
            gaps += reported
    assert missing > 0, "the server was never away: this test shows nothing"
    with capsys.disabled():
        if soak:
            print(f"\n{kills} kills: {total} published, {total - missing} received, {missing} missing, {gaps} gaps")  # noqa: T201


def test_a_stopped_server_is_noticed_and_what_was_sent_meanwhile_arrives_or_is_a_gap(
    server: RedisServer, network: RealNetwork, join: Join
) -> None:
    url = f"{server.url}?timeout=1&{OPTIONS}"
    one, other = join("t:a", url=url), join("t:a", url=url)
    one.publish("t:a")
    network.until(lambda: 1 in other.received("t:a"))
    server.pause()
    one.publish("t:a")
    network.until(lambda: not one.up and not other.up)
    assert "does not answer within 1 s" in one.bridge.reason
    one.publish("t:a")
    server.resume()
    network.until(lambda: one.up and other.up)
    one.publish("t:a")
    network.until(lambda: 4 in other.received("t:a"))
    check_key(one, other, "t:a")


def test_a_server_that_stops_for_a_moment_costs_nothing(server: RedisServer, network: RealNetwork, join: Join) -> None:
    one, other = join("t:a"), join("t:a")
    server.pause()
    for _ in range(100):
        one.publish("t:a")
    network.turn()
    server.resume()
    network.until(lambda: other.received("t:a") == list(range(1, 101)))
    assert other.inbound.gaps == []


def test_history_fills_the_gap_of_one_connection(server: RedisServer, network: RealNetwork, join: Join) -> None:
    one, other = join("g:kept"), join("g:kept")
    one.publish("g:kept")
    network.until(lambda: other.received("g:kept") == [1])
    # As for a subscriber that is too slow: the server closes its connection.
    clients = server.command("CLIENT", "LIST").decode().splitlines()
    for fields in (dict(word.partition("=")[::2] for word in line.split()) for line in clients):
        if "pubsub" in fields["name"]:
            server.command("CLIENT", "KILL", "ID", fields["id"])
    one.publish("g:kept")
    one.publish("g:kept")
    network.until(lambda: not other.up)
    network.until(lambda: other.received("g:kept") == [1, 2, 3])
    network.until(lambda: ("g:kept", True) in other.inbound.gaps)
    assert ("g:kept", False) not in other.inbound.gaps


def test_a_slow_subscriber_is_cut_by_the_server_and_has_a_gap(
    server: RedisServer, network: RealNetwork, join: Join
) -> None:
    server.command("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 1mb 1")
    one, other = join("t:a"), join("t:a")
    # It does not read while the others publish more than the sockets and the server hold.
    for _ in range(400):
        server.command("PUBLISH", "reactorhost:t:a", bytes(100_000))
    network.until(lambda: not other.up)
    network.until(lambda: one.up and other.up)
    assert ("t:a", False) in other.inbound.gaps


def test_a_server_that_was_replaced_by_an_empty_one_says_not_recovered(
    server: RedisServer, network: RealNetwork, join: Join
) -> None:
    one, other = join("g:kept"), join("g:kept")
    one.publish("g:kept")
    network.until(lambda: other.received("g:kept") == [1])
    server.restart()
    network.until(lambda: other.inbound.gaps)
    network.until(lambda: one.up and other.up)
    assert other.inbound.gaps[0] == ("g:kept", False)
    one.publish("g:kept")
    network.until(lambda: other.received("g:kept")[-1] == 2)


def test_a_wrong_password_is_tried_again_until_it_is_right(
    server: RedisServer, network: RealNetwork, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    server.command("CONFIG", "SET", "requirepass", "right")
    url = f"redis://:wrong-pw@127.0.0.1:{server.port}?{OPTIONS}"
    node = join("t:a", url=url)
    assert "the password is wrong" in node.bridge.reason
    server.command("CONFIG", "SET", "requirepass", "wrong-pw", password="right")
    network.until(lambda: node.up)
    assert "wrong-pw" not in caplog.text
    assert caplog.text.count("the password is wrong") == 1


@pytest.mark.parametrize(
    ("channels", "wanted"), [("&reactorhost:*", ("t:a", "g:kept")), ("allchannels", ("t:*", "g:kept*"))]
)
def test_a_user_with_few_rights_is_enough(
    channels: str, wanted: tuple[str, ...], server: RedisServer, network: RealNetwork, join: Join
) -> None:
    # As in the README.
    commands = "+@connection +publish +subscribe +unsubscribe +psubscribe +punsubscribe +xadd +xrevrange +pexpire"
    keys = "~reactorhost:*"
    server.command("ACL", "SETUSER", "bus", "reset", "on", ">pw", *commands.split(), "resetchannels", channels, keys)
    url = f"redis://bus:pw@127.0.0.1:{server.port}?{OPTIONS}"
    one, other = join("t:a", url=url), join(*wanted, url=url)
    assert one.up
    assert other.up
    one.publish("t:a")
    one.publish("g:kept")
    network.until(lambda: other.received("t:a") == [1] and other.received("g:kept") == [1])
    found: list[object] = []
    one.bridge.stored("g:kept", 5, found.append)
    network.until(lambda: found)
    assert len(found[0]) == 1  # type: ignore[arg-type]  # a list
    assert (one.counters.bus_dropped, other.counters.bus_dropped) == (0, 0)


def test_a_user_without_the_right_to_a_channel_is_logged(server: RedisServer, network: RealNetwork, join: Join) -> None:
    server.command("ACL", "SETUSER", "bus", "reset", "on", ">pw", "+@all", "resetchannels", "&reactorhost:*", "~*")
    url = f"redis://bus:pw@127.0.0.1:{server.port}?{OPTIONS}"
    assert "may not run a command or use a channel" in join("t:a", url=f"{url}&prefix=foreign").bridge.reason
    # The server compares a pattern with the pattern of the rule, and they are not the same.
    assert "may not run a command or use a channel" in join("t:*", url=url).bridge.reason


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (("CONFIG", "SET", "maxmemory", "1"), "has reached maxmemory"),
        (("REPLICAOF", "127.0.0.1", "1"), "read-only replica"),
    ],
    ids=["full", "replica"],
)
def test_a_server_that_stores_nothing_still_carries_messages(
    refusal: tuple[str, ...],
    sentence: str,
    server: RedisServer,
    network: RealNetwork,
    join: Join,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.command("CONFIG", "SET", "replica-serve-stale-data", "yes")
    one, other = join("g:kept"), join("g:kept")
    server.command(*refusal)
    network.until(lambda: one.up and other.up)
    for _ in range(3):
        one.publish("g:kept")
    network.until(lambda: other.received("g:kept") == [1, 2, 3])
    network.until(lambda: one.counters.bus_dropped == 3)
    assert caplog.text.count(sentence) == 1
    assert other.inbound.messages == [b"1", b"2", b"3"]


def test_100_000_keys_are_subscribed_again_before_it_is_up(
    server: RedisServer, network: RealNetwork, join: Join, soak: bool
) -> None:
    count = 100_000 if soak else 20_000
    node = join()
    for number in range(count):
        node.bridge.want(f"g:{number}")
    network.until(lambda: channels(server) >= count)
    server.restart()
    network.until(lambda: not node.up)
    network.until(lambda: node.up)
    assert channels(server) >= count


def channels(server: RedisServer) -> int:
    """Return how many channels have subscribers."""
    return len(server.command("PUBSUB", "CHANNELS"))
