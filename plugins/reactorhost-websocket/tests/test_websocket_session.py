"""The handshake, what is sent, and the end of a session; no sockets."""

from __future__ import annotations

import itertools
import tracemalloc

import pytest

from reactorhost import CloseReason
from reactorhost.framing import FramingError
from reactorhost_websocket import Binary, Parameters, Ping, Text, WebSocket
from reactorhost_websocket.endings import ANSWERS, CLOSES
from reactorhost_websocket.opening import MOST_BYTES
from websocket_frames import (
    BINARY,
    CLOSE,
    DEFLATE,
    KEY,
    PING,
    PONG,
    RSV1,
    TEXT,
    Sent,
    Server,
    close,
    deflated,
    frame,
    frames,
    inflated,
    opened,
    request,
)

# The example of RFC 6455, section 1.3.
RFC_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
RFC_ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def answered(*pieces: bytes, parameters: Parameters | None = None) -> tuple[int, str, Server]:
    """Return status and whole answer to a request that is refused or accepted."""
    server = Server(WebSocket(parameters))
    server.receive(*pieces)
    if server.error is None and not server.session.opening:
        server.session.accept()
        server.sent += server.session.outgoing()
    return int(server.sent.split()[1] if server.sent else 0), server.sent.decode(), server


def headers_of(answer: str) -> dict[str, str]:
    lines = answer.partition("\r\n\r\n")[0].split("\r\n")[1:]
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_request_is_accepted_however_it_is_split(size: int) -> None:
    whole = request("/chat?room=1", sec_websocket_key=RFC_KEY, cookie="a=b", origin="https://example.org")
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    status, answer, server = answered(*pieces)
    session = server.session
    assert status == 101
    assert headers_of(answer)["sec-websocket-accept"] == RFC_ACCEPT
    assert (session.path, session.origin) == ("/chat?room=1", "https://example.org")
    assert session.headers["Cookie"] == "a=b"
    assert session.subprotocol is None
    assert "sec-websocket-extensions" not in headers_of(answer)


def test_nothing_is_answered_and_no_frame_is_read_before_it_is_accepted() -> None:
    session = WebSocket()
    assert list(session.feed(request() + frame(PING, b"early") + frame(TEXT, b"one"))) == []
    assert list(session.feed(frame(TEXT, b"two"))) == []
    assert not session.opening
    assert session.outgoing() == b""
    session.accept()
    head, _, rest = session.outgoing().partition(b"\r\n\r\n")
    assert (head[:12], rest) == (b"HTTP/1.1 101", b"")
    assert list(session.feed(b"")) == [b"one", b"two"]
    assert frames(session.outgoing()) == [Sent(PONG, b"early")]


def test_what_is_sent_before_it_is_accepted_follows_the_answer() -> None:
    session = WebSocket()
    list(session.feed(request()))
    assert session.frame_key is None
    assert session.frame(b"welcome") == b""
    session.accept()
    head, _, rest = session.outgoing().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101")
    assert frames(rest) == [Sent(TEXT, b"welcome")]
    assert session.frame_key is not None


REFUSED = {
    "browser": (request(without="upgrade", connection="keep-alive"), 426, "You need a WebSocket client"),
    "no connection": (request(without="connection"), 426, "missing Connection header"),
    "other upgrade": (request(upgrade="h2c"), 426, "invalid Upgrade header: h2c"),
    "post": (request(line="POST / HTTP/1.1"), 405, "POST"),
    "http/1.0": (request(line="GET / HTTP/1.0"), 505, "HTTP/1.0"),
    "http/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "unsupported protocol"),
    "no key": (request(without="sec-websocket-key"), 400, "missing Sec-WebSocket-Key"),
    "short key": (request(sec_websocket_key="YQ=="), 400, "invalid Sec-WebSocket-Key"),
    "key not base64": (request(sec_websocket_key="!!!"), 400, "invalid Sec-WebSocket-Key"),
    "two keys": (request(sec_websocket_key=f"{KEY}\r\nsec-websocket-key: {KEY}"), 400, "multiple values"),
    "old version": (request(sec_websocket_version="8"), 400, "invalid Sec-WebSocket-Version"),
    "no host": (request(without="host"), 400, "0 Host headers"),
    "two hosts": (request(host="a\r\nhost: b"), 400, "2 Host headers"),
    "body": (request(content_length="5"), 400, "request body"),
    "chunked body": (request(transfer_encoding="chunked"), 400, "transfer coding"),
    "folded header": (request(cookie="a\r\n b"), 400, "invalid HTTP header"),
    "bare return": (request(cookie="a\rb"), 400, "invalid HTTP header value"),
    "nul": (request(cookie="a\0b"), 400, "invalid HTTP header value"),
    "lines without return": (b"GET / HTTP/1.1\nHost: a\n\n", 400, "without a carriage return"),
    "no request": (b"hello\r\n\r\n", 400, "invalid HTTP request line"),
    "tls": (b"\x16\x03\x01\x02", 400, "not an HTTP request"),
    "long line": (request("/" + "a" * 9000), 414, "8192"),
    "long header": (request(cookie="a" * 9000), 431, "8192"),
    "many headers": (request(**{f"x{number}": "1" for number in range(200)}), 431, "128 headers"),
    "large": (request(**{f"x{number}": "a" * 8000 for number in range(5)}), 431, f"{MOST_BYTES:,}"),
    "endless": (b"GET / HTTP/1.1\r\nCookie: " + b"a" * MOST_BYTES, 431, f"{MOST_BYTES:,}"),
}


@pytest.mark.parametrize(("sends", "status", "word"), REFUSED.values(), ids=REFUSED)
def test_a_bad_request_is_answered_and_refused(sends: bytes, status: int, word: str) -> None:
    found, answer, server = answered(sends)
    assert (found, server.session.opening) == (status, False)
    assert word.lower() in answer.partition("\r\n\r\n")[2].lower()
    assert headers_of(answer)["connection"] == "close"
    assert server.error
    # Nothing is added when the host closes after it.
    assert frames(server.session.outgoing()) == []


@pytest.mark.parametrize(
    ("origins", "origin", "status"),
    [
        (("*",), "https://any.example", 101),
        ((), None, 101),
        ((), "https://example.org", 403),
        (("https://example.org",), "https://example.org", 101),
        (("https://example.org",), "HTTPS://EXAMPLE.ORG", 101),
        (("https://example.org",), "http://example.org", 403),
        (("https://example.org",), "https://example.org.evil.example", 403),
        (("https://*.example.org",), "https://a.example.org", 101),
        (("https://*.example.org",), "https://example.org", 403),
        (("same",), "http://example.org", 101),
        (("same",), "http://example.org:8080", 403),
        (("same", "null"), "null", 101),
        (("same",), "null", 403),
    ],
)
def test_pages_connect_only_from_the_origins_that_are_allowed(
    origins: tuple[str, ...], origin: str | None, status: int
) -> None:
    headers = {} if origin is None else {"origin": origin}
    found, answer, _ = answered(request(**headers), parameters=Parameters(origins=origins))
    assert found == status
    assert (origin or "") in answer or status == 101


@pytest.mark.parametrize(
    ("offered", "status", "chosen"),
    [("b, a", 101, "a"), ("c, b", 101, "b"), ("c", 400, None), (None, 400, None)],
)
def test_a_subprotocol_is_negotiated(offered: str | None, status: int, chosen: str | None) -> None:
    headers = {} if offered is None else {"sec_websocket_protocol": offered}
    found, answer, server = answered(request(**headers), parameters=Parameters(subprotocols=("a", "b")))
    assert (found, server.session.subprotocol) == (status, chosen)
    assert headers_of(answer).get("sec-websocket-protocol") == chosen


@pytest.mark.parametrize(
    ("compression", "offer", "answer"),
    [
        (True, DEFLATE, "permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
        (
            True,
            "permessage-deflate; server_max_window_bits=10",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10",
        ),
        (True, "permessage-deflate; server_max_window_bits=7", None),
        (True, "permessage-deflate; unknown", None),
        (True, "x-other", None),
        (False, DEFLATE, None),
    ],
)
def test_compression_is_negotiated_without_a_context_that_is_kept(
    compression: bool, offer: str, answer: str | None
) -> None:
    _, found, _ = answered(request(sec_websocket_extensions=offer), parameters=Parameters(compression=compression))
    assert headers_of(found).get("sec-websocket-extensions") == answer


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


@pytest.mark.parametrize("reason", [str(reason) for reason in CloseReason])
def test_the_host_ends_a_session_with_a_close_of_its_reason(reason: str) -> None:
    server = opened()
    server.close(reason)
    (sent,) = frames(server.sent)
    assert (sent.opcode, int.from_bytes(sent.data[:2], "big")) == (CLOSE, CLOSES[reason][0])
    assert server.session.frame(b"late") == b""
    assert server.session.frame_key is None


@pytest.mark.parametrize("reason", [str(reason) for reason in CloseReason])
@pytest.mark.parametrize("received", [b"GET / HT", request()], ids=["incomplete", "complete"])
def test_the_host_ends_a_session_before_the_handshake_with_a_response(reason: str, received: bytes) -> None:
    session = WebSocket()
    list(session.feed(received))
    session.frame(b"never sent")
    session.closing(reason)
    status, text = ANSWERS[reason]
    sent = session.outgoing().decode()
    assert sent.startswith(f"HTTP/1.1 {int(status)} ")
    assert sent.endswith(f"\r\n\r\n{text}\n")
    assert session.frame(b"late") == b""
    assert session.outgoing() == b""


def test_a_plugin_chooses_the_close() -> None:
    server = opened()
    server.session.end_with(4001, "not welcome")
    server.close("local")
    assert frames(server.sent) == [Sent(CLOSE, b"\x0f\xa1not welcome")]


def test_a_plugin_chooses_the_refusal() -> None:
    session = WebSocket()
    list(session.feed(request()))
    session.refuse_with(404, "There is no such room.")
    session.closing("local")
    sent = session.outgoing()
    assert sent.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert sent.endswith(b"\r\n\r\nThere is no such room.\n")


@pytest.mark.parametrize(
    ("code", "reason"), [(999, ""), (1005, ""), (1006, ""), (1015, ""), (5000, ""), (1000, "ä" * 62)]
)
def test_a_close_that_cannot_be_sent_is_refused(code: int, reason: str) -> None:
    with pytest.raises(ValueError, match="a close"):
        opened().session.end_with(code, reason)


@pytest.mark.parametrize("status", [101, 200, 302, 600])
def test_only_an_error_refuses(status: int) -> None:
    with pytest.raises(ValueError, match="400 to 599"):
        WebSocket().refuse_with(status, "")


def test_the_last_messages_are_answered_before_the_close() -> None:
    server = opened()
    server.receive(frame(TEXT, b"one") + frame(TEXT, b"two") + close(1001, b"away"))
    assert frames(server.sent) == [Sent(TEXT, b"one"), Sent(TEXT, b"two"), Sent(CLOSE, b"\x03\xe9away")]
    assert (server.session.close_code, server.session.close_reason) == (1001, "away")


def test_a_close_by_a_plugin_between_the_last_messages_sends_one_close() -> None:
    session = opened().session
    messages = iter(session.feed(frame(TEXT, b"one") + frame(TEXT, b"two") + close(1000)))
    assert next(messages) == b"one"
    session.closing("local")
    assert frames(session.outgoing()) == [Sent(CLOSE, b"\x03\xe8")]
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
