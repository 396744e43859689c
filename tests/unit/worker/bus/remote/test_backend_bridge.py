"""The bus between hosts: envelopes, gaps, recovery from what is stored, presence. On a server like NATS, in memory."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from fake_nats import FakeNats, NatsBackend
from reactorhost.bus import frames
from reactorhost.bus.backend import BackendState, Keep
from reactorhost.bus.envelope import Envelope, EnvelopeFlags, opened, sealed
from reactorhost.bus.refs import Origin
from reactorhost.bus.replica import Change, Chunk, Replicated
from reactorhost.ipc.counters import Counters
from reactorhost.logs import EventLog
from reactorhost.reactor import Reactor
from reactorhost.testing.fakes import FakeClock, FakePoller, turn
from reactorhost.worker.bus.remote import backend_bridge, notices
from reactorhost.worker.bus.remote.backend_bridge import BackendBridge
from recorded_inbound import RecordedInbound

DOWN_PERIOD = 30.0

OnStored = Callable[[Sequence[bytes] | None], object]


class LossyBackend(NatsBackend):
    """Loses or refuses the messages that a test chooses."""

    drops: Callable[[str, bytes], bool] = staticmethod(lambda key, payload: False)
    refuses = False
    slow_reads = False

    def publish(self, key: str, payload: bytes, keep: Keep | None) -> bool:
        if self.refuses:
            return False
        return self.drops(key, payload) or super().publish(key, payload, keep)

    def stored(self, key: str, most: int, on_result: OnStored) -> None:
        def answer_later(found: Sequence[bytes] | None) -> None:
            self._server.later(lambda: self._server.later(lambda: self._server.later(lambda: on_result(found))))

        super().stored(key, most, answer_later if self.slow_reads else on_result)


class KeptGroups:
    """A history of the groups whose names begin with `kept`."""

    def __init__(self) -> None:
        self.read_stored: Callable[[str, int, OnStored], object] | None = None

    def keep_of(self, key: str) -> Keep | None:
        return Keep(10) if key.startswith("g:kept") else None

    def since(self, key: str, number: int) -> Sequence[tuple[int, bytes]] | None:
        return None


class Node:
    """A worker of a host."""

    def __init__(self, cluster: Cluster, origin: Origin) -> None:
        self.origin = origin
        self.inbound = RecordedInbound()
        self.history = KeptGroups()
        self.counters = Counters()
        self.backend = LossyBackend(cluster.server)
        self.states: list[tuple[BackendState, str]] = []
        self.bridge = BackendBridge(
            origin,
            self.backend,
            cluster.reactor,
            self.inbound,
            self.history,
            self.counters,
            EventLog(logging.getLogger("test.bridge")),
            down_period=DOWN_PERIOD,
            on_state=lambda state, reason: self.states.append((state, reason)),
        )
        self.bridge.start()
        cluster.settle()


class Cluster:
    """Workers on one server, with one clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.poller = FakePoller(self.clock)
        self.reactor = Reactor(self.poller, self.clock)
        self.server = FakeNats()
        self._ids = itertools.count(1)

    def node(self, host: bytes | None = None) -> Node:
        number = next(self._ids)
        return Node(self, Origin(host or b"%08d" % number, b"%08d" % (number + 100)))

    def settle(self) -> None:
        self.server.settle()
        while turn(self.reactor, self.poller):
            self.server.settle()

    def advance(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.clock.now += 1.0
            self.settle()

    def outage(self) -> None:
        self.server.cut()
        self.settle()
        self.server.restore()
        self.settle()


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def send(node: Node, key: str, *messages: bytes, number: int = 0) -> None:
    for message in messages:
        node.bridge.publish(key, number, message)


def test_a_message_reaches_the_workers_of_other_hosts_that_want_it(cluster: Cluster) -> None:
    one, sibling, other, third = cluster.node(b"one-host"), cluster.node(b"one-host"), cluster.node(), cluster.node()
    for node in (one, sibling, other):
        node.bridge.want("g:room")
    send(one, "g:room", b"hello", number=4)
    cluster.settle()
    assert other.inbound.events == [("g:room", b"hello")]
    assert other.inbound.numbers == [4]
    # Those of the own host have it already, and the third does not want it.
    assert [node.inbound.events for node in (one, sibling, third)] == [[], [], []]


def test_what_arrives_after_drop_is_not_delivered(cluster: Cluster) -> None:
    one, other = cluster.node(), cluster.node()
    other.bridge.want("t:*")
    other.bridge.drop("t:*")
    other.bridge.received("t:a", sealed(opened(payload_of(cluster, one, "t:a"))))
    assert other.inbound.events == []


def payload_of(cluster: Cluster, node: Node, key: str) -> bytes:
    """Return the payload of the node's next message."""
    payloads: list[bytes] = []

    def drop(key: str, payload: bytes) -> bool:
        payloads.append(payload)
        return True

    node.backend.drops = drop
    send(node, key, b"message")
    node.backend.drops = lambda key, payload: False
    return payloads[0]


def test_a_repeated_payload_is_delivered_once(cluster: Cluster) -> None:
    one, other = cluster.node(), cluster.node()
    other.bridge.want("t:a")
    payload = payload_of(cluster, one, "t:a")
    other.bridge.received("t:a", payload)
    other.bridge.received("t:a", payload)
    assert other.inbound.events == [("t:a", b"message")]


def test_a_missing_number_is_a_gap_before_the_message(cluster: Cluster) -> None:
    one, other = cluster.node(), cluster.node()
    other.bridge.want("t:a")
    send(one, "t:a", b"1")
    payload_of(cluster, one, "t:a")
    payload_of(cluster, one, "t:a")
    send(one, "t:a", b"4")
    cluster.settle()
    assert other.inbound.events == [("t:a", b"1"), ("t:a", False), ("t:a", b"4")]
    assert other.counters.bus_dropped == 2


def test_a_key_that_was_dropped_meanwhile_has_no_gap(cluster: Cluster) -> None:
    one, other = cluster.node(), cluster.node()
    other.bridge.want("t:a")
    send(one, "t:a", b"1")
    cluster.settle()
    other.bridge.drop("t:a")
    send(one, "t:a", b"2")
    cluster.settle()
    other.bridge.want("t:a")
    send(one, "t:a", b"3")
    cluster.settle()
    assert other.inbound.events == [("t:a", b"1"), ("t:a", b"3")]


def test_a_gap_in_a_kept_key_is_filled_in_order_from_what_is_stored(cluster: Cluster) -> None:
    one, other = cluster.node(), cluster.node()
    other.bridge.want("g:kept")
    send(one, "g:kept", b"1")
    cluster.settle()
    # Stored, and cut off on its way to the other host.
    received, other.backend._link = other.backend._link, None
    send(one, "g:kept", b"2", b"3")
    cluster.settle()
    other.backend._link = received
    send(one, "g:kept", b"4", b"5")
    cluster.settle()
    assert other.inbound.events == [*(("g:kept", b"%d" % number) for number in range(1, 6)), ("g:kept", True)]
    assert other.counters.bus_dropped == 0


def test_a_gap_that_is_not_stored_is_not_recovered(cluster: Cluster) -> None:
    one, other = cluster.node(), cluster.node()
    other.bridge.want("g:kept")
    send(one, "g:kept", b"1")
    payload_of(cluster, one, "g:kept")
    send(one, "g:kept", b"3")
    cluster.settle()
    assert other.inbound.events == [("g:kept", b"1"), ("g:kept", False), ("g:kept", b"3")]


def test_a_dropped_message_without_a_next_one_is_noticed_by_a_heartbeat(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = cluster.node(), cluster.node()
    other.bridge.want("t:a")
    send(one, "t:a", b"1")
    cluster.settle()
    one.backend.refuses = True
    send(one, "t:a", b"2")
    send(one, "t:a", b"3")
    one.backend.refuses = False
    cluster.advance(DOWN_PERIOD / 3 + 1)
    assert other.inbound.events == [("t:a", b"1"), ("t:a", False)]
    assert one.counters.bus_dropped == other.counters.bus_dropped == 2
    assert [record.message.split()[0] for record in caplog.records] == ["bus_messages_dropped"]
    cluster.advance(DOWN_PERIOD)
    send(one, "t:a", b"4")
    cluster.settle()
    assert other.inbound.events[2:] == [("t:a", b"4")]


@pytest.mark.parametrize(
    ("state", "reason", "logged"),
    [
        (BackendState.CONNECTING, "", "the server is not connected yet"),
        (BackendState.UP, "", "too much waits for the server"),
        (BackendState.DOWN, "connection refused", "connection refused"),
    ],
)
def test_a_drop_is_logged_with_its_reason(
    cluster: Cluster, caplog: pytest.LogCaptureFixture, state: BackendState, reason: str, logged: str
) -> None:
    one = cluster.node()
    one.bridge.state_changed(state, reason)
    one.backend.refuses = True
    send(one, "t:a", b"1")
    cluster.settle()
    assert [vars(record)["reactorhost_fields"]["reason"] for record in caplog.records] == [logged]


def test_what_was_dropped_before_the_first_connection_is_a_gap_elsewhere(cluster: Cluster) -> None:
    one, other = cluster.node(), cluster.node()
    other.bridge.want("t:a")
    one.bridge.state_changed(BackendState.CONNECTING)
    one.backend.refuses = True
    send(one, "t:a", b"1")
    one.backend.refuses = False
    one.bridge.state_changed(BackendState.UP)
    cluster.settle()
    assert other.inbound.events == [("t:a", False)]


def test_drops_of_very_many_keys_are_noticed_as_one_of_unknown_keys(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "MOST_KEYS", 3)
    one, other = cluster.node(), cluster.node()
    one.backend.refuses = True
    for number in range(4):
        send(one, f"t:{number}", b"")
    one.backend.refuses = False
    cluster.advance(DOWN_PERIOD / 3 + 1)
    assert other.inbound.events == [(None, False)]


def test_a_loss_that_the_backend_reports_counts_too(cluster: Cluster) -> None:
    one, other = cluster.node(), cluster.node()
    other.bridge.want("t:a")
    payload_of(cluster, one, "t:a")
    one.bridge.lost(("t:a",), 1)
    cluster.advance(DOWN_PERIOD / 3 + 1)
    assert other.inbound.events == [("t:a", False)]
    one.bridge.lost(None, 5)
    cluster.advance(DOWN_PERIOD / 3 + 1)
    assert other.inbound.gaps == [("t:a", False), (None, False)]
    assert one.counters.bus_dropped == 6


@pytest.mark.parametrize(("refuses", "reason"), [(True, "too much waits"), (False, "refused to pass them on")])
def test_the_log_says_why_a_message_is_dropped(
    refuses: bool, reason: str, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    node = cluster.node()
    node.backend.refuses = refuses
    send(node, "t:a", b"1")
    if not refuses:
        # As a server that is full: it stores nothing, and the connection stays.
        node.bridge.lost(("t:a",), 1)
    cluster.settle()
    (line,) = caplog.records
    assert reason in str(line.__dict__)


# A connection that was lost.


def test_after_an_outage_everything_wanted_has_a_gap(cluster: Cluster) -> None:
    one, other = cluster.node(), cluster.node()
    for pattern in ("t:a", "t:b*", "g:room", "g:*"):
        other.bridge.want(pattern)
    cluster.outage()
    # No connection is a member of `g:*`: it is wanted for the history.
    assert other.inbound.events == [("t:a", False), ("t:b*", False), ("g:room", False)]
    assert one.inbound.events == []
    assert [state for state, _ in other.states] == [
        BackendState.CONNECTING,
        BackendState.UP,
        BackendState.DOWN,
        BackendState.UP,
    ]


def test_the_first_connection_has_no_gap(cluster: Cluster) -> None:
    node = cluster.node()
    node.bridge.want("t:a")
    cluster.settle()
    assert node.inbound.events == []


def test_after_an_outage_a_jump_of_numbers_is_not_a_second_gap(cluster: Cluster) -> None:
    one, other = cluster.node(), cluster.node()
    other.bridge.want("t:a")
    send(one, "t:a", b"1")
    cluster.settle()
    other.backend.disconnected()
    send(one, "t:a", b"2", b"3")
    cluster.settle()
    other.backend.connected()
    send(one, "t:a", b"4")
    payload_of(cluster, one, "t:a")
    send(one, "t:a", b"6")
    cluster.settle()
    # The second one is for a message that was lost since.
    assert other.inbound.events == [("t:a", b"1"), ("t:a", False), ("t:a", b"4"), ("t:a", False), ("t:a", b"6")]


class TestNotices:
    """What a publisher has dropped because its connection was lost, for receivers that have lost theirs too."""

    @pytest.fixture
    def one(self, cluster: Cluster) -> Node:
        return cluster.node()

    @pytest.fixture
    def other(self, cluster: Cluster) -> Node:
        node = cluster.node()
        for key in ("t:a", "g:kept"):
            node.bridge.want(key)
        return node

    @staticmethod
    def outage(cluster: Cluster, one: Node, other: Node, *keys: str, dropped_after: bool) -> None:
        """Lose both connections; `one` drops messages before or after `other` is connected again, then it is too."""
        cluster.settle()
        for node in (one, other):
            node.backend.disconnected()
        if not dropped_after:
            for key in keys:
                send(one, key, b"dropped")
        cluster.advance(1)
        other.backend.connected()
        cluster.advance(1)
        if dropped_after:
            for key in keys:
                send(one, key, b"dropped")
        one.backend.connected()
        cluster.settle()

    @pytest.mark.parametrize("known", [True, False])
    @pytest.mark.parametrize(("dropped_after", "gaps"), [(False, 1), (True, 2)])
    def test_an_outage_is_a_second_gap_only_if_something_was_dropped_after_the_first(
        self, known: bool, dropped_after: bool, gaps: int, cluster: Cluster, one: Node, other: Node
    ) -> None:
        if known:
            send(one, "t:a", b"before")
        self.outage(cluster, one, other, "t:a", dropped_after=dropped_after)
        assert [key for key, _ in other.inbound.gaps].count("t:a") == gaps
        send(one, "t:a", b"after")
        cluster.advance(DOWN_PERIOD)
        assert other.inbound.events[-1] == ("t:a", b"after")
        assert [key for key, _ in other.inbound.gaps].count("t:a") == gaps

    @pytest.mark.parametrize(("dropped_after", "gaps"), [(False, [("g:kept", False)]), (True, [(None, False)])])
    def test_a_notice_for_all_keys_too(
        self,
        dropped_after: bool,
        gaps: list[tuple[str | None, bool]],
        cluster: Cluster,
        one: Node,
        other: Node,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(notices, "MOST_KEYS", 2)
        send(one, "g:kept", b"1")
        self.outage(cluster, one, other, "t:a", "t:b", "g:kept", dropped_after=dropped_after)
        # The history could not show that one was dropped before it was stored.
        assert other.inbound.gaps == [("t:a", False), ("g:kept", True), *gaps]

    def test_what_was_not_stored_is_not_recovered_after_all(self, cluster: Cluster, one: Node, other: Node) -> None:
        send(one, "g:kept", b"1")
        self.outage(cluster, one, other, "g:kept", dropped_after=False)
        assert other.inbound.gaps == [("t:a", False), ("g:kept", True), ("g:kept", False)]

    def test_a_first_connection_reports_nothing_so_a_notice_is_a_gap(self, cluster: Cluster) -> None:
        cluster.server.running = False
        one, other = cluster.node(), cluster.node()
        other.bridge.state = BackendState.CONNECTING
        other.bridge._was_down = False
        other.bridge.want("t:a")
        cluster.advance(1)
        send(one, "t:a", b"dropped")
        cluster.advance(1)
        other.backend.connected()
        cluster.advance(1)
        one.backend.connected()
        cluster.settle()
        assert other.inbound.gaps == [("t:a", False)]

    def test_a_notice_goes_before_the_next_message(self, cluster: Cluster, one: Node, other: Node) -> None:
        send(one, "t:a", b"1")
        cluster.settle()
        other.backend.disconnected()
        other.backend.connected()
        cluster.advance(1)
        one.backend.refuses = True
        send(one, "t:a", b"2")
        one.backend.refuses = False
        # The first one after the reconnect: its number alone does not show when the one before was dropped.
        send(one, "t:a", b"3")
        cluster.settle()
        assert other.inbound.events == [
            ("t:a", b"1"),
            ("t:a", False),
            ("g:kept", False),
            ("t:a", False),
            ("t:a", b"3"),
        ]

    def test_a_message_whose_notice_is_not_accepted_waits_for_none(
        self, cluster: Cluster, one: Node, other: Node
    ) -> None:
        one.backend.refuses = True
        send(one, "t:a", b"1")
        one.backend.refuses = False
        one.backend.drops = lambda key, payload: False
        refused: list[bytes] = []

        def refuse_notices(key: str, payload: bytes, keep: Keep | None) -> bool:
            if opened(payload).is_notice:
                refused.append(payload)
                return False
            return LossyBackend.publish(one.backend, key, payload, keep)

        one.backend.publish = refuse_notices  # type: ignore[method-assign]
        send(one, "t:a", b"2")
        cluster.settle()
        assert refused
        assert other.inbound.events == []
        assert one.counters.bus_dropped == 2


class TestRecovery:
    """What was missed in an outage of one worker, while others went on."""

    @pytest.fixture
    def one(self, cluster: Cluster) -> Node:
        return cluster.node()

    @pytest.fixture
    def other(self, cluster: Cluster) -> Node:
        node = cluster.node()
        node.bridge.want("g:kept")
        return node

    def away(self, cluster: Cluster, node: Node) -> None:
        cluster.settle()
        node.backend.disconnected()

    def back(self, cluster: Cluster, node: Node) -> None:
        node.backend.connected()

    def test_what_is_stored_is_delivered_in_order_and_before_what_is_new(
        self, cluster: Cluster, one: Node, other: Node
    ) -> None:
        other.backend.slow_reads = True
        send(one, "g:kept", b"1")
        self.away(cluster, other)
        send(one, "g:kept", b"2", b"3")
        cluster.settle()
        self.back(cluster, other)
        send(one, "g:kept", b"4")
        cluster.settle()
        send(one, "g:kept", b"5")
        cluster.settle()
        assert other.inbound.events == [
            *(("g:kept", b"%d" % number) for number in range(1, 5)),
            ("g:kept", True),
            ("g:kept", b"5"),
        ]

    def test_the_messages_of_a_worker_that_is_new_are_delivered_too(
        self, cluster: Cluster, one: Node, other: Node
    ) -> None:
        send(one, "g:kept", b"1")
        self.away(cluster, other)
        third = cluster.node()
        send(third, "g:kept", b"a", b"b")
        cluster.settle()
        send(one, "g:kept", b"2")
        cluster.settle()
        self.back(cluster, other)
        cluster.settle()
        assert other.inbound.messages == [b"1", b"a", b"b", b"2"]
        assert other.inbound.gaps == [("g:kept", True)]

    def test_what_was_stored_before_the_worker_wanted_the_key_is_not_delivered(
        self, cluster: Cluster, one: Node
    ) -> None:
        send(one, "g:kept", b"old")
        cluster.settle()
        other = cluster.node()
        other.bridge.want("g:kept")
        cluster.settle()
        third = cluster.node()
        send(third, "g:kept", b"1")
        self.away(cluster, other)
        self.back(cluster, other)
        cluster.settle()
        assert other.inbound.messages == [b"1"]
        assert other.inbound.gaps == [("g:kept", True)]

    def test_more_than_is_stored_is_not_recovered(self, cluster: Cluster, one: Node, other: Node) -> None:
        send(one, "g:kept", b"0")
        self.away(cluster, other)
        send(one, "g:kept", *(b"%d" % number for number in range(1, 13)))
        cluster.settle()
        self.back(cluster, other)
        cluster.settle()
        assert other.inbound.messages == [b"0", *(b"%d" % number for number in range(3, 13))]
        assert other.inbound.gaps == [("g:kept", False)]

    def test_a_server_that_came_back_empty_is_not_recovered(self, cluster: Cluster, one: Node, other: Node) -> None:
        send(one, "g:kept", b"1")
        self.away(cluster, other)
        cluster.server.stored.clear()
        self.back(cluster, other)
        cluster.settle()
        assert other.inbound.gaps == [("g:kept", False)]

    def test_a_second_outage_during_the_recovery_loses_nothing_in_silence(
        self, cluster: Cluster, one: Node, other: Node
    ) -> None:
        send(one, "g:kept", b"1")
        self.away(cluster, other)
        send(one, "g:kept", b"2")
        cluster.settle()
        self.back(cluster, other)
        other.backend.disconnected()
        cluster.settle()
        self.back(cluster, other)
        cluster.settle()
        assert other.inbound.messages == [b"1", b"2"]
        assert other.inbound.gaps[-1] == ("g:kept", True)

    def test_a_key_that_is_dropped_during_the_recovery_is_not_delivered(
        self, cluster: Cluster, one: Node, other: Node
    ) -> None:
        send(one, "g:kept", b"1")
        self.away(cluster, other)
        send(one, "g:kept", b"2")
        cluster.settle()
        self.back(cluster, other)
        other.bridge.drop("g:kept")
        cluster.settle()
        assert other.inbound.events == [("g:kept", b"1")]

    @pytest.mark.parametrize("data", [b"3" * 20, b""])
    def test_what_is_held_is_bounded(
        self, cluster: Cluster, one: Node, other: Node, monkeypatch: pytest.MonkeyPatch, data: bytes
    ) -> None:
        monkeypatch.setattr("reactorhost.worker.bus.remote.recovery.MOST_HELD_BYTES", 10)
        send(one, "g:kept", b"1")
        self.away(cluster, other)
        send(one, "g:kept", b"2")
        cluster.settle()
        waiting: list[Callable[[], object]] = []
        monkeypatch.setattr(other.backend, "stored", lambda *args: waiting.append(lambda: args[2]([])))
        self.back(cluster, other)
        send(one, "g:kept", data)
        cluster.settle()
        assert other.inbound.events == [("g:kept", b"1"), ("g:kept", False), ("g:kept", data)]
        # The answer comes too late.
        waiting[0]()
        assert len(other.inbound.events) == 3

    def test_many_keys_are_read_some_at_a_time(
        self, cluster: Cluster, one: Node, other: Node, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("reactorhost.worker.bus.remote.recovery.MOST_READS", 2)
        keys = [f"g:kept{number}" for number in range(7)]
        for key in keys:
            other.bridge.want(key)
            send(one, key, b"1")
        self.away(cluster, other)
        for key in keys:
            send(one, key, b"2")
        cluster.settle()
        self.back(cluster, other)
        cluster.settle()
        assert {key for key, recovered in other.inbound.gaps if recovered} == set(keys)
        assert other.inbound.messages == [b"1"] * 7 + [b"2"] * 7

    def test_stored_messages_are_read_with_origin_and_number(self, cluster: Cluster, one: Node, other: Node) -> None:
        send(one, "g:kept", b"1", number=7)
        send(other, "g:kept", b"2", number=8)
        cluster.settle()
        found: list[object] = []
        other.bridge.stored("g:kept", 5, lambda read: found.extend(read or ()))
        messages: list[Sequence[bytes] | None] = []
        assert other.history.read_stored is not None
        other.history.read_stored("g:kept", 1, messages.append)
        cluster.settle()
        assert messages == [[b"2"]]
        assert [(each.origin, each.number, each.data) for each in found] == [  # type: ignore[attr-defined]
            (one.origin, 7, b"1"),
            (other.origin, 8, b"2"),
        ]


# What cannot be read.


def test_other_versions_are_dropped_counted_and_logged_once_a_minute(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = cluster.node(), cluster.node()
    other.bridge.want("t:a")
    payload = b"\x09" + payload_of(cluster, one, "t:a")[1:]
    for _ in range(3):
        other.bridge.received("t:a", payload)
    assert other.inbound.events == []
    assert other.counters.bus_dropped == 3
    (line,) = caplog.records
    assert "version 9 of the bus" in str(line.__dict__)
    cluster.advance(61)
    other.bridge.received("t:a", payload)
    assert len(caplog.records) == 2


@pytest.mark.parametrize("data", [b"\0\0\0\0\0", b"\0\0\0\1\x63", b"\0\0\0\2\x02\0"])
def test_malformed_frames_are_dropped_and_counted(data: bytes, cluster: Cluster) -> None:
    one, other = cluster.node(), cluster.node()
    payload = sealed(opened(payload_of(cluster, one, "t:a"))._replace(data=data))
    other.bridge.received(backend_bridge.ALL_WORKERS, payload)
    assert other.counters.bus_dropped == 1


# Presence, and single connections.


def test_members_are_known_on_other_hosts_and_leave_with_their_worker(cluster: Cluster) -> None:
    one, other = cluster.node(), cluster.node()
    one.bridge.set_member("room\x001", b"Ann")
    one.bridge.set_member("room\x002", b"Bob")
    cluster.settle()
    assert other.inbound.members[one.origin] == {"room\x001": b"Ann", "room\x002": b"Bob"}
    assert dict(other.bridge.presence()) == {one.origin: {"room\x001": b"Ann", "room\x002": b"Bob"}}
    one.bridge.set_member("room\x001", None)
    cluster.settle()
    assert other.inbound.members[one.origin] == {"room\x002": b"Bob"}
    # It is silent, as one that was killed.
    one.bridge.stop()
    cluster.advance(DOWN_PERIOD - 2)
    assert one.origin in other.inbound.members
    cluster.advance(15)
    assert one.origin not in other.inbound.members
    assert not other.bridge.to_connection(one.origin, 1, b"")


@pytest.mark.parametrize("in_order", [True, False])
def test_the_members_of_a_worker_whose_end_is_reported_leave_at_once(cluster: Cluster, in_order: bool) -> None:
    killed, reporter, other = cluster.node(b"one host"), cluster.node(b"one host"), cluster.node()
    for node in (killed, reporter):
        node.bridge.set_member("room\x001", b"Ann")
    cluster.settle()
    members = {origin: dict(table) for origin, table in other.bridge.presence()}
    assert set(members) == {killed.origin, reporter.origin}
    reporter.bridge.report_ended(killed.origin, in_order)
    reporter.bridge.report_ended(killed.origin, in_order)
    # What it had sent itself may arrive later.
    killed.bridge.set_member("room\x002", b"Bob")
    killed.backend.publish("p:", sealed_chunk(killed.origin), None)
    cluster.settle()
    assert other.inbound.events == ([] if in_order else [(None, False)])
    del members[killed.origin]
    assert other.inbound.members == dict(other.bridge.presence()) == members
    assert not other.bridge.to_connection(killed.origin, 1, b"")
    killed.bridge.stop()
    cluster.advance(2 * DOWN_PERIOD)
    assert other.inbound.members == members
    assert killed.origin not in other.bridge._remote._workers


def sealed_chunk(origin: Origin) -> bytes:
    """Return what a worker sends of its members when another one starts."""
    chunk = frames.table_chunk(Replicated.PRESENCE, Chunk(1, 0, True, [("room\x003", b"Cleo")]))
    return sealed(Envelope(origin.host, origin.worker, EnvelopeFlags(0), 0, 0, chunk))


def test_all_members_leave_at_once_when_their_worker_says_so(cluster: Cluster) -> None:
    one, other = cluster.node(), cluster.node()
    one.bridge.set_member("room\x001", b"Ann")
    one.bridge.set_member("room\x002", b"Bob")
    cluster.settle()
    one.bridge.leave()
    cluster.settle()
    assert other.inbound.members[one.origin] == {}
    # Their connections end later, when nothing is sent any more.
    one.backend.refuses = True
    one.bridge.set_member("room\x001", None)
    cluster.advance(1)
    assert other.inbound.members[one.origin] == {}


def test_a_worker_that_starts_learns_the_members_at_once(cluster: Cluster) -> None:
    one = cluster.node()
    one.bridge.set_member("room\x001", b"Ann")
    cluster.settle()
    other = cluster.node()
    assert other.inbound.members[one.origin] == {"room\x001": b"Ann"}
    assert other.inbound.firsts == [one.origin]
    assert one.inbound.firsts == [other.origin]


def test_a_change_that_was_lost_is_repaired_by_a_heartbeat(cluster: Cluster) -> None:
    one, other = cluster.node(), cluster.node()
    one.backend.refuses = True
    one.bridge.set_member("room\x001", b"Ann")
    one.backend.refuses = False
    cluster.advance(DOWN_PERIOD / 3 + 1)
    assert other.inbound.members[one.origin] == {"room\x001": b"Ann"}


def test_members_stay_over_a_short_outage_and_change_after_it(cluster: Cluster) -> None:
    one, other = cluster.node(), cluster.node()
    one.bridge.set_member("room\x001", b"Ann")
    cluster.settle()
    cluster.server.cut()
    cluster.settle()
    one.bridge.set_member("room\x001", None)
    one.bridge.set_member("room\x002", b"Bob")
    cluster.advance(5)
    assert other.inbound.members[one.origin] == {"room\x001": b"Ann"}
    cluster.server.restore()
    cluster.settle()
    assert other.inbound.members[one.origin] == {"room\x002": b"Bob"}


def test_members_come_back_after_a_long_outage(cluster: Cluster) -> None:
    one, other = cluster.node(), cluster.node()
    one.bridge.set_member("room\x001", b"Ann")
    cluster.settle()
    cluster.server.cut()
    cluster.advance(DOWN_PERIOD + 15)
    assert other.inbound.members == {}
    cluster.server.restore()
    cluster.settle()
    assert other.inbound.members[one.origin] == {"room\x001": b"Ann"}


def test_members_that_come_back_are_not_those_of_a_first_contact(cluster: Cluster) -> None:
    one, other = cluster.node(), cluster.node()
    one.bridge.set_member("room\x001", b"Ann")
    cluster.settle()
    firsts = list(other.inbound.firsts)
    for _ in range(2):
        cluster.server.cut()
        cluster.advance(DOWN_PERIOD + 15)
        cluster.server.restore()
        cluster.settle()
        assert other.inbound.members[one.origin] == {"room\x001": b"Ann"}
    assert other.inbound.firsts == firsts == [one.origin]


@pytest.mark.parametrize("data", [b"hello", None])
def test_one_connection_of_another_host_is_reached(data: bytes | None, cluster: Cluster) -> None:
    one, other, third = cluster.node(), cluster.node(), cluster.node()
    assert one.bridge.to_connection(other.origin, 17, data)
    cluster.settle()
    assert other.inbound.connections == [(17, data)]
    assert third.inbound.connections == []
    # They have had time to answer.
    cluster.advance(DOWN_PERIOD)
    unknown = replace(other.origin, worker=b"unknown!")
    assert not one.bridge.to_connection(unknown, 17, data)


def test_what_is_for_a_connection_of_an_unknown_worker_waits_until_it_is_known(cluster: Cluster) -> None:
    other = cluster.node()
    cluster.server.cut()
    cluster.settle()
    # It has just started: its backend is not connected yet.
    one = cluster.node()
    assert one.bridge.to_connection(other.origin, 17, b"1")
    assert one.bridge.to_connection(other.origin, 18, None)
    cluster.server.restore()
    cluster.settle()
    assert one.bridge.to_connection(other.origin, 17, b"2")
    cluster.settle()
    assert other.inbound.connections == [(17, b"1"), (18, None), (17, b"2")]


def test_what_waits_for_an_unknown_worker_is_bounded(cluster: Cluster) -> None:
    cluster.server.cut()
    one = cluster.node()
    cluster.settle()
    unknown = replace(one.origin, host=b"the 2nd!", worker=b"unknown!")
    assert one.bridge.to_connection(unknown, 17, bytes(600_000))
    assert not one.bridge.to_connection(unknown, 17, bytes(600_000))
    cluster.advance(DOWN_PERIOD + 1)
    assert one.bridge.to_connection(unknown, 17, bytes(600_000))


def test_changes_of_other_tables_are_ignored(cluster: Cluster) -> None:
    one, other = cluster.node(), cluster.node()
    frame = frames.table_change(Replicated.INTEREST, Change(1, "t:a", b""))
    one.bridge._send_frames(None, frame)
    cluster.settle()
    assert other.inbound.members.get(one.origin, {}) == {}


def test_the_state_says_since_when(cluster: Cluster) -> None:
    node = cluster.node()
    assert (node.bridge.state, node.bridge.reason, node.bridge.since) == (BackendState.UP, "", 0.0)
    cluster.advance(5)
    cluster.server.cut()
    cluster.settle()
    cluster.advance(3)
    assert (node.bridge.state, node.bridge.since) == (BackendState.DOWN, 5.0)
    assert "closed the connection" in node.bridge.reason
