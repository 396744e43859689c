"""Workers that are linked by fake sockets: what one sends arrives at the others, and what is lost is reported."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from reactorhost.bus import frames
from reactorhost.bus.frames import Hello
from reactorhost.bus.refs import Origin
from reactorhost.ipc.counters import Counters
from reactorhost.logs import EventLog
from reactorhost.reactor import HANG_UP, READ, WRITE, Reactor
from reactorhost.system.fork import ForkRegistry
from reactorhost.testing.fakes import FakeClock, FakePoller, turn
from reactorhost.worker.bus.peers.peers import PeerLimits, Peers

HOST = b"hhhhhhhh"
DOWN_PERIOD = 30.0


class End:
    """One end of a pair of connected sockets; the kernel holds so many bytes in each direction."""

    def __init__(self, room: int) -> None:
        self.number = -1
        self.room = room
        self.arrived = bytearray()
        self.other: End
        self.closed = False
        self.stopped = False
        self.mute = False
        self.sends = 0
        self.timeouts: list[float] = []
        self.while_waiting: Callable[[], object] = lambda: None

    def ready(self) -> int:
        if self.stopped:
            return 0
        events = READ if self.arrived or self.other.closed else 0
        if self.other.closed or len(self.other.arrived) < self.room:
            events |= WRITE
        return events | (HANG_UP if self.other.closed else 0)

    def setblocking(self, blocks: bool) -> None:
        assert not blocks

    def settimeout(self, seconds: float) -> None:
        self.timeouts.append(seconds)

    def fileno(self) -> int:
        return self.number

    def send(self, data: bytes | memoryview) -> int:
        self.sends += 1
        if self.mute:
            return len(data)
        if self.other.closed:
            raise BrokenPipeError
        if self.timeouts and len(self.other.arrived) >= self.room:
            self.while_waiting()
        accepted = bytes(data[: self.room - len(self.other.arrived)])
        if not accepted:
            raise BlockingIOError
        self.other.arrived += accepted
        return len(accepted)

    def recv(self, size: int) -> bytes:
        if self.closed:
            raise OSError
        if not self.arrived:
            if not self.other.closed:
                raise BlockingIOError
            return b""
        data = bytes(self.arrived[:size])
        del self.arrived[:size]
        return data

    def close(self) -> None:
        self.closed = True


@dataclass
class Recorder:
    """An `Inbound` and a history that record what they are called with."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)
    kept: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)

    def message(self, origin: Origin, key: str, number: int, data: bytes) -> None:
        self.calls.append(("message", key, number, data))

    def missed(self, origin: Origin | None, keys: Sequence[str] | None, recovered: bool) -> None:
        assert origin is not None
        self.calls.append(("missed", origin.worker[:1].decode(), keys, recovered))

    def to_connection(self, number: int, data: bytes | None) -> None:
        self.calls.append(("to_connection", number, data))

    def replica_changed(
        self, origin: Origin, removed: Mapping[str, bytes], added: Mapping[str, bytes], *, first: bool
    ) -> None:
        self.calls.append(("changed", origin.worker[:1].decode(), dict(removed), dict(added), first))

    def introduced(self) -> None:
        self.calls.append(("introduced",))

    def gone(self, origin: Origin, members: Mapping[str, bytes]) -> None:
        self.calls.append(("gone", origin.worker[:1].decode(), dict(members)))

    def since(self, key: str, number: int) -> Sequence[tuple[int, bytes]] | None:
        return [each for each in self.kept.get(key, ()) if each[0] >= number] or None

    def take(self) -> list[tuple[Any, ...]]:
        taken, self.calls = self.calls, []
        return taken

    def messages(self) -> list[bytes]:
        return [call[3] for call in self.take() if call[0] == "message"]


@dataclass
class Worker:
    name: str
    peers: Peers
    inbound: Recorder
    counters: Counters
    registry: ForkRegistry
    ends: dict[str, End] = field(default_factory=dict)
    ended: list[tuple[Origin, bool]] = field(default_factory=list)
    receive_orders: Callable[[float], bool] = lambda seconds: False

    @property
    def origin(self) -> Origin:
        return Origin(HOST, self.name.encode() * 8)


class Network:
    """Workers of a host on one reactor, introduced as a master would."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.poller = FakePoller(self.clock)
        self.reactor = Reactor(self.poller, self.clock)
        self.workers: dict[str, Worker] = {}
        # Of the workers that use the bus.
        self.ids: set[bytes] = set()

    def add(self, name: str, *, max_queue: int = 1 << 20) -> Worker:
        """Add a worker that is not introduced yet."""
        inbound, counters, registry = Recorder(), Counters(), ForkRegistry()
        peers = Peers(
            Hello(HOST, name.encode() * 8, len(self.workers), 100 + len(self.workers)),
            PeerLimits(max_queue, DOWN_PERIOD),
            inbound,
            inbound,
            reactor=self.reactor,
            registry=registry,
            log=EventLog(logging.getLogger("reactorhost")),
            counters=counters,
            receive_orders=lambda seconds: worker.receive_orders(seconds),  # noqa: PLW0108  it is set later
            on_ended=lambda *ended: worker.ended.append(ended),
            exists=self.ids.__contains__,
        )
        self.ids.add(name.encode() * 8)
        worker = self.workers[name] = Worker(name, peers, inbound, counters, registry)
        return worker

    def pair(self, room: int = 1 << 18) -> tuple[End, End]:
        first, second = End(room), End(room)
        first.other, second.other = second, first
        for each in (first, second):
            self.poller.open(each)
        return first, second

    def introduce(self, first: Worker, second: Worker, *, late: bool = False, room: int = 1 << 18) -> None:
        ends = self.pair(room)
        for worker, other, end in ((first, second, ends[0]), (second, first, ends[1])):
            worker.ends[other.name] = end
            worker.peers.introduce(cast("Any", end), 100 + [*self.workers].index(other.name), late=late)

    def join(self, name: str, *, max_queue: int = 1 << 20, room: int = 1 << 18) -> Worker:
        """Add a worker, introduce it to the others, and exchange the first frames."""
        others = list(self.workers.values())
        worker = self.add(name, max_queue=max_queue)
        for other in others:
            self.introduce(worker, other, room=room)
        worker.peers.all_introduced()
        self.settle()
        for each in self.workers.values():
            each.inbound.take()
        return worker

    def settle(self) -> None:
        """Turn until nothing happens; no timer becomes due."""
        while turn(self.reactor, self.poller):
            pass

    def advance(self, seconds: float) -> None:
        """Let time pass, in steps in which timers are called."""
        end = self.clock.now + seconds
        while self.reactor.wait_seconds(self.clock.now) <= end - self.clock.now:
            self.clock.now += self.reactor.wait_seconds(self.clock.now)
            self.settle()
        self.clock.now = end


def logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [{"event": each.getMessage(), **vars(each)["reactorhost_fields"]} for each in caplog.records]


@pytest.fixture
def network() -> Network:
    return Network()


def test_a_message_reaches_the_workers_that_want_its_key(network: Network) -> None:
    a, b, c = network.join("a"), network.join("b"), network.join("c")
    b.peers.want("g:room")
    c.peers.want("t:*")
    network.settle()
    a.peers.publish("g:room", 0, b"hello")
    a.peers.publish("t:news", 3, b"news")
    a.peers.publish("t:other", 0, b"")
    network.settle()
    assert b.inbound.take() == [("message", "g:room", 0, b"hello")]
    assert c.inbound.take() == [("message", "t:news", 3, b"news"), ("message", "t:other", 0, b"")]
    assert a.inbound.take() == []


def test_what_is_not_wanted_any_more_is_not_sent(network: Network) -> None:
    a, b = network.join("a"), network.join("b")
    b.peers.want("g:room")
    network.settle()
    b.peers.drop("g:room")
    network.settle()
    sends = a.ends["b"].sends
    a.peers.publish("g:room", 0, b"hello")
    network.settle()
    assert a.ends["b"].sends == sends
    assert b.inbound.take() == []


def test_all_messages_of_a_turn_are_one_write(network: Network) -> None:
    a, b = network.join("a"), network.join("b")
    b.peers.want("g:room")
    network.settle()
    sends = a.ends["b"].sends
    for each in range(100):
        a.peers.publish("g:room", 0, b"%d" % each)
    assert a.ends["b"].sends == sends
    network.settle()
    assert a.ends["b"].sends == sends + 1
    assert b.inbound.messages() == [b"%d" % each for each in range(100)]


def test_much_of_one_turn_is_written_within_it(network: Network) -> None:
    a, b = network.join("a"), network.join("b")
    b.peers.want("g:room")
    network.settle()
    for _ in range(200):
        a.peers.publish("g:room", 0, bytes(1000))
    assert len(b.ends["a"].arrived) > 100_000


def test_a_message_is_encoded_once_for_all_peers(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    a, *others = (network.join(name) for name in "abcde")
    for each in others:
        each.peers.want("g:room")
    network.settle()
    encoded: list[bytes] = []
    encode = frames.message

    def message(key: str, number: int, data: bytes) -> bytes:
        encoded.append(encode(key, number, data))
        return encoded[-1]

    monkeypatch.setattr(frames, "message", message)
    a.peers.publish("g:room", 0, b"hello")
    network.settle()
    assert len(encoded) == 1
    assert [each.inbound.messages() for each in others] == [[b"hello"]] * 4


def test_a_message_for_a_connection_reaches_its_worker(network: Network) -> None:
    a, b, c = network.join("a"), network.join("b"), network.join("c")
    assert a.peers.to_connection(b.origin, 17, b"hello")
    assert a.peers.to_connection(b.origin, 18, None)
    assert not a.peers.to_connection(Origin(HOST, b"unknown!"), 17, b"hello")
    assert not a.peers.to_connection(Origin(b"another!", b.origin.worker), 17, b"hello")
    network.settle()
    assert b.inbound.take() == [("to_connection", 17, b"hello"), ("to_connection", 18, None)]
    assert c.inbound.take() == []


# Introductions


def test_what_is_published_before_the_introductions_waits_for_them(network: Network) -> None:
    a, b = network.join("a"), network.join("b")
    b.peers.want("t:x")
    network.settle()
    c = network.add("c")
    c.peers.publish("t:x", 0, b"1")
    network.introduce(c, a)
    c.peers.publish("t:x", 0, b"2")
    network.introduce(c, b)
    c.peers.publish("t:x", 0, b"3")
    c.peers.all_introduced()
    network.settle()
    # Of `a` it was not known what it wants when the messages were queued.
    assert a.inbound.messages() == [b"1", b"2", b"3"]
    assert b.inbound.messages() == [b"1", b"2", b"3"]
    c.peers.publish("t:x", 0, b"4")
    network.settle()
    assert a.inbound.messages() == []
    assert b.inbound.messages() == [b"4"]


def test_what_waits_for_the_introductions_is_bounded(network: Network) -> None:
    a = network.join("a")
    b = network.add("b", max_queue=1000)
    for each in range(4):
        b.peers.publish(f"t:{each}", 0, bytes(400))
    # There is room for it, but it must not overtake the report of the gap.
    b.peers.publish("t:4", 0, b"")
    assert b.counters.bus_dropped == 3
    network.introduce(b, a)
    b.peers.all_introduced()
    b.peers.publish("t:5", 0, b"")
    network.settle()
    messages = [call for call in a.inbound.take() if call[0] in {"message", "missed"}]
    assert messages == [
        ("message", "t:0", 0, bytes(400)),
        ("message", "t:1", 0, bytes(400)),
        ("missed", "b", ["t:2", "t:3", "t:4", "t:5"], False),
    ]


def test_a_message_for_a_connection_of_a_worker_not_introduced_yet_waits(network: Network) -> None:
    a, b = network.join("a"), network.join("b")
    c = network.add("c")
    network.ids.add(b"unknown!")
    assert c.peers.to_connection(b.origin, 7, b"early")
    assert c.peers.to_connection(Origin(HOST, b"unknown!"), 7, b"x")
    network.introduce(c, a)
    network.introduce(c, b)
    c.peers.all_introduced()
    assert c.peers.to_connection(b.origin, 7, None)
    network.settle()
    calls = [call for call in b.inbound.take() if call[0] == "to_connection"]
    assert calls == [("to_connection", 7, b"early"), ("to_connection", 7, None)]
    assert not any(call[0] == "to_connection" for call in a.inbound.take())
    network.ids.remove(b"unknown!")
    assert not c.peers.to_connection(Origin(HOST, b"unknown!"), 7, b"x")


def test_a_message_for_a_connection_of_a_worker_that_uses_the_bus_later_waits(network: Network) -> None:
    a, b = network.join("a"), network.join("b")
    c = network.add("c")
    assert a.peers.to_connection(c.origin, 7, b"before")
    network.introduce(c, a)
    assert a.peers.to_connection(c.origin, 7, b"between")
    network.introduce(c, b)
    c.peers.all_introduced()
    network.settle()
    assert a.peers.to_connection(c.origin, 7, b"behind")
    network.settle()
    calls = [call[2] for call in c.inbound.take() if call[0] == "to_connection"]
    assert calls == [b"before", b"between", b"behind"]


@pytest.mark.parametrize(("ends", "dropped"), [(False, 1), (True, 0)])
def test_what_waits_for_a_worker_that_is_never_introduced_is_dropped(
    ends: bool, dropped: int, network: Network
) -> None:
    a = network.join("a", max_queue=100)
    c = network.add("c")
    assert a.peers.to_connection(c.origin, 7, bytes(60))
    if ends:
        network.ids.remove(c.origin.worker)
    network.advance(DOWN_PERIOD)
    assert a.counters.bus_dropped == dropped
    network.ids.add(c.origin.worker)
    # There is room again.
    assert a.peers.to_connection(c.origin, 8, bytes(60))
    assert a.counters.bus_dropped == dropped
    assert a.peers.to_connection(c.origin, 9, bytes(60))
    assert a.counters.bus_dropped == dropped + 1
    network.introduce(c, a)
    c.peers.all_introduced()
    network.settle()
    assert [call[1] for call in c.inbound.take() if call[0] == "to_connection"] == [8]


def test_introduced_is_reported_once_all_members_of_the_others_are_known(network: Network) -> None:
    a, b = network.join("a"), network.join("b")
    a.peers.set_member("room\x001", b"Ann")
    b.ends["a"].stopped = True
    c = network.add("c")
    network.introduce(c, a)
    network.introduce(c, b)
    c.ends["b"].stopped = True
    c.peers.all_introduced()
    network.settle()
    assert c.inbound.take() == [("changed", "a", {}, {"room\x001": b"Ann"}, True)]
    c.ends["b"].stopped = False
    network.settle()
    assert c.inbound.take() == [("changed", "b", {}, {}, True), ("introduced",)]
    network.introduce(c, network.add("d"))
    network.settle()
    assert c.inbound.take() == [("changed", "d", {}, {}, True)]


def test_a_worker_that_joins_later_gets_nothing_from_before(network: Network) -> None:
    a = network.join("a")
    b = network.add("b", max_queue=1000)
    b.peers.publish("t:x", 0, b"1")
    network.introduce(b, a)
    a.ends["b"].stopped = b.ends["a"].stopped = True
    b.peers.all_introduced()
    for _ in range(100):
        b.peers.publish("t:x", 0, bytes(10))
        network.settle()
    assert b.counters.bus_dropped == 0
    c = network.add("c")
    network.introduce(c, b)
    network.settle()
    assert c.inbound.messages() == []


def test_a_worker_without_others_is_introduced_at_once(network: Network) -> None:
    a = network.add("a")
    a.peers.all_introduced()
    assert a.inbound.take() == [("introduced",)]


def test_a_peer_that_ends_before_it_is_known_is_not_waited_for(network: Network) -> None:
    a = network.add("a")
    ours, theirs = network.pair()
    a.peers.introduce(cast("Any", ours), 55, late=False)
    a.peers.all_introduced()
    theirs.close()
    network.settle()
    assert a.inbound.take() == [("introduced",)]


def test_workers_that_are_introduced_late_have_missed_messages(network: Network) -> None:
    a, b = network.add("a"), network.add("b")
    for each in (a, b):
        each.peers.all_introduced()
    network.introduce(a, b, late=True)
    network.settle()
    assert ("missed", "b", None, False) in a.inbound.take()
    assert ("missed", "a", None, False) in b.inbound.take()


# Presence


def test_members_are_replicated(network: Network) -> None:
    a, b = network.join("a"), network.join("b")
    a.peers.set_member("room\x001", b"Ann")
    a.peers.set_member("room\x002", b"Bob")
    a.peers.set_member("room\x001", None)
    network.settle()
    assert b.inbound.take() == [
        ("changed", "a", {}, {"room\x001": b"Ann"}, False),
        ("changed", "a", {}, {"room\x002": b"Bob"}, False),
        ("changed", "a", {"room\x001": b"Ann"}, {}, False),
    ]
    assert list(b.peers.presence()) == [(a.origin, {"room\x002": b"Bob"})]


def test_a_worker_that_joins_receives_what_there_is(network: Network) -> None:
    a = network.join("a")
    for each in range(3000):
        a.peers.set_member(f"room\0{each}", bytes(100))
        a.peers.want(f"g:{each}")
    b = network.join("b")
    assert len(dict(b.peers.presence())[a.origin]) == 3000
    b.peers.publish("g:2999", 0, b"x")
    b.peers.publish("g:3000", 0, b"y")
    network.settle()
    assert a.inbound.messages() == [b"x"]


def test_the_members_of_a_worker_whose_link_ends_are_gone(network: Network) -> None:
    a, b = network.join("a"), network.join("b")
    a.peers.set_member("room\x001", b"Ann")
    a.peers.want("g:room")
    network.settle()
    b.inbound.take()
    b.ends["a"].other.close()
    network.settle()
    # It had sent no message, but may have published one.
    assert b.inbound.take() == [("gone", "a", {"room\x001": b"Ann"}), ("missed", "a", None, False)]
    assert list(b.peers.presence()) == []
    assert not b.peers.to_connection(a.origin, 1, b"x")
    b.peers.publish("g:room", 0, b"x")
    network.settle()


def test_half_a_message_of_a_worker_that_ended_is_not_delivered(network: Network) -> None:
    a, b = network.join("a"), network.join("b")
    b.ends["a"].arrived += frames.message("g:room", 0, b"whole") + frames.message("g:room", 0, b"half")[:-1]
    b.ends["a"].other.close()
    network.settle()
    assert b.inbound.take() == [
        ("message", "g:room", 0, b"whole"),
        ("gone", "a", {}),
        ("missed", "a", None, False),
    ]
    assert a.peers is not b.peers


def test_a_missed_change_is_repaired_by_a_snapshot(network: Network) -> None:
    a, b = network.join("a"), network.join("b")
    a.peers.set_member("room\x001", b"Ann")
    # Lost on the way, which a link does not do.
    network.settle()
    b.inbound.take()
    a.peers.set_member("room\x002", b"Bob")
    network.reactor.turn(0)
    b.ends["a"].arrived.clear()
    a.peers.set_member("room\x003", b"Cleo")
    network.settle()
    assert b.inbound.take() == [("changed", "a", {}, {"room\x002": b"Bob", "room\x003": b"Cleo"}, False)]


def test_a_missed_change_is_found_by_the_next_heartbeat(network: Network) -> None:
    a, b = network.join("a"), network.join("b")
    a.peers.set_member("room\x001", b"Ann")
    network.reactor.turn(0)
    b.ends["a"].arrived.clear()
    network.settle()
    assert b.inbound.take() == []
    network.advance(DOWN_PERIOD / 3)
    assert b.inbound.take() == [("changed", "a", {}, {"room\x001": b"Ann"}, False)]


# Silent and slow peers


def stop(worker: Worker, *, stopped: bool = True) -> None:
    """Stop a worker as SIGSTOP does, or continue it: it reads nothing, and what its timers send is lost."""
    for end in worker.ends.values():
        end.stopped = end.mute = stopped


def test_a_silent_workers_members_leave_and_return_with_it(network: Network) -> None:
    a, b = network.join("a"), network.join("b")
    b.peers.set_member("room\x001", b"Bob")
    network.settle()
    a.inbound.take()
    network.advance(3 * DOWN_PERIOD)
    assert a.inbound.take() == []
    stop(b)
    network.advance(DOWN_PERIOD * 2 / 3)
    assert a.inbound.take() == []
    network.advance(DOWN_PERIOD * 2 / 3)
    assert a.inbound.take() == [("gone", "b", {"room\x001": b"Bob"})]
    assert list(a.peers.presence()) == []
    network.advance(3 * DOWN_PERIOD)
    assert a.inbound.take() == []
    stop(b, stopped=False)
    network.advance(DOWN_PERIOD / 3)
    assert a.inbound.take() == [("changed", "b", {}, {"room\x001": b"Bob"}, False)]
    assert list(a.peers.presence()) == [(b.origin, {"room\x001": b"Bob"})]


def test_a_silent_worker_that_ends_is_not_gone_twice(network: Network) -> None:
    a, b = network.join("a"), network.join("b")
    stop(b)
    network.advance(2 * DOWN_PERIOD)
    assert a.inbound.take() == [("gone", "b", {})]
    b.ends["a"].closed = True
    network.settle()
    assert a.inbound.take() == [("missed", "b", None, False)]


def test_a_worker_that_was_stopped_itself_finds_no_peer_silent(network: Network) -> None:
    a, b = network.join("a"), network.join("b")
    b.peers.set_member("room\x001", b"Bob")
    network.settle()
    a.inbound.take()
    stop(b)
    # One turn with a clock that has jumped: the timer is due before anything is read.
    network.clock.now += 10 * DOWN_PERIOD
    network.reactor.turn(0)
    assert a.inbound.take() == []


def test_what_waits_for_a_stopped_worker_is_bounded_and_it_has_a_gap(
    network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    a = network.join("a", max_queue=20_000)
    b = network.join("b", room=5000)
    b.peers.want("g:room")
    network.settle()
    stop(b)
    for each in range(1000):
        a.peers.publish("g:room", 0, b"%99d" % each)
        network.settle()
    (peer,) = a.peers._peers
    assert peer.outgoing.size <= 20_000
    assert 700 < a.counters.bus_dropped < 1000
    stop(b, stopped=False)
    network.settle()
    a.peers.publish("g:room", 0, b"after")
    network.settle()
    *before, gap, after = b.inbound.take()
    assert [int(call[3]) for call in before] == list(range(len(before)))
    assert len(before) + a.counters.bus_dropped == 1000
    assert gap == ("missed", "a", ["g:room"], False)
    assert after == ("message", "g:room", 0, b"after")
    network.advance(60)
    first, rest = logged(caplog)
    dropped = a.counters.bus_dropped
    assert first == {"event": "bus_messages_dropped", "peer_slot": 1, "peer_pid": 101, "messages": 1}
    assert rest == {**first, "messages": dropped - 1}


def test_dropped_messages_that_are_kept_are_repeated(network: Network) -> None:
    a = network.join("a", max_queue=20_000)
    b = network.join("b", room=5000)
    b.peers.want("g:room")
    network.settle()
    stop(b)
    for number in range(1, 500):
        # As the history does: a message is kept before it is sent, and the newest 50 are.
        a.inbound.kept["g:room"] = [*a.inbound.kept.get("g:room", ()), (number, b"%99d" % number)][-50:]
        a.peers.publish("g:room", number, b"%99d" % number)
        if a.counters.bus_dropped == 50:
            break
    network.settle()
    stop(b, stopped=False)
    network.settle()
    *messages, gap = b.inbound.take()
    assert [call[2] for call in messages] == list(range(1, number + 1))
    assert gap == ("missed", "a", ["g:room"], True)


def test_a_peer_that_does_not_read_costs_no_write_for_each_message(network: Network) -> None:
    a = network.join("a")
    b = network.join("b", room=5000)
    b.peers.want("g:room")
    network.settle()
    stop(b)
    for _ in range(200):
        a.peers.publish("g:room", 0, bytes(1000))
        network.settle()
    assert a.counters.bus_dropped == 0
    assert a.ends["b"].sends < 10


def test_nothing_more_is_written_to_a_peer_that_is_gone(network: Network) -> None:
    a, b = network.join("a"), network.join("b")
    b.peers.want("g:room")
    network.settle()
    # It has closed its end, which is not read yet.
    b.ends["a"].closed = True
    sends = a.ends["b"].sends
    for _ in range(100):
        a.peers.publish("g:room", 0, bytes(1000))
    assert a.ends["b"].sends == sends + 1
    network.settle()
    assert a.inbound.take() == [("gone", "b", {}), ("missed", "b", None, False)]
    assert not a.peers._routes.targets("g:room")


def test_a_lone_worker_has_no_timer(network: Network) -> None:
    a = network.join("a")
    assert network.reactor.wait_seconds(network.clock.now) == network.poller.longest_wait
    network.join("b")
    network.workers["b"].peers.stop()
    network.settle()
    network.advance(DOWN_PERIOD)
    assert network.reactor.wait_seconds(network.clock.now) == network.poller.longest_wait
    assert list(a.peers.presence()) == []


# Broken peers


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\0\0\0\3\1\0\2", "it speaks version 2 of the bus, this worker version 1"),
        (frames.message("t:a", 0, b""), "its first frame is not a HELLO"),
        (b"GET / HTTP/1.0\r\n\r\n", "a frame has 1195725856 bytes"),
    ],
)
def test_a_peer_that_does_not_speak_the_protocol_is_refused(
    network: Network, data: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    a = network.add("a")
    ours, theirs = network.pair()
    a.peers.introduce(cast("Any", ours), 55, late=False)
    a.peers.all_introduced()
    theirs.send(data + b"more")
    network.settle()
    assert ours.closed
    assert logged(caplog) == [{"event": "bus_peer_refused", "peer_slot": None, "peer_pid": 55, "reason": reason}]
    assert a.inbound.take() == [("introduced",)]
    a.peers.publish("t:a", 0, b"")
    network.settle()


def test_a_peer_that_breaks_the_protocol_is_gone_and_messages_are_missed(
    network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = network.join("a"), network.join("b")
    b.peers.set_member("room\x001", b"Bob")
    network.settle()
    a.inbound.take()
    hello = frames.hello(Hello(HOST, b"x" * 8, 1, 1))
    a.ends["b"].arrived += frames.message("t:a", 0, b"before") + hello + frames.message("t:a", 0, b"behind")
    network.settle()
    assert a.inbound.take() == [
        ("message", "t:a", 0, b"before"),
        ("gone", "b", {"room\x001": b"Bob"}),
        ("missed", "b", None, False),
    ]
    assert [each["reason"] for each in logged(caplog)] == ["it sent a second HELLO"]
    # What `a` had not sent yet is missing as well.
    assert b.inbound.take() == [("gone", "a", {}), ("missed", "a", None, False)]


# The end


def test_stop_writes_what_the_kernel_accepts_and_closes(network: Network) -> None:
    a, b = network.join("a"), network.join("b")
    b.peers.want("t:x")
    network.settle()
    a.peers.publish("t:x", 0, b"last")
    a.peers.stop()
    assert a.ends["b"].closed
    network.settle()
    assert b.inbound.take() == [("message", "t:x", 0, b"last"), ("gone", "a", {})]
    a.peers.publish("t:x", 0, b"never")
    a.peers.set_member("room\x001", b"")
    assert not a.peers.to_connection(b.origin, 1, b"")
    ours, _ = network.pair()
    a.peers.introduce(cast("Any", ours), 55, late=False)
    assert ours.closed
    network.settle()


def test_stop_reports_no_loss_for_a_peer_that_has_ended(network: Network, caplog: pytest.LogCaptureFixture) -> None:
    a, b = network.join("a"), network.join("b")
    b.peers.want("t:x")
    network.settle()
    a.peers.publish("t:x", 0, b"last")
    # It has closed its end, which is not read yet, as when all workers of a host stop at once.
    b.ends["a"].closed = True
    a.peers.stop()
    assert a.ends["b"].closed
    assert logged(caplog) == []


def test_stop_waits_for_a_worker_that_is_busy_for_a_moment(network: Network) -> None:
    a = network.join("a")
    b = network.join("b", room=5000)
    b.peers.want("t:x")
    network.settle()
    read: list[bytes] = []

    def read_some() -> None:
        network.clock.now += 0.01
        read.append(b.ends["a"].recv(3000))

    a.ends["b"].while_waiting = read_some
    sent = [*(frames.message("t:x", 0, bytes(each)) for each in range(500)), frames.goodbye()]
    for each in range(500):
        a.peers.publish("t:x", 0, bytes(each))
    a.peers.stop()
    assert a.ends["b"].closed
    assert b"".join(read) + b.ends["a"].arrived == b"".join(sent)
    timeouts = a.ends["b"].timeouts
    # They share one deadline.
    assert timeouts == sorted(timeouts, reverse=True)
    assert timeouts[0] == 1.0
    assert timeouts[-1] == pytest.approx(1.0 - 0.01 * len(read))


def test_stop_does_not_wait_for_long_for_a_stopped_worker(network: Network, caplog: pytest.LogCaptureFixture) -> None:
    a = network.join("a")
    b = network.join("b", room=5000)
    c = network.join("c")
    for each in (b, c):
        each.peers.want("t:x")
    network.settle()
    stop(b)
    for _ in range(100):
        a.peers.publish("t:x", 0, bytes(100))
    network.settle()
    a.peers.publish("t:x", 0, b"last")

    def time_out() -> None:
        network.clock.now += a.ends["b"].timeouts[-1]

    a.ends["b"].while_waiting = time_out
    a.peers.stop()
    assert a.ends["b"].closed
    # The one that reads did not wait for the other.
    assert a.ends["c"].timeouts == [1.0]
    assert bytes(c.ends["a"].arrived) == frames.message("t:x", 0, b"last") + frames.goodbye()
    (line,) = logged(caplog)
    left = line.pop("bytes")
    assert line == {"event": "bus_messages_dropped", "peer_slot": 1, "peer_pid": 101}
    # All but what the kernel has accepted.
    assert 5000 < left <= 100 * 120 - 5000
    b.ends["a"].stopped = False
    network.settle()
    assert b.inbound.take()[-2:] == [("gone", "a", {}), ("missed", "a", None, False)]


def test_it_is_reported_that_a_worker_has_ended_and_how(network: Network) -> None:
    a, b, c, d = (network.join(name) for name in "abcd")
    b.ends["a"].close()
    c.peers.stop()
    stop(d)
    network.advance(2 * DOWN_PERIOD)
    # Not `d`, which is silent, and may go on.
    assert sorted(a.ended, key=str) == sorted([(b.origin, False), (c.origin, True)], key=str)
    # A peer that this one has refused goes on too.
    a.ends["d"].arrived += b"GET / HTTP/1.0"
    a.ends["d"].stopped = False
    network.settle()
    assert len(a.ended) == 2


def test_a_worker_that_stops_is_introduced_before_if_it_has_just_used_the_bus(network: Network) -> None:
    a, b = network.join("a"), network.add("b")
    a.peers.want("t:x")
    network.settle()
    b.peers.publish("t:x", 0, b"last")
    orders = [lambda: network.introduce(b, a), b.peers.all_introduced]
    waits: list[float] = []

    def receive(seconds: float) -> bool:
        waits.append(seconds)
        network.clock.now += 0.25
        orders.pop(0)()
        return True

    b.receive_orders = receive
    b.peers.stop()
    network.settle()
    assert ("message", "t:x", 0, b"last") in a.inbound.take()
    assert waits == [1.0, 0.75]


def test_what_a_worker_sends_that_is_not_introduced_before_it_stops_is_logged(
    network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    a = network.add("a")
    a.peers.publish("t:x", 0, b"1")
    a.peers.publish("t:x", 0, b"2")
    a.peers.stop()
    fields = {"to": "workers that are not introduced yet", "messages": 2}
    assert logged(caplog) == [{"event": "bus_messages_dropped", **fields}]
    assert a.counters.bus_dropped == 2


def test_a_worker_that_has_sent_nothing_does_not_wait_for_its_introduction(network: Network) -> None:
    a = network.add("a")
    a.peers.want("t:x")
    a.receive_orders = lambda seconds: pytest.fail("it waits")
    a.peers.stop()


def test_a_worker_that_leaves_is_gone_at_its_last_frame(network: Network) -> None:
    a, b = network.join("a"), network.join("b")
    # A child of `a` that has inherited the socket would keep the link open.
    b.ends["a"].send(frames.goodbye())
    network.settle()
    assert a.inbound.take() == [("gone", "b", {})]
    assert a.ends["b"].closed


def test_what_waits_for_a_worker_that_has_ended_is_not_lost(network: Network, caplog: pytest.LogCaptureFixture) -> None:
    a, b = network.join("a"), network.join("b")
    b.peers.want("t:x")
    network.settle()
    a.peers.publish("t:x", 0, b"last")
    b.peers.stop()
    a.peers.stop()
    assert a.ends["b"].closed
    assert logged(caplog) == []


def test_a_forked_child_closes_its_copies_and_leaves_the_registrations(network: Network) -> None:
    a, b = network.join("a"), network.join("b")
    watched = dict(network.poller.watched)
    a.registry.close_in_child()
    assert a.ends["b"].closed
    assert network.poller.watched == watched
    b.ends["a"].arrived.clear()
    a.peers.publish("t:x", 0, b"")
    assert a.ends["b"].sends == b.ends["a"].sends


def test_a_closed_link_is_not_closed_again_in_a_child(network: Network) -> None:
    a, b = network.join("a"), network.join("b")
    b.peers.stop()
    network.settle()
    a.ends["b"].closed = False
    a.registry.close_in_child()
    assert not a.ends["b"].closed


def test_many_workers_are_linked_to_each_other(network: Network) -> None:
    names = "abcdefghijklmnopqrst"
    workers = [network.join(name) for name in names]
    for each in workers:
        each.peers.want("g:room")
    network.settle()
    for each in workers:
        each.peers.publish("g:room", 0, each.name.encode())
    network.settle()
    for each in workers:
        received = deque(each.inbound.messages())
        assert sorted(received) == sorted(name.encode() for name in names if name != each.name)
