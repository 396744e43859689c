"""What a session sends and receives, and its end; no sockets."""

from __future__ import annotations

import itertools
import tracemalloc

import pytest

from reactorhost.framing import FramingError
from reactorhost_websocket import Binary, Parameters, Ping, Text
from websocket_frames import BINARY, CLOSE, DEFLATE, PING, RSV1, TEXT, Sent, close, deflated, frame, frames, inflated
from websocket_server import opened


def test_a_message_is_compressed_from_a_size_on() -> None:
    session = opened(Parameters(compress_from=100), sec_websocket_extensions=DEFLATE).session
    for size, is_compressed in ((99, False), (100, True), (5000, True)):
        (sent,) = frames(session.frame(b"a" * size))
        assert bool(sent.rsv & RSV1) == is_compressed
        assert (inflated(sent.data) if is_compressed else sent.data) == b"a" * size


@pytest.mark.parametrize(
    ("send_as", "received", "message", "opcode"),
    [
        ("same", None, b"a", TEXT),
        ("same", frame(TEXT, b"x"), b"a", TEXT),
        ("same", frame(BINARY, b"x"), b"a", BINARY),
        ("same", None, b"\xff", BINARY),
        ("text", frame(BINARY, b"x"), b"a", TEXT),
        ("text", None, "ä".encode(), TEXT),
        ("text", None, b"\xff", BINARY),
        ("binary", frame(TEXT, b"x"), b"a", BINARY),
        ("binary", None, "ä", TEXT),
        ("binary", None, Text(b"a"), TEXT),
        ("text", None, Binary(b"a"), BINARY),
        ("text", None, bytearray(b"a"), TEXT),
        ("text", None, memoryview(b"a"), TEXT),
        ("binary", None, Ping(b"a"), PING),
    ],
)
def test_the_type_of_a_message_is_chosen(send_as: str, received: bytes | None, message: object, opcode: int) -> None:
    session = opened(Parameters(send_as=send_as)).session
    list(session.feed(received or b""))
    (sent,) = frames(session.frame(message))
    assert sent.opcode == opcode
    assert sent.data == (message.encode() if isinstance(message, str) else message)


@pytest.mark.parametrize(
    ("message", "error", "words"),
    [
        (Text(b"\xff"), ValueError, "not UTF-8"),
        ("\ud800", ValueError, "lone surrogate"),
        (Ping(b"*" * 126), ValueError, "at most 125"),
        (5, TypeError, "int"),
    ],
)
def test_a_message_that_cannot_be_sent_raises(message: object, error: type[Exception], words: str) -> None:
    session = opened().session
    with pytest.raises(error, match=words):
        session.frame(message)


@pytest.mark.parametrize(
    ("received", "incomplete"),
    [
        (b"", False),
        (frame(TEXT, b"hello"), False),
        (frame(TEXT, b"hello")[:4], True),
        (frame(TEXT, b"hello")[:-1], True),
        (frame(TEXT, b"hel", fin=False), True),
        (frame(TEXT, b"hel", fin=False) + frame(PING, b""), True),
        (frame(TEXT, b"hel", fin=False) + frame(0, b"lo"), False),
        (frame(PING, b"alive"), False),
        (frame(TEXT, b"hello") + frame(TEXT, b"hello")[:-1], True),
        (frame(TEXT, b"hello") + frame(TEXT, b"hello")[:1], True),
        (frame(TEXT, b"hello") + frame(TEXT, b"hello"), False),
        (frame(PING, b"alive")[:3], True),
    ],
)
def test_whether_a_message_is_incomplete_is_known(received: bytes, incomplete: bool) -> None:
    session = opened().session
    list(session.feed(received))
    assert session.incomplete is incomplete
    list(session.feed(b""))
    assert session.incomplete is incomplete


def test_the_type_of_the_message_that_is_received_is_known() -> None:
    session = opened().session
    sends = frame(TEXT, b"a") + frame(BINARY, b"b") + frame(TEXT, b"c", fin=False) + frame(0, b"d")
    assert [(message, session.is_text) for message in session.feed(sends)] == [
        (b"a", True),
        (b"b", False),
        (b"cd", True),
    ]


def test_equal_keys_encode_equally_and_different_encodings_have_different_keys() -> None:
    parameters = [Parameters(), Parameters(send_as="binary"), Parameters(compress_from=10)]
    offers = [
        {},
        {"sec_websocket_extensions": DEFLATE},
        {"sec_websocket_extensions": f"{DEFLATE}; server_max_window_bits=9"},
    ]
    received = [b"", frame(BINARY, b"x")]
    forms: dict[object, bytes] = {}
    message = b"message " * 100
    for each, offer, before in itertools.product(parameters, offers, received):
        for _ in range(2):
            session = opened(each, **offer).session
            list(session.feed(before))
            framed = session.frame(message)
            assert forms.setdefault(session.frame_key, framed) == framed
    assert len(set(forms.values())) >= 4


@pytest.mark.parametrize(
    ("reason", "code", "text"),
    [
        ("local", 1000, b""),
        ("error", 1011, b""),
        ("idle", 1001, b"idle"),
        ("shutdown", 1012, b"restart"),
        ("a later reason", 1001, b"a later reason"),
    ],
)
def test_the_host_ends_a_session_with_a_close_of_its_reason(reason: str, code: int, text: bytes) -> None:
    server = opened()
    server.close(reason)
    assert frames(server.sent) == [Sent(CLOSE, code.to_bytes(2, "big") + text)]
    assert server.session.frame(b"late") == b""
    assert server.session.frame_key is None


def test_a_plugin_chooses_the_close() -> None:
    server = opened()
    server.session.end_with(4001, "not welcome")
    server.close("local")
    assert frames(server.sent) == [Sent(CLOSE, b"\x0f\xa1not welcome")]


@pytest.mark.parametrize(
    ("code", "reason"), [("1000", ""), (999, ""), (1005, ""), (1006, ""), (1015, ""), (5000, ""), (1000, "ä" * 62)]
)
def test_a_close_that_cannot_be_sent_is_refused(code: int, reason: str) -> None:
    with pytest.raises(ValueError, match="a close"):
        opened().session.end_with(code, reason)


def test_the_last_messages_are_answered_before_the_close() -> None:
    server = opened()
    server.receive(frame(TEXT, b"one") + frame(TEXT, b"two") + close(1001, b"away"))
    assert frames(server.sent) == [Sent(TEXT, b"one"), Sent(TEXT, b"two"), Sent(CLOSE, b"\x03\xe9away")]
    assert (server.session.close_code, server.session.close_reason) == (1001, "away")


def test_a_close_by_a_plugin_between_the_last_messages_sends_one_close() -> None:
    session = opened().session
    messages = iter(session.feed(frame(TEXT, b"one") + frame(TEXT, b"two") + close(4000)))
    assert next(messages) == b"one"
    session.closing("local")
    # The client knows its own code, and nothing of the plugin's.
    assert frames(session.outgoing()) == [Sent(CLOSE, b"\x0f\xa0")]
    assert session.frame(b"late") == b""
    assert list(messages) == [b"two"]
    assert session.outgoing() == b""


def test_code_and_reason_are_known_only_after_the_close_of_the_client() -> None:
    server = opened()
    assert (server.session.close_code, server.session.close_reason) == (None, "")
    server.receive(close())
    assert (server.session.close_code, server.session.close_reason) == (1005, "")


def test_a_violation_is_raised_after_the_messages_before_it() -> None:
    session = opened().session
    messages = iter(session.feed(frame(TEXT, b"one") + frame(3)))
    assert next(messages) == b"one"
    with pytest.raises(FramingError, match="invalid opcode"):
        next(messages)


def test_a_read_of_small_messages_that_decompress_to_much_does_not_hold_all_of_them() -> None:
    size = 1024 * 1024
    session = opened(Parameters(max_size=size), sec_websocket_extensions=DEFLATE).session
    read = frame(BINARY, deflated(bytes(size)), rsv=RSV1) * 60
    tracemalloc.start()
    try:
        count = sum(1 for message in session.feed(read) if len(message) == size)
        assert tracemalloc.get_traced_memory()[1] < 12 * size
    finally:
        tracemalloc.stop()
    assert count == 60


def test_a_message_of_many_small_frames_takes_little_more_memory_than_its_bytes() -> None:
    session = opened().session
    list(session.feed(frame(BINARY, b"a", fin=False)))
    part = frame(0, b"a", fin=False) * 1000
    tracemalloc.start()
    try:
        for _ in range(10):
            list(session.feed(part))
        assert tracemalloc.get_traced_memory()[0] < 60_000
    finally:
        tracemalloc.stop()


def test_a_fresh_one_has_the_parameters_and_nothing_else() -> None:
    parameters = Parameters(send_as="binary")
    used = opened(parameters).session
    fresh = used.fresh()
    assert fresh.parameters is parameters
    assert (fresh.opening, fresh.path, fresh.ended) == (True, "", False)
