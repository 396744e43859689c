"""Whatever a client sends, in whatever pieces: nothing but a FramingError, and the same answers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reactorhost_websocket import Parameters, WebSocket
from websocket_frames import BINARY, CLOSE, CONT, DEFLATE, PING, PONG, TEXT, deflated, frame, frames, request
from websocket_server import Server, opened

MOST = 300
TEXTS = [each.encode() for each in ("", "grüße", "👋" * 10, "x" * 130)]


@st.composite
def frames_of_a_client(draw: st.DrawFn) -> bytes:
    """Return a frame that is valid in most respects."""
    opcode = draw(st.sampled_from((CONT, TEXT, BINARY, CLOSE, PING, PONG, 3)))
    data = draw(st.one_of(st.binary(max_size=130), st.sampled_from(TEXTS)))
    if draw(st.booleans()):
        data = deflated(data)
    mask = draw(st.sampled_from((b"mask", b"mask", b"mask", None)))
    return frame(opcode, data, fin=draw(st.booleans()), rsv=draw(st.sampled_from((0, 0, 0, 4, 1))), mask=mask)


STREAMS = st.one_of(st.binary(max_size=200), st.lists(frames_of_a_client(), max_size=12).map(b"".join))
HEADERS = st.sampled_from(({}, {"sec_websocket_extensions": DEFLATE}))


@given(STREAMS, HEADERS, st.lists(st.integers(1, 50), max_size=20))
def test_the_messages_and_the_end_do_not_depend_on_the_pieces(
    stream: bytes, headers: dict[str, str], sizes: list[int]
) -> None:
    pieces, rest = [], stream
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    whole, split = opened(Parameters(max_size=MOST), **headers), opened(Parameters(max_size=MOST), **headers)
    whole.receive(stream)
    split.receive(*pieces, rest)
    assert (whole.messages, whole.error) == (split.messages, split.error)
    assert whole.session.ended == split.session.ended
    # The order of pongs among the messages depends on the pieces, and with it nothing else.
    assert sorted(map(repr, frames(whole.sent))) == sorted(map(repr, frames(split.sent)))
    assert [each.opcode for each in frames(whole.sent)].count(CLOSE) == whole.is_closed
    assert all(len(message) <= MOST for message in whole.messages)


JUNK = st.binary(max_size=20)
REQUESTS = st.one_of(st.binary(max_size=300), JUNK.map(lambda junk: request().replace(b"example", junk)))


@given(REQUESTS)
def test_any_request_is_accepted_refused_or_incomplete(received: bytes) -> None:
    server = Server(WebSocket())
    server.receive(received)
    assert server.session.opening == (server.error is not None or not server.session.path)
    assert server.sent.startswith(b"HTTP/1.1 4" if server.error else b"")
