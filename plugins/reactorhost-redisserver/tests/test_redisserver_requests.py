"""Requests are split into commands wherever they are cut, and what violates the protocol is refused as Redis does."""

from __future__ import annotations

import tracemalloc

import hiredis
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conversations import packed
from reactorhost_redisserver.requests import INCOMPLETE, MOST_INLINE_BYTES, ProtocolError, RequestReader, checked
from reactorhost_redisserver.words import UnbalancedQuotesError, split_words

MANY = b"*9999999\r\n"


def commands(reader: RequestReader, data: bytes) -> list[list[bytes]]:
    """Return the commands that are complete with these bytes, as the pipeline reads them."""
    reader.feed(data)
    found: list[list[bytes]] = []
    while True:
        try:
            words = reader.gets()
        except hiredis.ProtocolError as malformed:
            reader.recover(malformed)
            continue
        if words is INCOMPLETE:
            if not reader.pending:
                return found
            words = reader.advance()
        if words := checked(words):
            found.append(words)


WORD = st.one_of(
    st.binary(max_size=20),
    st.sampled_from(
        [b"", MANY, b"*1234567", b"a*1234567*7654321", b"*", b"*12", b"x*9", b">1000000\r\n", b"\r\n*1\r\n$1"]
    ),
)


@settings(deadline=None)
@given(st.lists(st.lists(WORD, min_size=1, max_size=4), min_size=1, max_size=5), st.data())
def test_any_split_of_a_stream_gives_the_same_commands(sent: list[list[bytes]], data: st.DataObject) -> None:
    stream = b"".join(map(packed, sent))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=6)))
    reader = RequestReader()
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert [words for piece in pieces for words in commands(reader, piece)] == sent


@settings(deadline=None)
@given(st.integers(1, 40))
def test_inline_commands_may_be_followed_by_resp(cut: int) -> None:
    stream = b'PING\r\n\r\nSET "a b" c\n' + packed([b"GET", b"a b"]) + packed([b"PING"])
    reader = RequestReader()
    found = commands(reader, stream[:cut]) + commands(reader, stream[cut:])
    assert found == [[b"PING"], [b"SET", b"a b", b"c"], [b"GET", b"a b"], [b"PING"]]


def test_a_login_in_resp_may_be_followed_by_inline_commands() -> None:
    reader = RequestReader()
    assert commands(reader, packed([b"AUTH", b"x"]) + b"PING\r\nPI") == [[b"AUTH", b"x"], [b"PING"]]
    assert commands(reader, b"NG\r\n" + packed([b"GET", b"a"])) == [[b"PING"], [b"GET", b"a"]]


@pytest.mark.parametrize("cut", range(1, 60))
@pytest.mark.parametrize("kind", [b"*", b">", b"~", b"|"])
def test_a_large_number_of_elements_is_refused_before_it_is_allocated(kind: bytes, cut: int) -> None:
    stream = packed([b"SET", b"a", MANY]) + b"*2\r\n$3\r\nGET\r\n" + kind + b"90000000\r\n"
    reader = RequestReader()
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError, match=r"invalid multibulk length"):
            [commands(reader, piece) for piece in (stream[:cut], stream[cut:])]
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_nothing_is_allocated_for_a_number_that_arrives_digit_by_digit() -> None:
    reader = RequestReader()
    assert commands(reader, packed([b"PING"])) == [[b"PING"]]
    for digit in (b"*", b"9", b"9", b"9", b"9", b"9", b"9"):
        assert commands(reader, digit) == []
    with pytest.raises(ProtocolError, match="invalid multibulk length"):
        commands(reader, b"9")


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"*1\r\n:5\r\n", "expected '$', got ':'"),
        (b"*1\r\n*1\r\n$1\r\na\r\n", "expected '$', got '*'"),
        (b"*1\r\n%1\r\n$1\r\na\r\n$1\r\na\r\n", "expected '$', got '%'"),
        (b"*1\r\n-a\r\n", "expected '$', got '-'"),
        (b"*1\r\n,1.5\r\n", "expected '$', got ','"),
        (b"*1\r\n#t\r\n", "expected '$', got '#'"),
        (b"*1\r\n@\r\n", "expected '$', got '@'"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$x\r\n", "invalid bulk length"),
        (b"*x\r\n", "invalid multibulk length"),
        (b'PING "a\r\n', "unbalanced quotes in request"),
        (b"x" * (MOST_INLINE_BYTES + 1), "too big inline request"),
    ],
)
def test_what_violates_the_protocol_is_refused(sent: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        commands(RequestReader(), sent)
    assert str(refused.value) == reason


def test_commands_without_words_are_skipped() -> None:
    assert commands(RequestReader(), b"*0\r\n*-1\r\n" + packed([b"PING"])) == [[b"PING"]]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", []),
        (b"  a \t b ", [b"a", b"b"]),
        (b'"a b" c', [b"a b", b"c"]),
        (rb'"\x41\n\"\q" b', [b'A\n"q', b"b"]),
        (rb"'a\'b\n' c", [rb"a'b\n", b"c"]),
        (b'a"b"', [b"ab"]),
        (b"\"\" ''", [b"", b""]),
    ],
)
def test_a_line_is_split_into_words(line: bytes, words: list[bytes]) -> None:
    assert split_words(line) == words


@pytest.mark.parametrize("line", [b'"', b"'a", b'"a"b', b"'a'b", b'a "b', b'"\\'])
def test_quotes_must_be_in_pairs(line: bytes) -> None:
    with pytest.raises(UnbalancedQuotesError):
        split_words(line)


@settings(deadline=None)
@given(st.binary(max_size=30))
@example(b'"\\x4"')
def test_any_line_is_split_or_refused(line: bytes) -> None:
    try:
        split_words(line)
    except UnbalancedQuotesError:
        assert b'"' in line or b"'" in line
