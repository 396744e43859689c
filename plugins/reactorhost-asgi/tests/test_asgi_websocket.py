"""WebSocket clients of an ASGI application."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from reactorhost.testing import BenchClient, PluginBench
from served import answers, get, served
from websocket_frames import BINARY, CLOSE, RSV1, close, deflated, frame, frames

Bench = Callable[..., PluginBench]

KEY = ("connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13")
UPGRADE = get("/", *KEY, "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==")


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Send every message back."""
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


class WebSocketClient:
    """A client that speaks by the library's own client side."""

    def __init__(self, client: BenchClient, *, path: str = "/", **settings: Any) -> None:
        self.client = client
        self.protocol = ClientProtocol(parse_uri(f"ws://example.org{path}"), **settings)
        self._read = 0
        self.frames: list[Frame] = []
        request = self.protocol.connect()
        self.protocol.send_request(request)
        self.flush()

    def flush(self) -> None:
        """Send what the client has to send, and read what the server has sent."""
        for data in self.protocol.data_to_send():
            if data and not self.client.eof:
                self.client.send(data)
        self.read()

    def read(self) -> None:
        """Read what the server has sent."""
        received = self.client.received
        self.protocol.receive_data(received[self._read :])
        self._read = len(received)
        self.frames += [event for event in self.protocol.events_received() if isinstance(event, Frame)]

    def raw(self, *data: bytes) -> None:
        """Send bytes that the library would not."""
        for each in data:
            if not self.client.eof:
                self.client.send(each)
        self.read()

    @property
    def texts(self) -> list[bytes]:
        """The data of the messages that were received."""
        return [bytes(each.data) for each in self.frames if each.opcode in (Opcode.TEXT, Opcode.BINARY)]

    @property
    def close_code(self) -> int | None:
        """The code that the server has closed with."""
        codes = [struct.unpack("!H", each.data[:2])[0] for each in self.frames if each.opcode is Opcode.CLOSE]
        return codes[0] if codes else None


def connected(plugin_bench: Bench, app: Any = echo, **options: Any) -> WebSocketClient:
    """Return a client whose request was accepted."""
    client = WebSocketClient(served(plugin_bench, app, lifespan="off", **options).connect())
    assert client.client.received.startswith(b"HTTP/1.1 101 ")
    return client


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 500_000])
def test_messages_are_echoed(plugin_bench: Bench, size: int) -> None:
    client = connected(plugin_bench)
    client.protocol.send_text(b"a" * size)
    client.protocol.send_binary(b"\x00" * size)
    client.flush()
    assert client.texts == [b"a" * size, b"\x00" * size]


def test_messages_in_single_bytes_and_fragments_arrive_whole(plugin_bench: Bench) -> None:
    client = connected(plugin_bench)
    data = frame(1, b"one ", fin=False) + frame(9, b"ping") + frame(0, b"two ", fin=False) + frame(0, b"three")
    client.raw(*(data[each : each + 1] for each in range(len(data))))
    assert client.texts == [b"one two three"]
    assert [bytes(each.data) for each in client.frames if each.opcode is Opcode.PONG] == [b"ping"]


def test_messages_are_held_back_while_the_application_does_not_read(plugin_bench: Bench) -> None:
    gate = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await gate.wait()
        while (message := await receive())["type"] == "websocket.receive":
            await send({**message, "type": "websocket.send"})

    bench = served(plugin_bench, app, lifespan="off")
    client = WebSocketClient(bench.connect())
    for number in range(2000):
        client.protocol.send_text(b"%06d" % number + b"x" * 1000)
        client.flush()
    assert client.client.connection.bytes_in < 500_000
    gate.set()
    bench.settle()
    client.read()
    assert [each[:6] for each in client.texts] == [b"%06d" % number for number in range(2000)]


def test_the_scope_has_what_asgi_describes(plugin_bench: Bench) -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await echo(scope, receive, send)

    bench = served(plugin_bench, app, lifespan="off", root_path="/shop")
    client = WebSocketClient(bench.connect(("192.0.2.7", 1)), path="/room%20a?x=1", subprotocols=["chat"])
    (scope,) = scopes
    assert (scope["type"], scope["scheme"], scope["path"]) == ("websocket", "ws", "/shop/room a")
    assert (scope["query_string"], scope["subprotocols"], scope["client"]) == (b"x=1", ["chat"], ("192.0.2.7", 1))
    assert scope["extensions"]["reactorhost"]["connection"] is client.client.connection


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(1, b"unmasked", mask=None), 1002),
        (frame(1, b"x", rsv=2), 1002),
        (frame(3, b"x"), 1002),
        (frame(11, b"x"), 1002),
        (frame(0, b"x"), 1002),
        (frame(1, b"x", fin=False) + frame(1, b"y"), 1002),
        (frame(9, b"x", fin=False), 1002),
        (frame(9, b"x" * 126), 1002),
        (frame(8, b"\x03"), 1002),
        (close(999), 1002),
        (close(1005), 1002),
        (close(5000), 1002),
        (close(1000, b"\xff"), 1007),
        (frame(1, b"\xff\xff"), 1007),
        (frame(1, b"\xe2\x82", fin=False) + frame(0, b"x"), 1007),
        (close(1000, b"bye"), 1000),
        (close(4711), 4711),
        (close(), None),
    ],
    ids=[
        "unmasked",
        "reserved bit",
        "unknown opcode",
        "unknown control opcode",
        "continuation of nothing",
        "message in a message",
        "fragmented ping",
        "long ping",
        "short close",
        "close with 999",
        "close with 1005",
        "close with 5000",
        "close with a bad reason",
        "text that is not UTF-8",
        "text in fragments that is not UTF-8",
        "close",
        "close with a private code",
        "close without a code",
    ],
)
def test_a_connection_is_closed_with_the_right_code(plugin_bench: Bench, data: bytes, code: int | None) -> None:
    disconnected: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while not disconnected:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                disconnected.append(message)

    client = connected(plugin_bench, app)
    # The library's own client would not read on.
    client.client.send(data)
    (sent,) = frames(client.client.received.partition(b"\r\n\r\n")[2])
    assert (sent.opcode, sent.data[:2]) == (CLOSE, struct.pack("!H", code) if code else b"")
    assert client.client.eof
    assert len(disconnected) == 1


def test_a_compressed_bomb_is_refused(plugin_bench: Bench) -> None:
    from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

    client = WebSocketClient(
        served(plugin_bench, echo, lifespan="off", ws_max_size=100_000).connect(),
        extensions=[ClientPerMessageDeflateFactory()],
    )
    assert b"permessage-deflate" in client.client.received
    data = deflated(bytes(10_000_000))
    assert len(data) < 100_000
    client.raw(frame(BINARY, data, rsv=RSV1))
    assert client.close_code == 1009


def test_a_message_that_is_too_large_is_refused(plugin_bench: Bench) -> None:
    client = connected(plugin_bench, ws_max_size=1000, ws_compression=False)
    client.protocol.send_text(b"a" * 1001)
    client.flush()
    assert client.close_code == 1009


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (get("/", *KEY), 400),
        (get("/", *KEY, "sec-websocket-key: short"), 400),
        (get("/", "connection: upgrade", "upgrade: websocket", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="), 400),
        (get("/", *KEY[:2], "sec-websocket-version: 12", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="), 400),
        (UPGRADE.replace(b"host: example.org\r\n", b""), 400),
        (UPGRADE.replace(b"GET", b"POST"), 405),
        (UPGRADE.replace(b"\r\n\r\n", b"\r\ncontent-length: 3\r\n\r\nabc"), 400),
        (UPGRADE.replace(b"\r\n\r\n", b"\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"), 400),
        (UPGRADE + frame(1, b"early"), 400),
        (UPGRADE.replace(b"\r\n\r\n", b"\r\ncookie: %s\r\n\r\n" % (b"a" * 10_000)), 431),
    ],
    ids=[
        "no key",
        "short key",
        "no version",
        "old version",
        "no host",
        "POST",
        "with a body",
        "with chunks",
        "with data behind it",
        "with a long header",
    ],
)
def test_a_bad_request_for_an_upgrade_is_refused(plugin_bench: Bench, request_bytes: bytes, status: int) -> None:
    client = served(plugin_bench, echo, lifespan="off").connect()
    client.send(request_bytes)
    assert client.received.startswith(b"HTTP/1.1 %d " % status)
    assert client.eof


def test_an_upgrade_behind_a_request_that_is_not_answered_is_refused(plugin_bench: Bench) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(1)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    bench = served(plugin_bench, app, lifespan="off")
    client = bench.connect()
    client.send(get() + UPGRADE)
    bench.advance(2)
    assert client.received.count(b"HTTP/1.1") == 2
    assert b"HTTP/1.1 400 " in client.received
    assert b"101" not in client.received


async def closes(scope: Any, receive: Any, send: Any) -> None:
    """Refuse the client."""
    await receive()
    await send({"type": "websocket.close"})


async def answers_403(scope: Any, receive: Any, send: Any) -> None:
    """Refuse with an answer of its own."""
    await receive()
    await send({"type": "websocket.http.response.start", "status": 403, "headers": []})
    await send({"type": "websocket.http.response.body", "body": b"members only"})


async def raises(scope: Any, receive: Any, send: Any) -> None:
    """Raise before the handshake."""
    raise ValueError("broken application")


async def returns(scope: Any, receive: Any, send: Any) -> None:
    """Return before the handshake."""


@pytest.mark.parametrize(("app", "status"), [(closes, 403), (answers_403, 403), (raises, 500), (returns, 500)])
def test_an_application_that_does_not_accept_refuses(plugin_bench: Bench, app: Any, status: int) -> None:
    client = served(plugin_bench, app, lifespan="off").connect()
    client.send(UPGRADE)
    assert [each.status for each in answers(client)] == [status]
    assert client.eof


def test_an_application_that_fails_closes_with_1011(plugin_bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        raise ValueError("broken application")

    client = connected(plugin_bench, app)
    client.protocol.send_text(b"x")
    client.flush()
    assert client.close_code == 1011
    assert [each.levelno for each in caplog.records] == [logging.ERROR]


@pytest.mark.parametrize("ignores", [False, True])
def test_an_application_that_never_stops_is_ended_behind_its_client(plugin_bench: Bench, ignores: bool) -> None:
    failed = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal failed
        await receive()
        await send({"type": "websocket.accept"})
        scope["extensions"]["reactorhost"]["connection"].abort()
        while True:
            try:
                await send({"type": "websocket.send", "text": "x" * 10_000})
            except OSError:
                failed += 1
                if not ignores or failed == 1000:
                    raise

    bench = served(plugin_bench, app, lifespan="off")
    bench.connect().send(UPGRADE)
    assert bench.stats("Asgi")["running"] == 0
    assert bench.stats("Asgi")["failures"] == 0


def test_an_application_that_does_not_decide_in_time_is_refused(plugin_bench: Bench) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(100)

    bench = served(plugin_bench, app, lifespan="off", request_timeout=10.0)
    client = bench.connect()
    client.send(UPGRADE)
    bench.advance(9)
    assert not client.received
    bench.advance(2)
    assert client.received.startswith(b"HTTP/1.1 504 ")
    assert bench.stats("Asgi")["running"] == 0


def test_a_client_that_does_not_answer_pings_is_closed(plugin_bench: Bench) -> None:
    bench = served(plugin_bench, echo, lifespan="off")
    client = bench.connect()
    client.send(UPGRADE)
    bench.advance(19)
    assert not client.eof
    bench.advance(22)
    assert client.eof


def test_a_worker_that_leaves_closes_with_1012(plugin_bench: Bench) -> None:
    received: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        received.append(await receive())

    bench = served(plugin_bench, app, lifespan="off")
    client = WebSocketClient(bench.connect())
    bench.drain()
    client.read()
    assert client.close_code == 1012
    assert client.client.eof
    assert received == [{"type": "websocket.disconnect", "code": 1012}]


def test_a_handshake_that_is_open_when_the_worker_leaves_is_refused(plugin_bench: Bench) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await asyncio.sleep(1)
        await send({"type": "websocket.accept"})

    bench = served(plugin_bench, app, lifespan="off")
    client = bench.connect()
    client.send(UPGRADE)
    bench.drain()
    assert client.received.startswith(b"HTTP/1.1 503 ")
    bench.advance(2)


def test_a_close_of_the_application_waits_for_the_client(plugin_bench: Bench) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "bye"})
        await send({"type": "websocket.close", "code": 4000, "reason": "done"})

    client = connected(plugin_bench, app)
    assert (client.texts, client.close_code) == ([b"bye"], 4000)
    assert not client.client.eof
    client.flush()
    assert client.client.eof
