"""Requests that are malformed, too large, too slow or meant to be read in two ways."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from reactorhost.testing import PluginBench
from served import answers, body, echo, get, hello, post, requested, served, start

Bench = Callable[..., PluginBench]

CHUNKED = "transfer-encoding: chunked"
SMUGGLED = get("/smuggled")


@pytest.mark.parametrize(
    "data",
    [
        get("/", "content-length: 4", CHUNKED, method="POST") + b"0\r\n\r\n",
        get("/", CHUNKED, "content-length: 4", method="POST") + b"0\r\n\r\n",
        get("/", "content-length: 4", "content-length: 5", method="POST") + b"abcde",
        get("/", "content-length: 4, 4", method="POST") + b"abcd",
        get("/", "content-length: +4", method="POST") + b"abcd",
        get("/", "content-length: 4_0", method="POST") + b"abcd",
        get("/", "content-length: 0x4", method="POST") + b"abcd",
        get("/", "content-length: -1", method="POST"),
        get("/", "content-length: 99999999999999999999999", method="POST"),
        get("/", "content-length:", method="POST"),
        get("/", "content-length : 4", method="POST") + b"abcd",
        get("/", "transfer-encoding : chunked", method="POST") + b"0\r\n\r\n",
        get("/", "transfer-encoding: chunked, identity", method="POST") + b"0\r\n\r\n",
        get("/", "transfer-encoding: xchunked", method="POST") + b"0\r\n\r\n",
        get("/", "transfer-encoding: gzip", method="POST") + b"0\r\n\r\n",
        get("/", "transfer-encoding: gzip, chunked", method="POST") + b"0\r\n\r\n",
        get("/", " transfer-encoding: chunked", method="POST") + b"0\r\n\r\n",
        get("/", CHUNKED, method="POST") + b"0x1\r\na\r\n0\r\n\r\n",
        get("/", CHUNKED, method="POST") + b"-1\r\na\r\n0\r\n\r\n",
        get("/", CHUNKED, method="POST") + b"+1\r\na\r\n0\r\n\r\n",
        get("/", CHUNKED, method="POST") + b"1 \r\na\r\n0\r\n\r\n",
        get("/", CHUNKED, method="POST") + b" 1\r\na\r\n0\r\n\r\n",
        get("/", CHUNKED, method="POST") + b"\r\na\r\n0\r\n\r\n",
        get("/", CHUNKED, method="POST") + b"1\na\r\n0\r\n\r\n",
        get("/", CHUNKED, method="POST") + b"1\r\na0\r\n\r\n",
        get("/", CHUNKED, method="POST") + b"1\r\nab\r\n0\r\n\r\n",
        get("/", CHUNKED, method="POST") + b"fffffffffffffffff\r\na\r\n0\r\n\r\n",
        get("/", CHUNKED, method="POST") + b"1;x\ny\r\na\r\n0\r\n\r\n",
        get("/", CHUNKED, method="POST") + b"0\r\nX: 1\rY: 2\r\n\r\n",
        b"GET / HTTP/1.1\rhost: x\r\n\r\n",
        b"GET / HTTP/1.1\nhost: x\n\n",
        b"GET / HTTP/1.1\r\nhost: x\rX: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nX: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nX: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nX y: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\n: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nX\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        b"GET / HTTP/2.0\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.10\r\nhost: x\r\n\r\n",
        b"GET / http/1.1\r\nhost: x\r\n\r\n",
        b"GET / \r\nhost: x\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /\xe4 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET \x00 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"G\xc3\xb6T / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"BREW / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"CONNECT / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 100,
    ],
    ids=lambda data: repr(data.replace(b"host: example.org\r\n", b""))[2:90],
)
def test_a_malformed_request_is_answered_and_nothing_behind_it_is_read(plugin_bench: Bench, data: bytes) -> None:
    paths: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        paths.append(scope["path"])
        await echo(scope, receive, send)

    bench = served(plugin_bench, app, lifespan="off")
    client = bench.connect()
    client.send(data + SMUGGLED)
    assert [each.status for each in answers(client)] in ([400], [505])
    assert client.eof
    assert "/smuggled" not in paths


@pytest.mark.parametrize("size", [1, 1000], ids=["in single bytes", "at once"])
@pytest.mark.parametrize(
    ("protocol", "version"), [("h2c", "1.1"), ("anything", "1.0"), ("websocket", "1.0"), ("h2c, websocket", "1.1")]
)
def test_a_body_behind_an_upgrade_is_no_request(plugin_bench: Bench, protocol: str, version: str, size: int) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["path"], dict(scope["headers"]).get(b"upgrade")))
        await echo(scope, receive, send)

    bench = served(plugin_bench, app, lifespan="off")
    headers = ("connection: upgrade", f"upgrade: {protocol}", f"content-length: {len(SMUGGLED)}")
    data = get("/", *headers, method="POST", version=version) + SMUGGLED
    client = bench.connect()
    for each in range(0, len(data), size):
        client.send(data[each : each + size])
    (answer,) = answers(client)
    assert answer.body == SMUGGLED
    assert seen == [("/", None)]


@pytest.mark.parametrize("size", [1, 1000], ids=["in single bytes", "at once"])
def test_a_malformed_request_is_answered_in_its_turn(plugin_bench: Bench, size: int) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(1)
        await hello(scope, receive, send)

    bench = served(plugin_bench, app, lifespan="off")
    client = bench.connect()
    data = get("/1") + get("/2") + b"GET /3 HTTP/1.1\r\nhost: x\r\nbad\r\n\r\n" + get("/4")
    for each in range(0, len(data), size):
        client.send(data[each : each + size])
    bench.advance(5)
    assert [(each.status, each.body[:8]) for each in answers(client)] == [
        (200, b"hello /1"),
        (200, b"hello /2"),
        (400, b"The requ"),
    ]
    assert client.eof


def test_a_body_that_turns_bad_ends_the_request(plugin_bench: Bench) -> None:
    received: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while "http.disconnect" not in received:
            received.append((await receive())["type"])
        await hello(scope, receive, send)

    bench = served(plugin_bench, app, lifespan="off")
    client = bench.connect()
    client.send(get("/", CHUNKED, method="POST") + b"1\r\na\r\n")
    client.send(b"what\r\n")
    assert received == ["http.request", "http.disconnect"]
    assert [each.status for each in answers(client)] == [400]


def test_a_body_that_turns_bad_behind_another_request_is_answered_in_its_turn(plugin_bench: Bench) -> None:
    paths: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        paths.append(scope["path"])
        await asyncio.sleep(1)
        await hello(scope, receive, send)

    bench = served(plugin_bench, app, lifespan="off")
    client = bench.connect()
    client.send(get("/1") + get("/2", CHUNKED, method="POST") + b"what\r\n")
    bench.advance(3)
    assert [each.status for each in answers(client)] == [200, 400]
    assert paths == ["/1"]


@pytest.mark.parametrize(
    ("first", "piece"),
    [
        (b"GET /", b"a" * 1000),
        (b"GET / HTTP/1.1\r\n", b"x: y\r\n" * 200),
        (b"GET / HTTP/1.1\r\nx: ", b"a" * 1000),
        (b"GET / HTTP/1.1\r\n", b"a" * 1000),
        (b"", b"\r\n" * 500),
        (get("/", CHUNKED, method="POST") + b"1;", b"a" * 1000),
        (get("/", CHUNKED, method="POST"), b"0" * 1000),
        (get("/", CHUNKED, method="POST") + b"0\r\n", b"x: y\r\n" * 200),
        (get("/", CHUNKED, method="POST") + b"0\r\nx: ", b"a" * 1000),
    ],
    ids=[
        "path",
        "headers",
        "value",
        "name",
        "empty lines",
        "extension of a chunk",
        "size of a chunk",
        "trailers",
        "value of a trailer",
    ],
)
def test_what_never_ends_is_cut_off(plugin_bench: Bench, first: bytes, piece: bytes) -> None:
    bench = served(plugin_bench, echo, max_header=10_000)
    client = bench.connect()
    client.send(first or b"\r\n")
    sent = 0
    while not client.eof:
        client.send(piece)
        sent += len(piece)
        assert sent < 30_000
    assert answers(client)[0].status in (400, 431)


def test_headers_up_to_the_limit_are_served(plugin_bench: Bench) -> None:
    bench = served(plugin_bench, hello, max_header=10_000)
    assert requested(bench, get("/", f"x: {'a' * 9_900}"))[0].status == 200
    assert requested(bench, get("/", f"x: {'a' * 10_000}"))[0].status == 431


@pytest.mark.parametrize(
    "data",
    [post(b"a" * 1001), get("/", CHUNKED, method="POST") + b"1f4\r\n" + b"a" * 500 + b"\r\n" + b"1f5\r\n" + b"a" * 501],
    ids=["by its length", "in chunks"],
)
def test_a_body_that_is_too_large_is_refused(plugin_bench: Bench, data: bytes) -> None:
    bench = served(plugin_bench, echo, max_body=1000)
    (answer,) = requested(bench, data)
    assert answer.status == 413
    assert answer.headers["connection"] == "close"
    assert requested(bench, post(b"a" * 1000))[0].status == 200


@pytest.mark.parametrize(
    ("data", "every", "status", "seconds"),
    [
        (b"", None, None, 20),
        (b"GET / HTTP/1.1\r\nho", None, 408, 21),
        (b"GET / HTTP/1.1\r\nx: ", b"y", 408, 21),
        (get("/", "content-length: 10", method="POST"), None, 408, 60),
        (get("/", "content-length: 1000000", method="POST"), b"y", 408, 60),
    ],
    ids=["nothing", "half a head", "a slow head", "no body", "a slow body"],
)
def test_a_request_that_does_not_arrive_in_time_is_refused(
    plugin_bench: Bench, data: bytes, every: bytes | None, status: int | None, seconds: int
) -> None:
    bench = served(plugin_bench, echo)
    client = bench.connect()
    if data:
        client.send(data)
    passed = 0
    while not client.eof:
        bench.advance(1)
        passed += 1
        if every and not client.eof:
            client.send(every)
        assert passed <= seconds + 2
    assert passed >= seconds - 1
    assert [each.status for each in answers(client)] == ([status] if status else [])


def test_a_body_that_makes_progress_is_not_slow(plugin_bench: Bench) -> None:
    bench = served(plugin_bench, echo)
    client = bench.connect()
    client.send(get("/", "content-length: 300000", method="POST"))
    for _ in range(10):
        bench.advance(50)
        client.send(b"x" * 30_000)
    assert answers(client)[0].status == 200


def test_an_application_that_reads_slowly_is_not_a_slow_client(plugin_bench: Bench) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(500)
        await echo(scope, receive, send)

    bench = served(plugin_bench, app, lifespan="off")
    client = bench.connect()
    client.send(get("/", "content-length: 200000", method="POST"))
    client.send(b"x" * 60_000)
    client.send(b"x" * 60_000)
    client.send(b"x" * 80_000)
    bench.advance(510)
    assert answers(client)[0].status == 200


def test_a_connection_without_requests_is_closed(plugin_bench: Bench) -> None:
    bench = served(plugin_bench, hello, keep_alive=10.0)
    client = bench.connect()
    client.send(get())
    bench.advance(8)
    client.send(get())
    bench.advance(8)
    assert client.closed is None
    bench.advance(3)
    assert client.eof
    assert len(answers(client)) == 2


@pytest.mark.parametrize(
    ("before", "unread", "seconds"),
    [
        (get(), get(), 11),
        (b"", get(), 21),
        (get()[:10], get()[10:], 21),
        (get("/", "content-length: 4", method="POST") + b"bo", b"dy", 61),
    ],
    ids=["the next request", "the first request", "the rest of a head", "the rest of a body"],
)
def test_what_was_sent_in_time_is_read_before_the_deadline_ends_a_client(
    plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch, before: bytes, unread: bytes, seconds: int
) -> None:
    bench = served(plugin_bench, echo, keep_alive=10.0)
    client = bench.connect()
    if before:
        client.send(before)
    with monkeypatch.context() as stalled:
        # As if the loop had been blocked, and its turns had no room for this client yet.
        stalled.setattr(client._socket, "ready", lambda: 0)
        client._socket.incoming.append(unread)
        bench.advance(seconds)
    bench.settle()
    assert {each.status for each in answers(client)} == {200}
    assert not client.eof
    bench.advance(12)
    assert client.eof


async def never(scope: Any, receive: Any, send: Any) -> None:
    """Never answer."""
    await asyncio.sleep(1000)


async def raises_before(scope: Any, receive: Any, send: Any) -> None:
    """Raise before the answer."""
    raise ValueError("broken application")


async def raises_behind_start(scope: Any, receive: Any, send: Any) -> None:
    """Raise when the headers are sent."""
    await start(send)
    raise ValueError("broken application")


async def raises_during(scope: Any, receive: Any, send: Any) -> None:
    """Raise in the middle of the body."""
    await start(send, 200, (b"content-length", b"10"))
    await body(send, b"half ", more=True)
    raise ValueError("broken application")


async def raises_after(scope: Any, receive: Any, send: Any) -> None:
    """Raise after the answer."""
    await hello(scope, receive, send)
    raise ValueError("broken application")


async def exits(scope: Any, receive: Any, send: Any) -> None:
    """End the process, it believes."""
    raise SystemExit(1)


async def sends_too_much(scope: Any, receive: Any, send: Any) -> None:
    """Send more than the length."""
    await start(send, 200, (b"content-length", b"2"))
    await body(send, b"much")


async def sends_too_little(scope: Any, receive: Any, send: Any) -> None:
    """Send less than the length."""
    await start(send, 200, (b"content-length", b"10"))
    await body(send, b"little")


async def answers_nothing(scope: Any, receive: Any, send: Any) -> None:
    """Return without an answer."""


async def answers_half(scope: Any, receive: Any, send: Any) -> None:
    """Return in the middle of the body."""
    await start(send, 200, (b"content-length", b"10"))
    await body(send, b"half ", more=True)


async def answers_twice(scope: Any, receive: Any, send: Any) -> None:
    """Answer once more."""
    await hello(scope, receive, send)
    await hello(scope, receive, send)


async def body_first(scope: Any, receive: Any, send: Any) -> None:
    """Send a body without headers."""
    await body(send, b"x")


async def bad_name(scope: Any, receive: Any, send: Any) -> None:
    """Send a header with a blank in its name."""
    await start(send, 200, (b"a b", b"c"))
    await body(send)


async def bad_value(scope: Any, receive: Any, send: Any) -> None:
    """Send a header with a second one in its value."""
    await start(send, 200, (b"a", b"b\r\nset-cookie: c"))
    await body(send)


async def bad_status(scope: Any, receive: Any, send: Any) -> None:
    """Send a status that is none."""
    await start(send, 999)
    await body(send)


async def cancels_itself(scope: Any, receive: Any, send: Any) -> None:
    """Let the end of another task pass."""
    task = asyncio.ensure_future(asyncio.sleep(10))
    task.cancel()
    await task


async def two_lengths(scope: Any, receive: Any, send: Any) -> None:
    """Send two lengths."""
    await start(send, 200, (b"content-length", b"5"), (b"Content-Length", b"6"))
    await body(send, b"12345")


async def unknown_coding(scope: Any, receive: Any, send: Any) -> None:
    """Send a body in a coding that is not made here."""
    await start(send, 200, (b"transfer-encoding", b"gzip"))
    await body(send, b"12345")


@pytest.mark.parametrize(
    ("app", "received"),
    [
        (raises_before, 500),
        (raises_behind_start, 500),
        (raises_during, b"half "),
        (raises_after, 200),
        (exits, 500),
        (sends_too_much, 500),
        (sends_too_little, b"little"),
        (answers_nothing, 500),
        (answers_half, b"half "),
        (answers_twice, 200),
        (body_first, 500),
        (bad_name, 500),
        (bad_value, 500),
        (bad_status, 500),
        (cancels_itself, 500),
        (two_lengths, 500),
        (unknown_coding, 500),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_faulty_application_is_logged_and_its_client_notices(
    plugin_bench: Bench, app: Any, received: int | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    bench = served(plugin_bench, app, lifespan="off")
    client = bench.connect()
    client.send(get())
    if isinstance(received, int):
        assert [each.status for each in answers(client)] == [received]
    else:
        assert client.received.endswith(b"\r\n\r\n" + received)
    # The end shows that an answer is incomplete. One that was complete is not affected by what came after.
    assert client.eof is (received != 200)
    (record,) = (each for each in caplog.records if each.levelno == logging.ERROR)
    assert record.getMessage().startswith(("application_failed", "application_wrong"))
    assert bench.stats("Asgi")["failures"] == 1


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize(
    "headers",
    [[], [(b"content-length", b"5")], [(b"transfer-encoding", b"chunked")]],
    ids=["no header", "a length", "chunks"],
)
@pytest.mark.parametrize("parts", [[b"12345"], [b"123", b"45"], [b""]], ids=["a body", "parts", "no body"])
def test_an_answer_without_content_has_no_body(
    plugin_bench: Bench, status: int, headers: list[tuple[bytes, bytes]], parts: list[bytes]
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send, status, *headers)
        for number, part in enumerate(parts):
            await body(send, part, more=number + 1 < len(parts))

    bench = served(plugin_bench, app, lifespan="off")
    client = bench.connect()
    client.send(get() * 2)
    assert [each.status for each in answers(client, heads=True)] == [status, status]
    assert not client.eof
    assert b"chunked" not in client.received
    assert bench.stats("Asgi")["failures"] == (2 if any(parts) else 0)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("length", [(), ((b"content-length", b"5"),)], ids=["no length", "a length"])
def test_chunks_are_the_servers_decision(
    plugin_bench: Bench, version: str, length: tuple[tuple[bytes, bytes], ...]
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = (each for each in ((b"transfer-encoding", b"chunked"), *length))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await body(send, b"12345")

    (answer,) = requested(served(plugin_bench, app, lifespan="off"), get(version=version))
    assert answer.body == b"12345"
    assert ("transfer-encoding" in answer.headers) is (version == "1.1" and not length)


@pytest.mark.parametrize("within", [False, True], ids=["while it waits", "while it writes"])
def test_an_application_that_never_stops_is_ended_behind_its_client(plugin_bench: Bench, within: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        while True:
            await body(send, b"x" * 10_000, more=True)
            if within:
                scope["extensions"]["reactorhost"]["connection"].abort()

    bench = served(plugin_bench, app, lifespan="off")
    client = bench.connect()
    client.pause()
    client.send(get())
    if not within:
        client.reset()
    assert bench.stats("Asgi")["running"] == 0
    assert bench.stats("Asgi")["failures"] == 0


def test_an_application_that_never_answers_is_cancelled_at_the_deadline(
    plugin_bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench = served(plugin_bench, never, lifespan="off", request_timeout=30.0)
    client = bench.connect()
    client.send(get())
    bench.advance(29)
    assert not client.received
    bench.advance(2)
    assert [each.status for each in answers(client)] == [504]
    assert bench.stats("Asgi")["running"] == 0
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


def test_a_worker_with_too_many_requests_refuses_more(plugin_bench: Bench) -> None:
    bench = served(plugin_bench, never, lifespan="off", max_requests=2)
    clients = [bench.connect() for _ in range(3)]
    for client in clients:
        client.send(get())
    assert [bool(client.received) for client in clients] == [False, False, True]
    assert answers(clients[2])[0].status == 503


def test_nothing_grows_with_requests_behind_one_that_is_answered(plugin_bench: Bench) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        # Waits for the end of the client.
        await receive()

    bench = served(plugin_bench, app, lifespan="off")
    client = bench.connect()
    client.send(get())
    for _ in range(100):
        client.send(get() * 1000)
    assert client.connection.bytes_in < 500_000
