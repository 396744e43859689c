"""Groups of connections: their members, what a message to it costs, and how memberships end."""

from __future__ import annotations

import gc
import itertools
import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import pytest

from reactorhost import CloseReason, Connection, Worker, hookimpl
from reactorhost.bus.refs import Origin
from reactorhost.framing import Delimited, Fixed, LengthPrefixed, Lines
from reactorhost.ipc.counters import Counters
from reactorhost.reactor import Reactor
from reactorhost.testing import BenchClient, PluginBench
from reactorhost.testing.fakes import FakeClock, FakePoller
from reactorhost.worker.bus.local.groups import MOST_INFO_BYTES, Groups
from reactorhost.worker.bus.local.interest import Interest
from reactorhost.worker.bus.local.presence import Presence
from reactorhost.worker.bus.no_peers import NoPeers

StartBench = Callable[..., PluginBench]


class Idle:
    """A plugin whose clients only receive."""

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        pass


class Recorder(NoPeers):
    """Notes what other workers are notified of."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def want(self, pattern: str) -> None:
        self.calls.append(f"want {pattern}")

    def drop(self, pattern: str) -> None:
        self.calls.append(f"drop {pattern}")


class NoHooks:
    """The calls of a worker without the hooks."""

    def has(self, hook: str) -> bool:
        return False


class Alone:
    """The groups of a worker, without the rest of its bus."""

    def __init__(self) -> None:
        self.outbound = Recorder()
        self.counters = Counters()
        origin = Origin(b"h" * 8, b"w" * 8)
        presence: Any = NoHooks()
        self.groups = Groups(
            origin,
            Reactor(FakePoller(FakeClock())),
            Interest(lambda: self.outbound),
            Presence(origin, presence),
            self.counters,
            lambda *failure: pytest.fail(f"{failure}"),
            lambda: None,
        )


def joined(bench: PluginBench, group: str, count: int) -> list[BenchClient]:
    clients = [bench.connect() for _ in range(count)]
    for client in clients:
        client.connection.join(group)
    return clients


def received(clients: Iterable[BenchClient]) -> list[bytes]:
    return [client.received for client in clients]


def test_members_receive_a_message_and_the_excluded_one_does_not(plugin_bench: StartBench) -> None:
    bench = plugin_bench(Idle())
    one, two, three = joined(bench, "room", 3)
    bench.connect()
    three.connection.leave("room")
    bench.worker.send_to("room", b"a")
    bench.worker.send_to("room", bytearray(b"b"), exclude=one.connection)
    bench.worker.send_to("other", b"c")
    bench.settle()
    assert received((one, two, three)) == [b"a", b"ab", b""]
    assert bench.bus.sent == [("room", b"a"), ("room", b"b"), ("other", b"c")]


def test_a_local_message_does_not_leave_the_worker(plugin_bench: StartBench) -> None:
    bench = plugin_bench(Idle())
    (member,) = joined(bench, "room", 1)
    bench.worker.send_to("room", b"a", local=True)
    assert (member.received, bench.bus.sent) == (b"a", [])


def test_the_groups_of_a_connection_are_in_the_order_of_joining(plugin_bench: StartBench) -> None:
    connection = plugin_bench(Idle()).connect().connection
    for group in ("b", "a", "c", "a"):
        connection.join(group)
    connection.leave("b")
    connection.leave("unknown")
    assert connection.groups == ("a", "c")


def test_the_close_hook_still_sees_the_groups(plugin_bench: StartBench) -> None:
    seen: list[tuple[str, ...]] = []

    class Watching(Idle):
        @hookimpl
        def close(self, connection: Connection, reason: CloseReason) -> None:
            seen.append(connection.groups)
            connection.join("too late")

    bench = plugin_bench(Watching())
    one, two = joined(bench, "room", 2)
    one.end()
    assert seen == [("room",)]
    assert one.connection.groups == ()
    bench.worker.send_to("room", b"a")
    assert received((one, two)) == [b"", b"a"]
    # Without an effect, as every other method of a connection that has ended.
    one.connection.join("room")
    one.connection.leave("room")
    assert one.connection.groups == ()


def test_an_async_close_hook_still_sees_the_groups(plugin_bench: StartBench) -> None:
    seen: list[tuple[str, ...]] = []

    class Watching(Idle):
        @hookimpl
        async def close(self, connection: Connection, reason: CloseReason) -> None:
            seen.append(connection.groups)

    bench = plugin_bench(Watching())
    (one,) = joined(bench, "room", 1)
    one.reset()
    assert (seen, one.connection.groups) == ([("room",)], ())


# Framings.


class Counting(Lines):
    """Lines that count how often they encode; `key` is their `frame_key`."""

    encoded = 0

    def __init__(self, key: object = None) -> None:
        super().__init__()
        self._key = key

    @property
    def frame_key(self) -> Any:
        return self._key

    def frame(self, message: bytes | bytearray | memoryview) -> bytes:
        type(self).encoded += 1
        return super().frame(message)


@pytest.mark.parametrize(("keys", "encoded"), [(("a", "a", "a"), 1), (("a", "b", "a"), 2), ((None, None, "a"), 3)])
def test_a_message_is_encoded_once_for_each_key(
    plugin_bench: StartBench, keys: tuple[object, ...], encoded: int
) -> None:
    bench = plugin_bench(Idle())
    clients = joined(bench, "room", 4)
    for client, key in zip(clients, keys, strict=False):
        client.connection.framing = Counting(key)
    Counting.encoded = 0
    bench.worker.send_to("room", b"a")
    assert Counting.encoded == encoded
    assert received(clients) == [b"a\n", b"a\n", b"a\n", b"a"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Lines(), Lines(end=b"\r\n")),
        (Lines(), Lines(max_size=3)),
        (Lines(), Lines(keep_ends=True)),
        (Lines(), Delimited(b"\n")),
        (Delimited(b";"), Delimited(b",")),
        (Delimited(b";"), Delimited(b";", max_size=3)),
        (Fixed(2), Fixed(3)),
        (LengthPrefixed(">H"), LengthPrefixed("<H")),
        (LengthPrefixed(">H"), LengthPrefixed(">H", offset=2)),
        (LengthPrefixed(">H"), LengthPrefixed(">H", inclusive=True)),
        (LengthPrefixed(">H"), LengthPrefixed(">H", max_size=3)),
    ],
)
def test_framings_that_encode_alike_have_equal_keys(one: Any, other: Any) -> None:
    assert one.frame_key == one.fresh().frame_key
    assert one.frame_key != other.frame_key
    assert len({one.frame_key, one.fresh().frame_key, other.frame_key}) == 2


def test_a_subclass_has_a_key_only_if_it_defines_one() -> None:
    class Shouting(Lines):
        def frame(self, message: bytes | bytearray | memoryview) -> bytes:
            return super().frame(bytes(message).upper())

    assert Shouting().frame_key is None


class Broken:
    """A framing that cannot encode."""

    def __init__(self, frame: Callable[[bytes], Any] | None = None, key: object = None) -> None:
        self.frame_key = key
        if frame is not None:
            self.frame = frame

    def feed(self, data: bytes) -> Iterable[bytes]:
        return [data]


def fail(message: bytes) -> bytes:
    raise ValueError("cannot encode")


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        (lambda: Broken(fail), "cannot encode"),
        (lambda: Broken(fail, "key"), "cannot encode"),
        (Broken, r"a Broken has no frame\(message\)"),
        (lambda: Broken(lambda message: "text"), "send_to takes bytes-like data, not str"),
        (lambda: Broken(lambda message: message, []), "unhashable"),
        (lambda: Broken(lambda message: sys.exit(3)), "sys.exit"),
    ],
    ids=["raises", "raises, with a key", "no frame", "a text", "an unhashable key", "exits"],
)
def test_a_message_that_a_framing_cannot_encode_is_reported_once(
    plugin_bench: StartBench, broken: Callable[[], Any], text: str
) -> None:
    bench = plugin_bench(Idle())
    clients = joined(bench, "room", 4)
    for client in clients[:3]:
        client.connection.framing = broken()
    bench.worker.send_to("room", b"a")
    with pytest.raises(Exception, match=text) as raised:
        bench.settle()
    (note,) = raised.value.__notes__
    assert note.startswith("raised in send_to of plugin ")
    assert "for <Connection 1 " in note
    assert received(clients) == [b"", b"", b"", b"a"]
    assert [client.closed for client in clients] == [None] * 4


def test_a_framing_may_let_members_leave_while_a_message_is_sent(plugin_bench: StartBench) -> None:
    bench = plugin_bench(Idle())
    clients = joined(bench, "room", 3)

    def frame(message: bytes) -> bytes:
        for client in clients:
            client.connection.leave("room")
        return message

    clients[0].connection.framing = Broken(frame)
    bench.worker.send_to("room", b"a")
    bench.worker.send_to("room", b"b")
    bench.settle()
    assert received(clients) == [b"a", b"a", b"a"]


# How members end.


def test_members_that_do_not_read_are_disconnected_and_others_receive(plugin_bench: StartBench) -> None:
    bench = plugin_bench(Idle(), max_send_buffer=10)
    clients = joined(bench, "room", 3)
    clients[1].pause()
    for _ in range(3):
        bench.worker.send_to("room", b"twelve bytes")
        bench.settle()
    assert clients[1].closed is CloseReason.OVERFLOW
    assert [len(client.received) for client in clients] == [36, 0, 36]
    assert clients[1].connection.groups == ()


def test_a_closing_member_receives_nothing_and_a_half_closed_one_does(plugin_bench: StartBench) -> None:
    bench = plugin_bench(Idle())
    closing, half = (bench.connect(ends_too=False) for _ in range(2))
    for client in (closing, half):
        client.connection.join("room")
    closing.connection.close()
    half.connection.pause()
    half.end()
    bench.worker.send_to("room", b"a")
    bench.settle()
    assert received((closing, half)) == [b"", b"a"]
    closing.connection.join("another")
    assert closing.connection.groups == ("room",)


def test_an_outbound_connection_is_a_member_as_any_other(plugin_bench: StartBench) -> None:
    class Handler:
        def connect(self, connection: Connection) -> None:
            connection.join("room")

    bench = plugin_bench(Idle())
    bench.worker.connect("tcp://relay.example:1", Handler())
    bench.settle()
    (far_end,) = bench.outbound
    bench.worker.send_to("room", b"a")
    assert bench.worker.send_to_ref(far_end.connection.ref, b"b")
    assert far_end.received == b"ab"
    far_end.end()
    assert far_end.connection.groups == ()


@pytest.mark.parametrize(
    "use", [lambda connection: connection.join("room"), lambda connection: connection.ref], ids=["join", "ref"]
)
def test_a_datagram_cannot_be_a_member(plugin_bench: StartBench, use: Callable[[Connection], object]) -> None:
    class Joining:
        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            assert connection.groups == ()
            connection.leave("room")
            use(connection)

    bench = plugin_bench(Joining())
    with pytest.raises(ValueError, match=r"a datagram cannot (join a group|have a ref): its connection ends when"):
        bench.datagram(b"join")


@pytest.mark.parametrize(
    ("group", "info", "error"),
    [
        ("", None, ValueError("the name of a group is empty")),
        ("a\0b", None, ValueError("has a character that cannot be printed")),
        ("a\nb", None, ValueError("has a character that cannot be printed")),
        ("a*", None, ValueError(r"must not contain a \*")),
        (b"a", None, TypeError("the name of a group is a text, not bytes")),
        ("a", "text", TypeError("is bytes, not str: encode the text")),
        ("a", 7, TypeError("is bytes, not int$")),
        ("a", bytes(MOST_INFO_BYTES + 1), ValueError("has 1025 bytes, more than 1024")),
    ],
)
def test_what_is_malformed_is_refused(plugin_bench: StartBench, group: Any, info: Any, error: Exception) -> None:
    connection = plugin_bench(Idle()).connect().connection
    with pytest.raises(type(error), match=str(error)):
        connection.join(group, info)
    assert connection.groups == ()


# What other workers are notified of, and what it costs.


def test_a_group_is_wanted_from_its_first_member_to_its_last(plugin_bench: StartBench) -> None:
    alone, bench = Alone(), plugin_bench(Idle())
    one, two = (bench.connect().connection for _ in range(2))
    for connection in (one, two, one):
        alone.groups.join(connection, "room", None)
    assert (alone.counters.bus_groups, alone.counters.bus_members) == (1, 2)
    alone.groups.leave(one, "room")
    assert alone.outbound.calls == ["want g:room"]
    alone.groups.ended(two)
    assert alone.outbound.calls == ["want g:room", "drop g:room"]
    assert (alone.counters.bus_groups, alone.counters.bus_members) == (0, 0)


def lines_of(call: Callable[[], object]) -> int:
    """Return how many lines of Python a call executes."""
    lines = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    # The finalizers of what other tests have left would count.
    gc.disable()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
        gc.enable()
    return lines


def test_the_cost_of_a_membership_does_not_depend_on_how_many_there_are(plugin_bench: StartBench) -> None:
    alone, bench = Alone(), plugin_bench(Idle())
    one, two = (bench.connect().connection for _ in range(2))

    def join_and_leave(group: str) -> int:
        joined = lines_of(lambda: alone.groups.join(one, group, None))
        return joined + lines_of(lambda: alone.groups.leave(one, group))

    alone.groups.join(one, "first", None)
    few = join_and_leave("group")
    for number in range(100_000):
        alone.groups.join(two, f"group {number}", None)
    for number in range(1_000):
        alone.groups.join(one, f"own {number}", None)
    assert join_and_leave("group") == few
    delivered = lines_of(lambda: alone.groups.deliver("own 1", b"a"))
    assert delivered == lines_of(lambda: alone.groups.deliver("own 2", b"a")) < 50
    # Leaves 1,000 groups: linear in these, whatever the other 100,000.
    assert lines_of(lambda: alone.groups.ended(one)) <= few * 1_001
    assert alone.counters.bus_members == 100_000
    assert sum(call.startswith("drop g:own") for call in alone.outbound.calls) == 1_000


def test_connections_without_groups_are_not_known(plugin_bench: StartBench) -> None:
    alone, bench = Alone(), plugin_bench(Idle())
    connection = bench.connect().connection
    assert (alone.groups.of(connection), alone.groups.transport(connection.id)) == ((), None)
    alone.groups.ref(connection)
    assert alone.groups.transport(connection.id) is not None
    alone.groups.ended(connection)
    assert alone.groups.transport(connection.id) is None


# Several messages of one turn.


def count_sends(client: BenchClient) -> Callable[[], int]:
    """Count the system calls by which a client is sent something from now on."""
    counter = itertools.count()
    sock = client._socket
    send = sock.send

    def counting(data: bytes | memoryview) -> int:
        next(counter)
        return send(data)

    sock.send = counting  # type: ignore[method-assign]
    return lambda: next(counter)


class Talking:
    """Answers each piece of data by as many messages to the group as it says."""

    def __init__(self) -> None:
        self.between: Callable[[], object] = lambda: None

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        self.worker = worker

    @hookimpl
    def connect(self, connection: Connection) -> None:
        connection.join("room")

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        for number in range(int(data)):
            self.worker.send_to("room", b"%d " % number)
            self.between()


class AsyncTalking(Talking):
    """The same with an async hook, which runs between two turns."""

    @hookimpl
    async def receive(  # type: ignore[override]  # an async hook
        self, connection: Connection, data: bytes
    ) -> None:
        for number in range(int(data)):
            self.worker.send_to("room", b"%d " % number)


@pytest.mark.parametrize("plugin", [Talking, AsyncTalking])
def test_messages_of_one_turn_reach_a_member_by_two_system_calls(
    plugin_bench: StartBench, plugin: type[Talking]
) -> None:
    bench = plugin_bench(plugin())
    one, two = bench.connect(), bench.connect()
    sends = count_sends(two)
    one.send(b"5")
    assert received((one, two)) == [b"0 1 2 3 4 "] * 2
    assert sends() == 2
    one.send(b"1")
    assert two.received == b"0 1 2 3 4 0 "


def test_a_message_does_not_wait_long_for_the_end_of_a_turn(plugin_bench: StartBench) -> None:
    plugin = Talking()
    bench = plugin_bench(plugin)
    one, two = bench.connect(), bench.connect()
    seen: list[bytes] = []

    def between() -> None:
        seen.append(two.received)
        bench._time.clock.now += 0.0006

    plugin.between = between
    one.send(b"5")
    assert seen == [b"0 ", b"0 ", b"0 ", b"0 1 2 ", b"0 1 2 "]
    assert two.received == b"0 1 2 3 4 "


def test_a_client_that_has_sent_its_end_receives_the_messages_of_the_turn(plugin_bench: StartBench) -> None:
    bench = plugin_bench(Talking())
    one, two = bench.connect(), bench.connect()
    # Both are read in one turn: the end comes while messages are collected.
    two._socket.incoming.append(b"")
    two._socket.ended = True
    one.send(b"3")
    assert received((one, two)) == [b"0 1 2 "] * 2
    assert (one.closed, two.closed) == (None, CloseReason.PEER)


def test_what_a_plugin_sends_itself_stays_in_order_with_group_messages(plugin_bench: StartBench) -> None:
    plugin = Talking()
    bench = plugin_bench(plugin)
    client = bench.connect()
    plugin.between = lambda: client.connection.send(b"| ")
    client.send(b"3")
    assert client.received == b"0 | 1 | 2 | "
