"""The request that opens a session, and what is sent before it is accepted; no sockets."""

from __future__ import annotations

import contextlib

import pytest

from reactorhost.framing import FramingError
from reactorhost_websocket import Parameters, WebSocket
from reactorhost_websocket.opening import MOST_BYTES
from websocket_frames import (
    DEFLATE,
    KEY,
    PING,
    PONG,
    TEXT,
    Sent,
    Server,
    close,
    frame,
    frames,
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


def test_nothing_is_answered_before_it_is_accepted() -> None:
    session = WebSocket()
    messages = iter(session.feed(request() + frame(PING, b"early") + frame(TEXT, b"one")))
    assert not session.opening
    assert next(messages) == b"one"
    assert session.outgoing() == b""
    assert session.frame(b"answer") == b""
    session.accept()
    head, _, rest = session.outgoing().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert frames(rest) == [Sent(PONG, b"early"), Sent(TEXT, b"answer")]


@pytest.mark.parametrize(("sends", "code"), [(frame(3), 1002), (close(1001), 1001)])
def test_an_end_right_behind_the_request_follows_the_answer(sends: bytes, code: int) -> None:
    session = WebSocket()
    with contextlib.suppress(FramingError):
        list(session.feed(request() + sends))
    session.accept()
    _, _, rest = session.outgoing().partition(b"\r\n\r\n")
    assert [int.from_bytes(each.data[:2], "big") for each in frames(rest)] == [code]
    assert session.frame_key is None


def test_a_pong_is_sent_before_the_next_message() -> None:
    server = opened()
    server.receive(frame(TEXT, b"a", fin=False) + frame(PING, b"p") + frame(0, b"b"))
    assert frames(server.sent) == [Sent(PONG, b"p"), Sent(TEXT, b"ab")]


def test_a_message_that_a_pong_precedes_has_no_key() -> None:
    session = opened().session
    list(session.feed(frame(PING, b"p")))
    assert session.frame_key is None
    assert frames(session.frame(b"a")) == [Sent(PONG, b"p"), Sent(TEXT, b"a")]
    assert session.frame_key is not None


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
    assert (found, server.session.opening) == (status, True)
    assert word.lower() in answer.partition("\r\n\r\n")[2].lower()
    assert headers_of(answer)["connection"] == "close"
    assert server.error
    # Nothing is added when the host closes after it.
    assert frames(server.session.outgoing()) == []


def test_of_a_long_malformed_line_a_part_is_shown() -> None:
    status, answer, server = answered(b"a" * 8000 + b"\r\n\r\n")
    assert status == 400
    assert len(answer) < 500
    assert len(server.error or "") < 300


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
        (
            True,
            DEFLATE,
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12",
        ),
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


@pytest.mark.parametrize("received", [b"GET / HT", request()], ids=["incomplete", "complete"])
@pytest.mark.parametrize(
    ("reason", "status", "text"),
    [
        ("local", 403, "The connection is refused."),
        ("error", 500, "The server has failed; its log says why."),
        ("timeout", 408, "The request took too long."),
        ("shutdown", 503, "The server ends the connection. Please try again."),
        ("a later reason", 503, "The server ends the connection. Please try again."),
    ],
)
def test_the_host_ends_a_session_before_the_handshake_with_a_response(
    reason: str, status: int, text: str, received: bytes
) -> None:
    session = WebSocket()
    list(session.feed(received))
    session.frame(b"never sent")
    session.closing(reason)
    sent = session.outgoing().decode()
    assert sent.startswith(f"HTTP/1.1 {status} ")
    assert sent.endswith(f"\r\n\r\n{text}\n")
    assert session.frame(b"late") == b""
    assert session.outgoing() == b""


def test_a_plugin_chooses_the_refusal() -> None:
    session = WebSocket()
    list(session.feed(request()))
    session.refuse_with(404, "There is no such room.")
    session.closing("local")
    sent = session.outgoing()
    assert sent.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert sent.endswith(b"\r\n\r\nThere is no such room.\n")


@pytest.mark.parametrize("status", [101, 200, 302, 600])
def test_only_an_error_refuses(status: int) -> None:
    with pytest.raises(ValueError, match="400 to 599"):
        WebSocket().refuse_with(status, "")
