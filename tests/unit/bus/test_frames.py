from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost.bus import frames
from reactorhost.bus.frame_decoder import FrameDecoder, FrameError
from reactorhost.bus.frames import (
    MOST_FRAME_BYTES,
    MOST_GAP_KEYS,
    WIRE_VERSION,
    Ended,
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
from reactorhost.bus.replica import Change, Chunk, Replicated

NUMBERS = st.integers(0, 2**64 - 1)
SMALL = st.integers(0, 2**32 - 1)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
DATA = st.binary(max_size=50)
TABLES = st.sampled_from(Replicated)
FRAMES = st.one_of(
    st.builds(Hello, st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8), SMALL, SMALL),
    st.builds(TableChange, TABLES, st.builds(Change, NUMBERS, KEYS, st.none() | DATA)),
    st.builds(
        TableChunk, TABLES, st.builds(Chunk, NUMBERS, SMALL, st.booleans(), st.lists(st.tuples(KEYS, DATA), max_size=5))
    ),
    st.builds(Resync, TABLES),
    st.builds(Heartbeat, st.tuples(NUMBERS, NUMBERS)),
    st.builds(Message, KEYS, NUMBERS, DATA),
    st.builds(ToConnection, NUMBERS, st.none() | DATA),
    st.builds(Gap, st.none() | st.lists(KEYS, max_size=5), st.booleans()),
    st.builds(Goodbye),
    st.builds(Ended, st.binary(min_size=8, max_size=8), st.booleans()),
)


ENCODERS: dict[type, Callable[..., bytes]] = {
    Hello: lambda *fields: frames.hello(Hello(*fields)),
    TableChange: frames.table_change,
    TableChunk: frames.table_chunk,
    Resync: frames.resync,
    Heartbeat: frames.heartbeat,
    Message: frames.message,
    ToConnection: frames.to_connection,
    Gap: lambda keys, recovered: frames.gap(keys, recovered=recovered),
    Goodbye: frames.goodbye,
    Ended: lambda worker, in_order: frames.ended(worker, in_order=in_order),
}


def encoded(frame: Frame) -> bytes:
    return ENCODERS[type(frame)](*frame)


def split(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[begin:end] for begin, end in itertools.pairwise(at)]


def decoded(parts: Sequence[bytes]) -> tuple[list[Frame], str | None]:
    decoder, found = FrameDecoder(), list[Frame]()
    try:
        for part in parts:
            found.extend(decoder.feed(part))
    except FrameError as error:
        return found, str(error)
    return found, None


@given(st.lists(FRAMES, max_size=10), st.lists(st.integers(0, 10_000), max_size=30))
def test_any_split_gives_the_same_frames(sent: list[Frame], cuts: list[int]) -> None:
    assert decoded(split(b"".join(map(encoded, sent)), cuts)) == (sent, None)


@given(st.lists(FRAMES, min_size=1, max_size=5), st.integers(0, 10_000), st.integers(1, 255), st.lists(st.integers()))
def test_a_changed_byte_gives_frames_or_one_error_in_any_split(
    sent: list[Frame], position: int, flip: int, cuts: list[int]
) -> None:
    data = bytearray(b"".join(map(encoded, sent)))
    data[position % len(data)] ^= flip
    assert decoded(split(bytes(data), cuts)) == decoded([bytes(data)])


@given(st.binary(max_size=200), st.lists(st.integers()))
def test_garbage_gives_frames_or_one_error_in_any_split(data: bytes, cuts: list[int]) -> None:
    assert decoded(split(data, cuts)) == decoded([data])


def whole(kind: int, body: bytes = b"") -> bytes:
    return struct.pack("!IB", 1 + len(body), kind) + body


HELLO = encoded(Hello(b"h" * 8, b"w" * 8, 3, 77))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (struct.pack("!IB", 0, 6), "a frame has 0 bytes"),
        (struct.pack("!IB", MOST_FRAME_BYTES + 1, 6), f"a frame has {MOST_FRAME_BYTES + 1} bytes"),
        (whole(99), "unknown kind 99"),
        (whole(1, b"\0\2"), f"it speaks version 2 of the bus, this worker version {WIRE_VERSION}"),
        (whole(1, b"\0\1" + b"h" * 8), "too short"),
        (whole(1, HELLO[5:] + b"x"), "too long"),
        (whole(2, struct.pack("!BQ?H", 0, 1, True, 5) + b"t:a"), "too short"),
        (whole(2, struct.pack("!BQ?H", 9, 1, True, 1) + b"a"), "kind CHANGE is malformed"),
        (whole(2, struct.pack("!BQ?H", 0, 1, False, 1) + b"ab"), "too long"),
        (whole(3, struct.pack("!BQI?HI", 0, 1, 0, True, 1, 9) + b"a"), "too short"),
        (whole(4, b"\2"), "kind RESYNC is malformed"),
        (whole(4, b"\1\1"), "too long"),
        (whole(5, bytes(8)), "too short"),
        (whole(5, bytes(17)), "too long"),
        (whole(6, bytes(9)), "too short"),
        (whole(6, struct.pack("!QH", 1, 4) + b"t:a"), "too short"),
        (whole(6, struct.pack("!QH", 1, 1) + b"\xff"), "kind MESSAGE is malformed"),
        (whole(7, bytes(8)), "too short"),
        (whole(7, struct.pack("!Q?", 1, True) + b"x"), "too long"),
        (whole(9, b"x"), "too long"),
        (whole(10, bytes(8)), "too short"),
        (whole(10, bytes(10)), "too long"),
        (whole(8, b"\1\0" + struct.pack("!H", 1) + b"a"), "too many keys"),
        (whole(8, b"\0\0" + (struct.pack("!H", 1) + b"a") * (MOST_GAP_KEYS + 1)), "too many keys"),
    ],
)
def test_what_is_no_frame_is_an_error(data: bytes, words: str) -> None:
    # Behind it are bytes that a frame that is too short must not use.
    found, error = decoded([HELLO + data + bytes(300)])
    assert len(found) == 1
    assert error is not None
    assert words in error


def test_frames_before_an_error_are_returned() -> None:
    frame = Message("t:a", 0, b"x")
    found, error = decoded([encoded(frame) + b"\xff\xff\xff\xff\xff"])
    assert found == [frame]
    assert error is not None


def test_a_long_frame_is_joined_once_however_it_arrives() -> None:
    frame = Message("t:a", 7, bytes(1_000_000))
    data = encoded(frame)
    decoder = FrameDecoder()
    for at in range(0, len(data) - 100, 100):
        assert list(decoder.feed(data[at : at + 100])) == []
    # Every part is kept as it came: joining at each of them would take time that is quadratic in their number.
    assert len(decoder._parts) == len(range(0, len(data) - 100, 100))
    assert list(decoder.feed(data[len(range(0, len(data) - 100, 100)) * 100 :])) == [frame]


@pytest.mark.parametrize("frame", [Message("g:é", 1, b""), Gap(["g:é"], False)], ids=lambda frame: type(frame).__name__)
def test_names_have_any_character(frame: Frame) -> None:
    assert decoded([encoded(frame)]) == ([frame], None)
