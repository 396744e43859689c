"""Requests and answers of HTTP/1.1, as an ASGI application sees and makes them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from reactorhost import CloseReason
from reactorhost.testing import BenchClient, PluginBench
from served import answers, body, echo, get, hello, post, requested, served, start

Bench = Callable[..., PluginBench]


def test_a_request_is_answered_and_the_connection_stays_open(plugin_bench: Bench) -> None:
    bench = served(plugin_bench, hello)
    client = bench.connect()
    client.send(get("/a%20b"))
    client.send(get("/c"))
    assert [each.body for each in answers(client)] == [b"hello /a b", b"hello /c"]
    assert client.closed is None


def test_headers_and_first_part_are_sent_together(plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = served(plugin_bench, hello)
    client = bench.connect()
    client.send(get())
    protocol: Any = client.connection.protocol
    sent: list[bytes] = []
    monkeypatch.setattr(type(protocol.transport), "write", lambda _, data: sent.append(data))
    client.send(get("/2"))
    assert len(sent) == 1
    assert sent[0].endswith(b"\r\n\r\nhello /2")


def test_the_scope_has_what_asgi_describes(plugin_bench: Bench) -> None:
    scopes: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await hello(scope, receive, send)

    bench = served(plugin_bench, app, root_path="/shop", lifespan="off")
    client = bench.connect(("192.0.2.7", 4711))
    client.send(get("/a%2Fb?x=1%202", "X-One: 1", "X-One: 2"))
    (scope,) = scopes
    connection = scope.pop("extensions")["reactorhost"]["connection"]
    assert connection is client.connection
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/shop/a/b",
        "raw_path": b"/shop/a%2Fb",
        "query_string": b"x=1%202",
        "root_path": "/shop",
        "headers": [(b"host", b"example.org"), (b"x-one", b"1"), (b"x-one", b"2")],
        "client": ("192.0.2.7", 4711),
        "server": (client.connection.local.host, client.connection.local.port),
        "state": {},
    }


@pytest.mark.parametrize("pieces", [1, 7, 10_000], ids=["in single bytes", "in pieces", "at once"])
@pytest.mark.parametrize(
    "request_bytes",
    [
        post(b"a body"),
        get("/", "transfer-encoding: chunked", method="POST") + b"3\r\na b\r\n3;x=y\r\nody\r\n0\r\n\r\n",
        get("/", "transfer-encoding: chunked", method="POST") + b"6\r\na body\r\n0\r\nX-Trailer: 1\r\n\r\n",
    ],
    ids=["with a length", "in chunks", "with a trailer"],
)
def test_a_body_arrives(plugin_bench: Bench, request_bytes: bytes, pieces: int) -> None:
    bench = served(plugin_bench, echo)
    client = bench.connect()
    for start_at in range(0, len(request_bytes), pieces):
        client.send(request_bytes[start_at : start_at + pieces])
    client.send(get())
    assert [each.body for each in answers(client)] == [b"a body", b""]


def test_a_trailer_is_not_a_header(plugin_bench: Bench) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await echo(scope, receive, send)
        seen.extend(name for name, _ in scope["headers"])

    bench = served(plugin_bench, app, lifespan="off")
    data = get("/", "transfer-encoding: chunked", method="POST")
    requested(bench, data, b"1\r\nx\r\n0\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
    assert seen == [b"host", b"transfer-encoding"]


def test_a_large_body_is_read_as_the_application_reads_it(plugin_bench: Bench) -> None:
    gate = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await gate.wait()
        await echo(scope, receive, send)

    bench = served(plugin_bench, app, lifespan="off")
    client = bench.connect()
    data = b"x" * 1_000_000
    for each in range(0, len(data), 50_000):
        client.send(
            (get("/", "content-length: 1000000", method="POST") if not each else b"") + data[each : each + 50_000]
        )
    assert client.connection.bytes_in < 300_000
    gate.set()
    bench.settle()
    assert answers(client)[0].body == data


def test_a_client_that_waits_for_100_continue_gets_it_when_the_body_is_read(plugin_bench: Bench) -> None:
    bench = served(plugin_bench, echo)
    client = bench.connect()
    client.send(get("/", "content-length: 2", "expect: 100-continue", method="POST"))
    assert client.received == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"ok")
    assert [each.status for each in answers(client)] == [100, 200]


def test_an_answer_before_the_whole_body_ends_the_connection(plugin_bench: Bench) -> None:
    bench = served(plugin_bench, hello)
    client = bench.connect()
    client.send(get("/", "content-length: 1000", "expect: 100-continue", method="POST"))
    (answer,) = answers(client)
    assert answer.headers["connection"] == "close"
    assert client.eof


def test_pipelined_requests_are_answered_in_order(plugin_bench: Bench) -> None:
    order: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        order.append(scope["path"])
        await asyncio.sleep(1 if scope["path"] == "/0" else 0)
        await hello(scope, receive, send)

    bench = served(plugin_bench, app, lifespan="off")
    client = bench.connect()
    client.send(b"".join(get(f"/{number}") for number in range(20)))
    assert order == ["/0"]
    bench.advance(1)
    assert [each.body for each in answers(client)] == [b"hello /%d" % number for number in range(20)]
    assert client.closed is None


@pytest.mark.parametrize(
    ("data", "connection"),
    [
        (get("/", "connection: close"), "close"),
        (get(version="1.0"), "close"),
        (get("/", "connection: keep-alive"), None),
    ],
)
def test_the_connection_is_closed_if_the_client_wants_it(
    plugin_bench: Bench, data: bytes, connection: str | None
) -> None:
    bench = served(plugin_bench, hello)
    client = bench.connect()
    client.send(data)
    (answer,) = answers(client)
    assert answer.headers.get("connection") == connection
    assert client.eof is bool(connection)


def test_a_client_of_http_1_0_gets_no_chunks(plugin_bench: Bench) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        await body(send, b"one ", more=True)
        await body(send, b"two")

    bench = served(plugin_bench, app, lifespan="off")
    assert requested(bench, get(version="1.0"))[0].body == b"one two"
    assert "transfer-encoding" not in requested(bench, get(version="1.0"))[0].headers
    assert requested(bench, get())[0].headers["transfer-encoding"] == "chunked"


def test_head_has_the_headers_of_get_and_no_body(plugin_bench: Bench) -> None:
    bench = served(plugin_bench, hello)
    client = bench.connect()
    client.send(get("/x", method="HEAD") * 2)
    first, second = answers(client, heads=True)
    assert first.headers["content-length"] == second.headers["content-length"] == "8"


def test_a_client_that_has_sent_its_end_gets_its_answer(plugin_bench: Bench) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(1)
        await hello(scope, receive, send)

    bench = served(plugin_bench, app, lifespan="off")
    client = bench.connect()
    client.send(get("/1") + get("/2"))
    client.end()
    bench.advance(3)
    assert [each.body for each in answers(client)] == [b"hello /1", b"hello /2"]
    assert client.eof
    assert client.closed is CloseReason.LOCAL


@pytest.mark.parametrize("leave", [BenchClient.end, BenchClient.reset])
@pytest.mark.parametrize("path", ["/waits", "/streams", "/raises"])
def test_an_application_that_waits_for_the_end_of_its_client_sees_it_and_need_not_answer(
    plugin_bench: Bench, caplog: pytest.LogCaptureFixture, leave: Callable[[BenchClient], None], path: str
) -> None:
    received: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if path == "/streams":
            await start(send)
            await body(send, b"part", more=True)
        received.append((await receive())["type"])
        if path == "/raises":
            raise ValueError("the client has left")

    bench = served(plugin_bench, app, lifespan="off")
    client = bench.connect()
    client.send(get(path))
    assert not received
    leave(client)
    assert received == ["http.disconnect"]
    assert client.closed is not None
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


def test_a_body_that_the_client_breaks_off_disconnects(plugin_bench: Bench) -> None:
    received: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while not received or received[-1]["type"] != "http.disconnect":
            received.append(await receive())

    bench = served(plugin_bench, app, lifespan="off")
    client = bench.connect()
    client.send(get("/", "content-length: 10", method="POST") + b"half")
    client.end()
    assert [each["type"] for each in received] == ["http.request", "http.disconnect"]
    assert client.closed is not None
    assert not client.received


def test_a_slow_reader_holds_back_the_application(plugin_bench: Bench) -> None:
    sent = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await start(send)
        while sent < 10_000_000:
            await body(send, b"x" * 100_000, more=True)
            sent += 100_000
        await body(send)

    bench = served(plugin_bench, app, lifespan="off")
    client = bench.connect()
    client.pause()
    client.send(get())
    assert sent < 1_000_000
    client.resume()
    assert len(answers(client)[0].body) == 10_000_000


def test_an_upgrade_to_another_protocol_is_ignored(plugin_bench: Bench) -> None:
    bench = served(plugin_bench, hello)
    upgrade = get("/a", "connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: x")
    assert [each.body for each in requested(bench, upgrade * 3 + get("/b"))] == [b"hello /a"] * 3 + [b"hello /b"]


def test_every_answer_has_date_and_server(plugin_bench: Bench) -> None:
    (answer,) = requested(served(plugin_bench, hello), get())
    assert answer.headers["server"] == "reactorhost"
    assert answer.headers["date"].endswith("GMT")
    (answer,) = requested(served(plugin_bench, hello, server_header="", date_header=False), get())
    assert not {"date", "server"} & answer.headers.keys()


def test_an_answer_that_ends_in_the_middle_of_the_next_head_leaves_it_alone(plugin_bench: Bench) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(1)
        await hello(scope, receive, send)

    bench = served(plugin_bench, app, lifespan="off")
    client = bench.connect()
    client.send(get("/1") + get("/2")[:20])
    bench.advance(1)
    client.send(get("/2")[20:])
    bench.advance(1)
    assert [each.body for each in answers(client)] == [b"hello /1", b"hello /2"]
