"""What framings refuse: streams of peers, messages, parameters and settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

import reactorhost
from framed_streams import Built, bytewise, taken
from reactorhost.framing import (
    DEFAULT_MAX_SIZE,
    Delimited,
    Fixed,
    FramingError,
    LengthPrefixed,
    Lines,
    framing_named,
)

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
