"""The queue of one peer: bounded, in order, and what is dropped is reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost.bus import frames
from reactorhost.bus.frame_decoder import FrameDecoder
from reactorhost.bus.frames import (
    Frame,
    Gap,
    Goodbye,
    Heartbeat,
    Hello,
    Message,
    Resync,
    TableChange,
    TableChunk,
    ToConnection,
)
from reactorhost.bus.replica import Change, Journal, Replica, Replicated
from reactorhost.worker.bus.peers import outgoing as module
from reactorhost.worker.bus.peers.outgoing import WRITE_BYTES, Outgoing

HELLO = Hello(b"h" * 8, b"w" * 8, 0, 1)
INTEREST, PRESENCE = Replicated.INTEREST, Replicated.PRESENCE


class Kept:
    """A history."""

    def __init__(self, messages: Mapping[str, Sequence[tuple[int, bytes]]] | None = None) -> None:
        self.messages = dict(messages or {})

    def since(self, key: str, number: int) -> Sequence[tuple[int, bytes]] | None:
        found = [each for each in self.messages.get(key, ()) if each[0] >= number]
        return found if found and found[0][0] == number else None


class Queue:
    """An `Outgoing` with a small bound, and the peer that reads it."""

    def __init__(self, max_queue: int = 1000, kept: Kept | None = None) -> None:
        self.journals = {table: Journal() for table in Replicated}
        self.outgoing = Outgoing(frames.hello(HELLO), max_queue, self.journals, kept or Kept())
        self.decoder = FrameDecoder()

    def publish(self, key: str, data: bytes, number: int = 0) -> bool:
        return self.outgoing.message(key, number, frames.message(key, number, data))

    def set(self, table: Replicated, key: str, value: bytes | None) -> None:
        change = self.journals[table].set(key, value)
        assert change is not None
        self.outgoing.change(table, frames.table_change(table, change))

    def read(self, most: int = 1 << 30) -> list[Frame]:
        """Send everything, at most so many bytes at once."""
        found: list[Frame] = []
        while self.outgoing.waiting:
            data = self.outgoing.gather()[:most]
            assert data
            self.outgoing.sent(len(data))
            found += self.decoder.feed(bytes(data))
        assert self.outgoing.size == 0
        return found

    def send(self, count: int) -> list[Frame]:
        """Send so many bytes, if there are as many."""
        found: list[Frame] = []
        while count and self.outgoing.waiting:
            data = bytes(self.outgoing.gather()[:count])
            self.outgoing.sent(len(data))
            found += self.decoder.feed(data)
            count -= len(data)
        return found

    def opened(self) -> Queue:
        """Send what every queue begins with."""
        self.read()
        return self

    def fill(self, key: str = "t:fill") -> None:
        while self.publish(key, bytes(90)):
            pass


def messages(found: Sequence[Frame]) -> list[Message | Gap]:
    return [frame for frame in found if isinstance(frame, Message | Gap)]


def test_a_queue_begins_with_hello_and_both_tables() -> None:
    queue = Queue()
    queue.set(INTEREST, "t:a", b"")
    queue.publish("t:a", b"x")
    hello, message, *tables = queue.read()
    assert hello == HELLO
    assert message == Message("t:a", 0, b"x")
    assert [(type(each).__name__, *each[:1]) for each in tables] == [("TableChunk", INTEREST), ("TableChunk", PRESENCE)]


@pytest.mark.parametrize("most", [1, 7, 1000])
def test_frames_are_sent_in_order_however_few_bytes_are_accepted(most: int) -> None:
    queue = Queue(10_000).opened()
    sent = [Message("t:a", each, bytes(each)) for each in range(50)]
    for each in sent:
        queue.publish(each.key, each.data, each.number)
    assert queue.read(most) == sent


def test_small_frames_are_joined_up_to_a_limit() -> None:
    queue = Queue(1 << 20).opened()
    for _ in range(1000):
        queue.publish("t:a", bytes(200))
    data = queue.outgoing.gather()
    assert isinstance(data, bytes)
    assert WRITE_BYTES - 300 < len(data) <= WRITE_BYTES


def test_a_large_frame_is_not_copied() -> None:
    queue = Queue(1 << 20).opened()
    queue.publish("t:a", bytes(WRITE_BYTES))
    queue.publish("t:a", b"x")
    data = queue.outgoing.gather()
    assert isinstance(data, memoryview)
    queue.outgoing.sent(10)
    rest = queue.outgoing.gather()
    assert isinstance(rest, memoryview)
    assert rest.obj is data.obj
    assert bytes(rest) == bytes(data)[10:]


def test_messages_over_the_bound_are_dropped_and_the_gap_comes_before_the_next_one() -> None:
    queue = Queue().opened()
    assert queue.publish("t:a", bytes(900))
    assert not queue.publish("t:b", bytes(900))
    assert not queue.publish("t:c", b"small")
    assert queue.outgoing.size <= 1000
    assert messages(queue.read()) == [Message("t:a", 0, bytes(900)), Gap(["t:b", "t:c"], False)]
    assert queue.publish("t:b", b"next")
    assert messages(queue.read()) == [Message("t:b", 0, b"next")]


def test_after_a_drop_nothing_is_queued_until_half_of_the_queue_is_sent() -> None:
    queue = Queue().opened()
    queue.fill()
    queue.send(queue.outgoing.size - 501)
    queue.outgoing.gather()
    assert not queue.publish("t:a", b"x")
    queue.send(1)
    queue.outgoing.gather()
    assert queue.publish("t:a", b"y")
    assert messages(queue.read())[-2:] == [Gap(["t:fill", "t:a"], False), Message("t:a", 0, b"y")]


def test_a_message_longer_than_the_bound_is_sent_alone() -> None:
    queue = Queue().opened()
    assert queue.publish("t:a", bytes(5000))
    assert not queue.publish("t:a", b"x")
    assert messages(queue.read()) == [Message("t:a", 0, bytes(5000)), Gap(["t:a"], False)]


def test_the_gap_of_too_many_keys_is_of_unknown_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_GAP_KEYS", 3)
    queue = Queue().opened()
    queue.fill("t:0")
    for key in ("t:1", "t:1", "t:2"):
        queue.publish(key, b"x")
    assert messages(queue.read())[-1] == Gap(["t:0", "t:1", "t:2"], False)
    queue.fill("t:0")
    for key in ("t:1", "t:2", "t:3"):
        queue.publish(key, b"x")
    assert messages(queue.read())[-1] == Gap(None, False)
    queue.fill("t:0")
    assert messages(queue.read())[-1] == Gap(["t:0"], False)


def test_dropped_messages_that_are_kept_are_repeated_before_the_gap() -> None:
    kept = Kept({"g:a": [(7, b"7"), (8, b"8"), (9, b"9")]})
    queue = Queue(kept=kept).opened()
    queue.publish("g:a", b"7", 7)
    queue.fill()
    queue.publish("g:a", b"8", 8)
    queue.publish("g:a", b"9", 9)
    found = [frame for frame in messages(queue.read()) if frame[0] != "t:fill"]
    assert found == [
        Message("g:a", 7, b"7"),
        Message("g:a", 8, b"8"),
        Message("g:a", 9, b"9"),
        Gap(["g:a"], True),
        Gap(["t:fill"], False),
    ]


@pytest.mark.parametrize("kept", [[], [(9, b"9")], [(8, bytes(2000)), (9, b"9")]], ids=["none", "part", "too long"])
def test_what_is_not_kept_or_too_long_is_not_repeated(kept: Sequence[tuple[int, bytes]]) -> None:
    queue = Queue(kept=Kept({"g:a": kept})).opened()
    queue.fill()
    queue.publish("g:a", b"8", 8)
    assert messages(queue.read())[-1] == Gap(["t:fill", "g:a"], False)


def test_a_message_for_a_connection_is_bounded_too() -> None:
    queue = Queue().opened()
    assert queue.outgoing.to_connection(frames.to_connection(3, b"x"))
    assert queue.read() == [ToConnection(3, b"x")]
    queue.fill()
    assert not queue.outgoing.to_connection(frames.to_connection(3, None))
    queue.read()
    assert queue.outgoing.to_connection(frames.to_connection(3, None))


def test_changes_are_sent_in_their_order_among_the_messages() -> None:
    queue = Queue().opened()
    queue.set(PRESENCE, "a\x001", b"Ann")
    queue.publish("g:a", b"x")
    queue.set(PRESENCE, "a\x001", None)
    assert queue.read() == [
        TableChange(PRESENCE, Change(1, "a\x001", b"Ann")),
        Message("g:a", 0, b"x"),
        TableChange(PRESENCE, Change(2, "a\x001", None)),
    ]


def replicas(found: Sequence[Frame]) -> dict[Replicated, Replica]:
    copies = {table: Replica() for table in Replicated}
    for frame in found:
        if isinstance(frame, TableChange):
            copies[frame.table].change(*frame.change)
        elif isinstance(frame, frames.TableChunk):
            copies[frame.table].chunk(frame.chunk)
    return copies


def test_changes_without_room_become_one_snapshot() -> None:
    queue = Queue()
    found = queue.read()
    queue.fill()
    for each in range(1000):
        queue.set(PRESENCE, f"a\0{each}", b"x")
    assert queue.outgoing.size <= 1000
    found += queue.read()
    assert sum(isinstance(frame, TableChange) for frame in found) < 5
    copy = replicas(found)[PRESENCE]
    assert copy.table == queue.journals[PRESENCE].table
    assert copy.current


def test_a_large_snapshot_is_queued_in_parts_and_changes_go_on() -> None:
    queue = Queue(1 << 20)
    for each in range(5000):
        queue.journals[PRESENCE].set(f"a\0{each}", bytes(100))
    found: list[Frame] = []
    most = 0
    while queue.outgoing.waiting:
        data = bytes(queue.outgoing.gather()[:20_000])
        most = max(most, queue.outgoing.size)
        queue.outgoing.sent(len(data))
        found += queue.decoder.feed(data)
        if len(queue.journals[PRESENCE].table) > 4000:
            queue.set(PRESENCE, f"a\0{len(queue.journals[PRESENCE].table) - 1}", None)
            queue.set(INTEREST, f"g:{len(queue.journals[PRESENCE].table)}", b"")
    assert most < 3 * WRITE_BYTES
    copies = replicas(found)
    assert all(copies[table].table == queue.journals[table].table for table in Replicated)


def test_a_snapshot_that_a_change_had_no_room_in_is_begun_anew() -> None:
    queue = Queue(70_000)
    for each in range(5000):
        queue.journals[PRESENCE].set(f"a\0{each}", bytes(100))
    found = list(queue.decoder.feed(bytes(queue.outgoing.gather())))
    queue.outgoing.sent(queue.outgoing.size)
    queue.outgoing.gather()
    queue.fill()
    queue.set(PRESENCE, "a\x000", None)
    found += queue.read()
    copy = replicas(found)[PRESENCE]
    assert copy.current
    assert copy.table == queue.journals[PRESENCE].table


def test_snapshots_are_requested_when_there_is_room() -> None:
    queue = Queue().opened()
    queue.fill()
    queue.outgoing.want_snapshot(PRESENCE)
    queue.outgoing.want_snapshot(PRESENCE)
    assert queue.outgoing.size <= 1000
    assert queue.read().count(Resync(PRESENCE)) == 1


def test_a_heartbeat_has_the_versions_and_is_left_out_while_other_bytes_wait() -> None:
    queue = Queue().opened()
    queue.journals[PRESENCE].set("a\x001", b"")
    queue.outgoing.heartbeat()
    queue.outgoing.heartbeat()
    assert queue.read() == [Heartbeat((0, 1))]


def test_goodbye_is_behind_everything_that_waits_or_is_owed() -> None:
    queue = Queue().opened()
    queue.fill("g:a")
    queue.outgoing.owe_snapshot(INTEREST)
    queue.outgoing.want_snapshot(PRESENCE)
    queue.outgoing.end()
    *before, last = queue.read(100)
    assert last == Goodbye()
    assert Goodbye() not in before
    assert Resync(PRESENCE) in before
    assert Gap(["g:a"], False) in before
    assert isinstance(before[-1], TableChunk)
    assert not queue.outgoing.waiting


def test_goodbye_waits_for_the_last_part_of_a_snapshot() -> None:
    queue = Queue(1 << 20)
    for each in range(5000):
        queue.journals[PRESENCE].set(f"a\0{each}", bytes(100))
    queue.outgoing.end()
    *before, last = queue.read()
    assert last == Goodbye()
    assert replicas(before)[PRESENCE].table == queue.journals[PRESENCE].table


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["g:a", "g:b", "t:c"]), st.integers(0, 300)),
        st.integers(1, 400),
    ),
    max_size=60,
)


@given(STEPS)
def test_what_arrives_is_in_order_never_twice_and_complete_but_for_the_gaps(
    steps: Sequence[tuple[str, int] | int],
) -> None:
    kept = Kept()
    queue = Queue(kept=kept)
    numbers: dict[str, int] = {}
    found: list[Frame] = []
    for step in steps:
        if isinstance(step, int):
            found += queue.send(step)
            continue
        key, size = step
        number = numbers[key] = numbers.get(key, 0) + 1
        if key == "g:a":
            # The history keeps the last three.
            kept.messages[key] = [*kept.messages.get(key, ()), (number, bytes(size))][-3:]
        queue.publish(key, bytes(size), number)
        assert queue.outgoing.size <= 1000
    found += queue.read()
    for key, last in numbers.items():
        check(found, key, last)


def check(found: Sequence[Frame], key: str, last: int) -> None:
    """Check that the messages 1 to `last` of a key are there, in order, or that there is a gap in their place."""
    expected, lost = 1, False
    for frame in messages(found):
        if isinstance(frame, Gap):
            assert frame.keys is not None
            lost = lost or (key in frame.keys and not frame.recovered)
        elif frame[0] == key:
            number = frame[1]
            assert number == expected or (number > expected and lost)
            expected, lost = number + 1, False
    assert expected == last + 1 or lost
