"""Every split of a stream yields the same messages, no byte is lost or repeated, and size limits hold."""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from unittest.mock import patch

import pytest
from hypothesis import given, settings, strategies

import reactorhost
from reactorhost.framing import (
    DEFAULT_MAX_SIZE,
    Delimited,
    Fixed,
    FramingError,
    LengthPrefixed,
    Lines,
    framing_named,
    sized,
    splitter,
)

Built = Delimited | Fixed | LengthPrefixed | Lines


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


@pytest.fixture(autouse=True, scope="module")
def few_pieces_at_once() -> Iterator[None]:
    """Process short streams in batches, as long ones are."""
    with patch.object(splitter, "_FIRST_BATCH", 2), patch.object(splitter, "_UNBATCHED_SIZE", 20):
        yield


def drawn_stream(data: strategies.DataObject, case: Case) -> bytes:
    return b"".join(data.draw(strategies.lists(strategies.sampled_from(case.tokens), max_size=30), label="stream"))


def drawn_pieces(data: strategies.DataObject, stream: bytes) -> list[bytes]:
    cuts = data.draw(strategies.lists(strategies.integers(0, len(stream)), max_size=8), label="cuts")
    places = [0, *sorted(cuts), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(places)]


def bytewise(stream: bytes) -> list[bytes]:
    return [stream[at : at + 1] for at in range(len(stream))]


def taken(framing: Built, pieces: list[bytes]) -> tuple[list[bytes], str | None]:
    """Feed the pieces; return the messages and the error after them, if any."""
    messages: list[bytes] = []
    try:
        for piece in pieces:
            for message in framing.feed(piece):
                messages.append(message)  # noqa: PERF402  what comes before an error counts
    except FramingError as error:
        return messages, str(error)
    return messages, None


# Every split, every place to stop


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


# Work


class Counting(bytearray):
    """A bytearray that counts the bytes copied or searched."""

    work: ClassVar[int] = 0

    def __init__(self, data: bytes) -> None:
        Counting.work += len(data)
        super().__init__(data)

    def __iadd__(self, data: Any) -> Any:  # type: ignore[misc]  # no __add__ is wanted
        Counting.work += len(data)
        return super().__iadd__(data)

    def __bytes__(self) -> bytes:
        Counting.work += len(self)
        return bytes(memoryview(self))

    def find(self, sub: Any, start: Any = 0, end: Any = None) -> int:
        Counting.work += len(self) - start
        return super().find(sub, start)


SLOW_PEERS: Mapping[str, tuple[Built, types.ModuleType, int]] = {
    "lines": (Lines(), splitter, 1),
    "delimited": (Delimited(b"ababac"), splitter, 6),
    "length_prefixed": (LengthPrefixed(), sized, 1),
    "fixed": (Fixed(10_000), sized, 1),
}


@pytest.mark.parametrize("kind", SLOW_PEERS)
def test_work_is_linear_in_the_bytes_of_a_peer_that_sends_byte_by_byte(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    framing, module, looks = SLOW_PEERS[kind]
    monkeypatch.setattr(module, "bytearray", Counting, raising=False)
    monkeypatch.setattr(Counting, "work", 0)
    message = b"ab" * 5000
    stream = framing.frame(message) * 3
    assert taken(framing, bytewise(stream)) == ([message] * 3, None)
    # Every byte is appended once, searched once for each byte of a delimiter, and copied out once.
    assert len(stream) <= Counting.work <= (looks + 3) * len(stream)


def test_a_large_batch_is_copied_only_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = splitter.Splitter._split
    left: list[int] = []

    def counted(self: splitter.Splitter, most: int) -> list[bytes]:
        left.append(len(self.tail))
        return cut(self, most)

    monkeypatch.setattr(splitter.Splitter, "_split", counted)
    assert len(list(Lines().feed(b"\n" * 65536))) == 65536
    assert len(left) <= 18


@pytest.mark.parametrize("framing", [Lines(), Delimited(b"\n"), Fixed(1), LengthPrefixed("B")], ids=repr)
def test_taking_one_message_of_a_large_batch_splits_off_few_pieces(framing: Built) -> None:
    stream = b"\n" * 65536 if not isinstance(framing, LengthPrefixed) else b"\0" * 65536
    batch = iter(framing.feed(stream))
    next(batch)
    cut = len(list(getattr(framing, "_splitter")._pieces)) if hasattr(framing, "_splitter") else 1  # noqa: B009
    assert cut <= 64


# Violations by the peer


def refusal(framing: Built, *pieces: bytes) -> str:
    """Return the sentence of the error that the last piece raises, after all messages before it."""
    for piece in pieces[:-1]:
        assert list(framing.feed(piece)) == []
    with pytest.raises(FramingError) as caught:
        list(framing.feed(pieces[-1]))
    return str(caught.value)


@pytest.mark.parametrize(
    ("framing", "pieces", "sentence"),
    [
        (Lines(max_size=4), [b"12345\n"], "a line of more than 4 bytes"),
        (Lines(max_size=4), [b"1234", b"5", b"6"], "a line of more than 4 bytes"),
        (Lines(max_size=4, keep_ends=True), [b"1234\n"], "a line of more than 4 bytes"),
        (Lines(), [b"x" * DEFAULT_MAX_SIZE, b"xx"], "a line of more than 1048576 bytes"),
        (Delimited(b"::", max_size=4), [b"12345::"], "a message of more than 4 bytes"),
        (Delimited(b"::", max_size=4), [b"1234:", b"5"], "a message of more than 4 bytes"),
        (LengthPrefixed(">I", max_size=65536), [b"\0\1\x11\x70"], "a length of 70000 where at most 65536 is allowed"),
        (
            LengthPrefixed(">I"),
            [b"\xff", b"\xff\xff", b"\xff"],
            "a length of 4294967295 where at most 1048576 is allowed",
        ),
        (LengthPrefixed(">i"), [b"\xff\xff\xff\xff"], "a length of -1 where at least 0 is needed"),
        (LengthPrefixed("B", inclusive=True), [b"\0"], "a length of 0 where at least 1 is needed"),
        (
            LengthPrefixed("B", offset=3, inclusive=True, max_size=9),
            [b"abc\x0b"],
            "a length of 11 where at most 10 is allowed",
        ),
    ],
)
def test_a_violation_of_the_framing_is_described_in_one_sentence(
    framing: Built, pieces: list[bytes], sentence: str
) -> None:
    assert refusal(framing, *pieces) == sentence


def test_messages_before_a_violation_are_returned() -> None:
    for framing, stream in (
        (Lines(max_size=2), b"a\nb\nccc\nd\n"),
        (Delimited(b";", max_size=2), b"a;b;ccc;d;"),
        (LengthPrefixed("B", max_size=2), b"\1a\1b\3ccc\1d"),
    ):
        batch = iter(framing.feed(stream))
        assert [next(batch), next(batch)] == [b"a", b"b"]
        with pytest.raises(FramingError):
            next(batch)
        assert framing.rest() == stream[4:]


@pytest.mark.parametrize(
    ("framing", "stream"),
    [(Lines(max_size=4), b"123456"), (Delimited(b";;", max_size=4), b"123456"), (LengthPrefixed("b"), b"\xff")],
)
def test_a_broken_framing_stays_broken(framing: Built, stream: bytes) -> None:
    first = refusal(framing, stream)
    for more in (b"x", b"\n", b";;"):
        assert refusal(framing, more) == first


def test_a_message_of_exactly_the_maximum_size_is_accepted() -> None:
    for framing in (
        Lines(max_size=6),
        Lines(max_size=6, end=b"\r\n"),
        Delimited(b"aab", max_size=6),
        LengthPrefixed("B", max_size=6),
        LengthPrefixed("B", offset=2, inclusive=True, max_size=6),
        Fixed(6),
    ):
        wire = framing.frame(b"123456")
        assert taken(framing.fresh(), [wire]) == taken(framing.fresh(), bytewise(wire)) == ([b"123456"], None)


def test_a_false_length_allocates_no_memory() -> None:
    framing = LengthPrefixed(">I", max_size=2**32)
    assert list(framing.feed(b"\xff\xff\xff\xfe" + b"x" * 100)) == []
    assert len(framing.rest()) == 104


# Messages that cannot be framed


@pytest.mark.parametrize(
    ("framing", "message", "sentence"),
    [
        (Lines(), b"a\nb", "a line has a newline inside"),
        (Lines(), b"a\n", "a line has a newline inside"),
        (Lines(keep_ends=True), b"a\nb\n", "a line has a newline inside"),
        (Lines(), b"a\r", "a line ends with a carriage return, which would become part of the line end"),
        (Lines(max_size=3), b"1234", "a message of 4 bytes is larger than the 3 bytes that are allowed"),
        (Lines(max_size=3, keep_ends=True), b"123", "a message of 4 bytes is larger than the 3 bytes that are allowed"),
        (Delimited(b"::"), b"a::b", "a message has the delimiter b'::' inside"),
        (Delimited(b"::"), b"a:", "a message has the delimiter b'::' inside"),
        (Delimited(b"::", max_size=3), b"1234", "a message of 4 bytes is larger than the 3 bytes that are allowed"),
        (LengthPrefixed("B"), bytes(256), "a message of 256 bytes is too long for a length of the format 'B'"),
        (LengthPrefixed(max_size=3), b"1234", "a message of 4 bytes is larger than the 3 bytes that are allowed"),
        (LengthPrefixed(offset=4), b"123", "a message of 3 bytes is shorter than its header of 4"),
        (Fixed(4), b"123", "a message of 3 bytes where each must have 4"),
        (Fixed(4), b"12345", "a message of 5 bytes where each must have 4"),
    ],
)
def test_a_message_that_cannot_be_framed_is_refused(framing: Built, message: bytes, sentence: str) -> None:
    with pytest.raises(ValueError, match=r"^a ") as caught:
        framing.frame(message)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("framing", [Lines(), Delimited(b";"), LengthPrefixed(), Fixed(3)], ids=repr)
@pytest.mark.parametrize("message", [3, "abc", None])
def test_only_bytes_are_framed(framing: Built, message: Any) -> None:
    with pytest.raises(TypeError):
        framing.frame(message)


@pytest.mark.parametrize(
    ("framing", "message", "wire"),
    [
        (Lines(), b"a", b"a\n"),
        (Lines(end=b"\r\n"), bytearray(b"a\r"), b"a\r\r\n"),
        (Lines(keep_ends=True), b"a\r\n", b"a\r\n"),
        (Lines(keep_ends=True, end=b"\r\n"), b"a", b"a\r\n"),
        (Delimited(b"\0"), b"a", b"a\0"),
        (LengthPrefixed(">H"), b"abc", b"\0\3abc"),
        (LengthPrefixed("<H"), b"abc", b"\3\0abc"),
        (LengthPrefixed(">H", offset=1), b"abc", b"a\0\2bc"),
        (LengthPrefixed(">H", offset=1, inclusive=True), b"abc", b"a\0\5bc"),
        (Fixed(3), memoryview(b"abc"), b"abc"),
    ],
)
def test_framed_message_has_the_form_of_the_protocol(
    framing: Built, message: bytes | bytearray | memoryview, wire: bytes
) -> None:
    framed = framing.frame(message)
    assert (type(framed), framed) == (bytes, wire)


# Wrong parameters


@pytest.mark.parametrize(
    ("kind", "values", "error", "sentence"),
    [
        (Lines, {"max_size": 0}, ValueError, "max_size is 0 and must be at least 1"),
        (Lines, {"max_size": "1KiB"}, TypeError, "max_size is '1KiB', not a whole number of bytes"),
        (Lines, {"max_size": True}, TypeError, "max_size is True, not a whole number of bytes"),
        (Lines, {"keep_ends": 1}, TypeError, "keep_ends is 1, not true or false"),
        (Lines, {"end": b"\r"}, ValueError, "end is b'\\r' and must be b'\\n' or b'\\r\\n'"),
        (Delimited, {"delimiter": "\n"}, TypeError, "delimiter is '\\n', not bytes"),
        (Delimited, {"delimiter": b""}, ValueError, "delimiter is empty"),
        (Delimited, {"delimiter": b";", "max_size": -1}, ValueError, "max_size is -1 and must be at least 1"),
        (Fixed, {"size": 0}, ValueError, "size is 0 and must be at least 1"),
        (Fixed, {"size": 1.5}, TypeError, "size is 1.5, not a whole number of bytes"),
        (LengthPrefixed, {"format": 4}, TypeError, "format is 4, not a string"),
        (LengthPrefixed, {"offset": -1}, ValueError, "offset is -1 and must be at least 0"),
        (LengthPrefixed, {"offset": 9, "max_size": 8}, ValueError, "max_size is 8 and must be at least 9"),
        (LengthPrefixed, {"inclusive": "no"}, TypeError, "inclusive is 'no', not true or false"),
        *(
            (
                LengthPrefixed,
                {"format": text},
                ValueError,
                f"format is {text!r}, not one integer of the struct module such as '>H' or '<I'",
            )
            for text in ("", ">", "HH", ">2H", "f", "4s", "x", "?", "> H", "H\n")
        ),
        (LengthPrefixed, {"format": ">n"}, ValueError, "format is '>n': bad char in struct format"),
    ],
)
def test_an_invalid_parameter_is_reported_when_the_framing_is_made(
    kind: Callable[..., Built], values: Mapping[str, object], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error) as caught:
        kind(**values)
    assert type(caught.value) is error
    assert str(caught.value) == sentence


# By name


@pytest.mark.parametrize(
    ("spec", "framing"),
    [
        ("lines", Lines()),
        ("length_prefixed", LengthPrefixed()),
        (
            {"kind": "lines", "max_size": 100, "keep_ends": True, "end": "\r\n"},
            Lines(max_size=100, keep_ends=True, end=b"\r\n"),
        ),
        ({"kind": "delimited", "delimiter": "\r\n\r\n"}, Delimited(b"\r\n\r\n")),
        ({"kind": "delimited", "delimiter": "§", "max_size": 9}, Delimited("§".encode(), max_size=9)),
        ({"kind": "delimited", "delimiter": b"\xff"}, Delimited(b"\xff")),
        (
            {"kind": "length_prefixed", "format": ">H", "offset": 2, "inclusive": True, "max_size": 65536},
            LengthPrefixed(">H", offset=2, inclusive=True, max_size=65536),
        ),
        ({"kind": "fixed", "size": 16}, Fixed(16)),
    ],
)
def test_framing_from_a_configuration_file(spec: Any, framing: Built) -> None:
    assert repr(framing_named(spec)) == repr(framing)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("line", "there is no framing 'line'; did you mean 'lines'?"),
        ("json", "there is no framing 'json'; use one of lines, delimited, length_prefixed, fixed"),
        (7, "there is no framing 7; use one of lines, delimited, length_prefixed, fixed"),
        ({"kind": ["lines"]}, "there is no framing ['lines']; use one of lines, delimited, length_prefixed, fixed"),
        ({}, "a framing table needs the key 'kind', one of lines, delimited, length_prefixed, fixed"),
        ("delimited", "framing 'delimited' needs the parameter 'delimiter'"),
        ({"kind": "fixed"}, "framing 'fixed' needs the parameter 'size'"),
        ({"kind": "lines", "maxsize": 1}, "framing 'lines' has no parameter 'maxsize'; did you mean 'max_size'?"),
        (
            {"kind": "lines", "delimiter": "\n"},
            "framing 'lines' has no parameter 'delimiter'; its parameters are max_size, keep_ends, end",
        ),
        ({"kind": "fixed", "size": "16"}, "framing 'fixed': size is '16', not a whole number of bytes"),
        ({"kind": "delimited", "delimiter": ""}, "framing 'delimited': delimiter is empty"),
        ({"kind": "delimited", "delimiter": 10}, "framing 'delimited': delimiter is 10, not bytes"),
        (
            {"kind": "length_prefixed", "max_size": 0},
            "framing 'length_prefixed': max_size is 0 and must be at least 1",
        ),
    ],
)
def test_an_invalid_framing_is_described_in_one_sentence(spec: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match="framing") as caught:
        framing_named(spec)
    assert str(caught.value) == sentence


def test_framings_are_public() -> None:
    assert reactorhost.Lines is Lines
    for name in ("Framing", "Lines", "Delimited", "LengthPrefixed", "Fixed", "FramingError", "DEFAULT_MAX_SIZE"):
        assert name in reactorhost.__all__
        assert getattr(reactorhost, name) is getattr(reactorhost.framing, name)
