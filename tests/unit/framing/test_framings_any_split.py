"""Every split of a stream yields the same messages, and no byte is lost or repeated."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from unittest.mock import patch

import pytest
from hypothesis import given, settings, strategies

from framed_streams import Built, bytewise, taken
from reactorhost.framing import (
    DEFAULT_MAX_SIZE,
    Delimited,
    Fixed,
    LengthPrefixed,
    Lines,
    splitter,
)

# Reference implementations that read the whole stream at once.


@dataclass
class Reading:
    """The messages of a stream, the position where each ends, and the error that ends the stream, if any."""

    messages: list[bytes]
    ends: list[int]
    error: str | None = None


def read_delimited(stream: bytes, delimiter: bytes, most: int) -> Reading:
    reading = Reading([], [])
    at = 0
    while (stop := stream.find(delimiter, at)) >= 0 and stop - at <= most:
        at = stop + len(delimiter)
        reading.messages.append(stream[reading.ends[-1] if reading.ends else 0 : stop])
        reading.ends.append(at)
    if len(stream) - at >= most + len(delimiter):
        reading.error = f"a message of more than {most} bytes"
    return reading


def read_lines(stream: bytes, most: int, *, keep_ends: bool = False) -> Reading:
    reading = Reading([], [])
    at = 0
    for line in stream.split(b"\n")[:-1]:
        message = line + b"\n" if keep_ends else line.removesuffix(b"\r")
        if len(message) > most:
            break
        at += len(line) + 1
        reading.messages.append(message)
        reading.ends.append(at)
    if len(stream) - at > most + (not keep_ends):
        reading.error = f"a line of more than {most} bytes"
    return reading


def read_fixed(stream: bytes, size: int) -> Reading:
    ends = list(range(size, len(stream) + 1, size))
    return Reading([stream[end - size : end] for end in ends], ends)


def read_prefixed(
    stream: bytes,
    size: int,
    most: int,
    *,
    order: str = "big",
    signed: bool = False,
    offset: int = 0,
    inclusive: bool = False,
) -> Reading:
    reading = Reading([], [])
    at = 0
    while len(stream) >= (start := at + offset + size):
        length = int.from_bytes(stream[at + offset : start], order, signed=signed)  # type: ignore[arg-type]
        counted = offset + size if inclusive else 0
        if length < counted:
            reading.error = f"a length of {length} where at least {counted} is needed"
            break
        if offset + length - counted > most:
            reading.error = f"a length of {length} where at most {most - offset + counted} is allowed"
            break
        end = start + length - counted
        if end > len(stream):
            break
        reading.messages.append(stream[at : at + offset] + stream[start:end])
        reading.ends.append(end)
        at = end
    return reading


@dataclass(frozen=True)
class Case:
    make: Callable[[], Built]
    read: Callable[[bytes], Reading]
    tokens: tuple[bytes, ...]
    """Streams are sequences of these."""
    beyond: int
    """The most bytes that may be kept of one incomplete message."""

    def __str__(self) -> str:
        return repr(self.make())


TEXT = (b"a", b"\r", b"\n", b"\r\n", b"bcdef", b"ghijklmn")
BINARY = (b"\0", b"\1", b"\2", b"\3", b"\5", b"\0\0\0\2", b"\0\2", b"\xff", b"abcd")

CASES = [
    Case(Lines, lambda stream: read_lines(stream, DEFAULT_MAX_SIZE), TEXT, DEFAULT_MAX_SIZE + 1),
    Case(lambda: Lines(max_size=7), lambda stream: read_lines(stream, 7), TEXT, 8),
    Case(
        lambda: Lines(max_size=7, keep_ends=True, end=b"\r\n"),
        lambda stream: read_lines(stream, 7, keep_ends=True),
        TEXT,
        7,
    ),
    Case(lambda: Delimited(b";", max_size=5), lambda stream: read_delimited(stream, b";", 5), (b";", b"a", b"bcd"), 5),
    Case(
        lambda: Delimited(b"\r\n\r\n"),
        lambda stream: read_delimited(stream, b"\r\n\r\n", DEFAULT_MAX_SIZE),
        (*TEXT, b"\r\n\r\n"),
        DEFAULT_MAX_SIZE + 3,
    ),
    # A delimiter that overlaps itself.
    Case(
        lambda: Delimited(b"aba", max_size=6), lambda stream: read_delimited(stream, b"aba", 6), (b"a", b"b", b"c"), 8
    ),
    Case(LengthPrefixed, lambda stream: read_prefixed(stream, 4, DEFAULT_MAX_SIZE), BINARY, DEFAULT_MAX_SIZE + 4),
    Case(
        lambda: LengthPrefixed("<h", max_size=4),
        lambda stream: read_prefixed(stream, 2, 4, order="little", signed=True),
        BINARY,
        6,
    ),
    Case(
        lambda: LengthPrefixed("B", offset=2, inclusive=True, max_size=4),
        lambda stream: read_prefixed(stream, 1, 4, offset=2, inclusive=True),
        BINARY,
        5,
    ),
    Case(
        lambda: LengthPrefixed(">H", offset=1, max_size=6),
        lambda stream: read_prefixed(stream, 2, 6, offset=1),
        BINARY,
        8,
    ),
    Case(lambda: Fixed(1), lambda stream: read_fixed(stream, 1), BINARY, 1),
    Case(lambda: Fixed(5), lambda stream: read_fixed(stream, 5), BINARY, 5),
]
every_framing = pytest.mark.parametrize("case", CASES, ids=str)


def drawn_stream(data: strategies.DataObject, case: Case) -> bytes:
    return b"".join(data.draw(strategies.lists(strategies.sampled_from(case.tokens), max_size=30), label="stream"))


def drawn_pieces(data: strategies.DataObject, stream: bytes) -> list[bytes]:
    cuts = data.draw(strategies.lists(strategies.integers(0, len(stream)), max_size=8), label="cuts")
    places = [0, *sorted(cuts), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(places)]


@every_framing
@settings(max_examples=30)
@given(data=strategies.data())
def test_every_split_of_a_stream_yields_the_same_messages_and_error(case: Case, data: strategies.DataObject) -> None:
    stream = drawn_stream(data, case)
    reading = case.read(stream)
    for pieces in ([stream], drawn_pieces(data, stream), bytewise(stream)):
        assert taken(case.make(), pieces) == (reading.messages, reading.error)


@every_framing
@settings(max_examples=30)
@given(data=strategies.data())
def test_rest_returns_exactly_what_was_not_returned_as_messages(case: Case, data: strategies.DataObject) -> None:
    stream = drawn_stream(data, case)
    reading = case.read(stream)
    stop = data.draw(strategies.integers(0, len(reading.messages)), label="messages taken")
    framing = case.make()
    fed = 0
    messages: list[bytes] = []
    for piece in drawn_pieces(data, stream):
        fed += len(piece)
        batch = iter(framing.feed(piece))
        messages.extend(itertools.islice(batch, stop - len(messages)))
        if len(messages) == stop:
            break
    assert messages == reading.messages[:stop]
    assert framing.rest() == stream[reading.ends[stop - 1] if stop else 0 : fed]
    assert framing.rest() == b""
    # The old iterator returns nothing that was taken out, and the framing is as if new.
    assert list(batch) == []
    assert taken(framing, [stream]) == (reading.messages, reading.error)


@every_framing
@settings(max_examples=30)
@given(data=strategies.data())
def test_pending_bytes_are_bounded_by_the_limit_and_the_last_piece(case: Case, data: strategies.DataObject) -> None:
    stream = drawn_stream(data, case)
    pieces = drawn_pieces(data, stream)
    framing = case.make()
    taken(framing, pieces)
    assert len(framing.rest()) <= case.beyond + max(map(len, pieces))


@every_framing
@settings(max_examples=30)
@given(data=strategies.data())
def test_framed_messages_are_read_back(case: Case, data: strategies.DataObject) -> None:
    framing = case.make()
    candidates = data.draw(
        strategies.lists(strategies.lists(strategies.sampled_from(case.tokens), max_size=4).map(b"".join), max_size=8),
        label="messages",
    )
    sent: list[bytes] = []
    wire = b""
    for message in candidates:
        try:
            wire += framing.frame(memoryview(message))
        except ValueError:
            continue
        ended = message.endswith(b"\n") or "keep_ends=True" not in str(case)
        sent.append(message if ended else message + b"\r\n")
    for pieces in ([wire], drawn_pieces(data, wire)):
        assert taken(case.make(), pieces) == (sent, None)


@every_framing
@settings(max_examples=30)
@given(data=strategies.data())
def test_every_received_message_can_be_framed_again(case: Case, data: strategies.DataObject) -> None:
    framing = case.make()
    messages, _ = taken(framing, [drawn_stream(data, case)])
    for message in messages:
        if isinstance(framing, Lines) and message.endswith(b"\r"):
            continue
        assert taken(framing.fresh(), [framing.frame(message)]) == ([message], None)


@every_framing
def test_fresh_framing_has_the_same_parameters_and_no_pending_bytes(case: Case) -> None:
    framing = case.make()
    list(framing.feed(case.tokens[0][:1]))
    fresh = framing.fresh()
    assert fresh is not framing
    assert repr(fresh) == repr(framing)
    assert fresh.rest() == b""
    list(fresh.feed(b"\0"))
    fresh.rest()
    stream = b"".join(case.tokens)
    assert taken(framing.fresh(), [stream]) == (case.read(stream).messages, case.read(stream).error)


@every_framing
def test_feeding_no_bytes_yields_no_message(case: Case) -> None:
    framing = case.make()
    assert list(framing.feed(b"")) == []
    assert framing.rest() == b""


@every_framing
def test_messages_are_bytes(case: Case) -> None:
    for pieces in ([b"a;\r\n\0\0\0\2ab"], bytewise(b"a;\r\n\r\n\0\0\0\2aba\0\2ab")):
        messages, _ = taken(case.make(), pieces)
        assert {type(message) for message in messages} <= {bytes}


def test_a_batch_can_be_paused_and_resumed() -> None:
    for framing, stream in (
        (Lines(), b"a\nb\r\nc\n"),
        (Delimited(b"; "), b"a; b; c; "),
        (Fixed(1), b"abc"),
        (LengthPrefixed("B"), b"\1a\1b\1c"),
    ):
        batch = iter(framing.feed(stream))
        assert next(batch) == b"a"
        assert list(batch) == [b"b", b"c"]
        assert framing.rest() == b""


@pytest.mark.parametrize("taken_first", [0, 1, 63, 64, 65, 191, 192, 193, 999, 1000])
def test_a_large_batch_can_be_stopped_at_any_message(taken_first: int) -> None:
    stream = b"".join(b"%059d\r\n" % number for number in range(1000)) + b"tail"
    with patch.object(splitter, "_FIRST_BATCH", 64), patch.object(splitter, "_UNBATCHED_SIZE", 4096):
        framing = Lines()
        batch = framing.feed(stream)
        assert list(itertools.islice(batch, taken_first)) == [b"%059d" % number for number in range(taken_first)]
        assert framing.rest() == stream[taken_first * 61 :]


def test_framing_can_change_from_lines_to_binary_within_a_batch() -> None:
    lines, binary = Lines(), LengthPrefixed(">H")
    batch = iter(lines.feed(b"HELLO\r\nBINARY\r\n\0\3\n\n\n\0"))
    assert [next(batch), next(batch)] == [b"HELLO", b"BINARY"]
    assert list(binary.feed(lines.rest())) == [b"\n\n\n"]
    assert binary.rest() == b"\0"
