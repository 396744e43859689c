"""Requests of WSGI applications that need no task: what is sent, and what becomes of those that are not one piece."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import pytest

from reactorhost.testing import PluginBench
from reactorhost_asgi.refusals import TOO_MANY, RefusedError
from reactorhost_asgi.wsgi.direct_cycle import DirectCycle
from reactorhost_asgi.wsgi.whole_answer import head_of
from served import answers, get, post, requested, served

Bench = Callable[..., PluginBench]
Environ = dict[str, Any]

LENGTH = (b"content-length", b"4")


def app(environ: Environ, start_response: Any) -> list[bytes]:
    """Answer with the path."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]


def test_an_answer_is_one_piece_and_makes_no_task(plugin_bench: Bench) -> None:
    bench = served(plugin_bench, app, interface="wsgi", date_header=False)
    client = bench.connect()
    protocol: Any = client.connection.protocol
    written: list[bytes] = []
    write = type(protocol.transport).write

    def seen(self: Any, data: bytes) -> None:
        assert protocol.serving.running == 1
        assert not protocol.tasks
        written.append(data)
        write(self, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(protocol.transport), "write", seen)
        client.send(get("/a"))
    assert written == [
        b"HTTP/1.1 200 OK\r\nserver: reactorhost\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\n/a"
    ]
    assert protocol.serving.running == 0


def test_pipelined_requests_are_answered_in_order(plugin_bench: Bench) -> None:
    paths = [b"/%d" % number for number in range(5)]
    data = b"".join(get(path.decode()) for path in paths)
    assert [each.body for each in requested(served(plugin_bench, app), data)] == paths


def test_an_answer_to_head_has_no_body_and_the_connection_stays(plugin_bench: Bench) -> None:
    client = served(plugin_bench, app).connect()
    client.send(get("/long", method="HEAD"))
    (head,) = answers(client, heads=True)
    assert (head.headers["content-length"], head.body) == ("5", b"")
    assert client.received.endswith(b"\r\n\r\n")
    assert not client.eof


@pytest.mark.parametrize("data", [get("/", "connection: close"), post(b"x", "connection: close")])
def test_the_connection_ends_when_the_client_wants_that(plugin_bench: Bench, data: bytes) -> None:
    client = served(plugin_bench, app).connect()
    client.send(data)
    (answer,) = answers(client)
    assert (answer.body, answer.headers["connection"]) == (b"/", "close")
    assert client.eof


def test_the_client_is_the_one_behind_a_trusted_proxy(plugin_bench: Bench) -> None:
    def shown(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [f"{environ['REMOTE_ADDR']} {environ['wsgi.url_scheme']}".encode()]

    bench = served(plugin_bench, shown, forwarded_allow_ips=["192.0.2.1"])
    headers = "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https"
    found = []
    for host in ("192.0.2.1", "192.0.2.2"):
        client = bench.connect((host, 4711))
        client.send(get("/", *headers))
        found.append(answers(client)[0].body)
    assert found == [b"203.0.113.9 https", b"192.0.2.2 http"]


def test_a_large_answer_is_complete(plugin_bench: Bench) -> None:
    def large(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"x" * 1_000_000]

    assert requested(served(plugin_bench, large), get())[0].body == b"x" * 1_000_000


@pytest.mark.parametrize(
    ("status", "headers", "body", "is_head", "head"),
    [
        (200, [LENGTH], b"body", False, b"HTTP/1.1 200 OK\r\na: b\r\ncontent-length: 4\r\n\r\n"),
        (200, [], b"", True, b"HTTP/1.1 200 OK\r\na: b\r\n\r\n"),
        (200, [LENGTH], b"other size", True, b"HTTP/1.1 200 OK\r\na: b\r\ncontent-length: 4\r\n\r\n"),
        (304, [(b"ETag", b'"x"')], b"", False, b'HTTP/1.1 304 Not Modified\r\na: b\r\netag: "x"\r\n\r\n'),
        # Left to uvicorn's code.
        (304, [], b"body", False, None),
        (200, [], b"body", False, None),
        (200, [LENGTH], b"bod", False, None),
        (200, [LENGTH, (b"Connection", b"close")], b"body", False, None),
        (200, [(b"Transfer-Encoding", b"chunked")], b"body", False, None),
        (200, [LENGTH, (b"a", b"b\r\nc: d")], b"body", False, None),
        (200, [LENGTH, (b"a b", b"c")], b"body", False, None),
        (101, [LENGTH], b"body", False, None),
        (600, [LENGTH], b"body", False, None),
    ],
)
def test_the_head_of_a_whole_answer(
    status: int, headers: list[tuple[bytes, bytes]], body: bytes, is_head: bool, head: bytes | None
) -> None:
    assert head_of(status, headers, b"a: b\r\n", body, is_head=is_head, keep_alive=True) == head


def test_the_head_of_the_last_answer_says_so() -> None:
    head = head_of(200, [LENGTH], b"", b"body", is_head=False, keep_alive=False)
    assert head == b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\n"


class Answer:
    """What an application has sent so far."""

    on_message: Any = None
    left = False

    def __init__(self, *, more: bool = False) -> None:
        self.found: Any = (
            {"status": 200, "headers": [LENGTH]},
            {"body": b"body", "more_body": more},
        )

    def first(self) -> Any:
        return self.found

    def leave(self) -> None:
        self.left = True


class Client:
    """A protocol with one request, whose answer a test lets arrive."""

    change = None
    draining = False

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.written: list[bytes] = []
        self.recorded: list[tuple[int, int]] = []
        self.failures: list[BaseException] = []
        self.events: list[str] = []
        self.scope = {"method": "GET", "http_version": "1.1"}
        self.flow = types.SimpleNamespace(write_paused=False)
        self.application: Any = self
        self.transport = types.SimpleNamespace(write=self.written.append, close=lambda: self.events.append("close"))
        self.writer = self.transport
        self.serving: Any = types.SimpleNamespace(
            clock=lambda: 0.0,
            loop=types.SimpleNamespace(time=lambda: 0.0),
            direct=set(),
            head=b"",
            state=types.SimpleNamespace(default_headers=[]),
            application_failed=self.failures.append,
            record=lambda scope, status, size, began: self.recorded.append((status, size)),
            log=types.SimpleNamespace(info=lambda *words: self.events.append("log")),
        )
        self.cycle = self.running = DirectCycle(self, keep_alive=True)  # type: ignore[arg-type]  # stands in for it

    def start(self, scope: Any, data: bytes, on_message: Callable[[], None]) -> Answer:
        """Stand in for `WsgiApplication.start`."""
        self.events.append("start")
        self.answer.on_message = on_message
        return self.answer

    def on_response_complete(self) -> None:
        """Note the end of the answer."""
        self.events.append("complete")

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self.events.append("task")

    def requested(self) -> Callable[[], None]:
        """Let the request arrive; returns what lets the answer arrive."""
        self.cycle.start()
        assert self.events == []
        self.cycle.more_body = False
        self.cycle.notify()
        assert self.events.pop() == "start"
        assert self.serving.direct == {self.cycle}
        return self.answer.on_message  # type: ignore[no-any-return]  # set by start


def test_a_request_is_answered_and_recorded_once() -> None:
    client = Client(Answer())
    client.requested()()
    client.cycle.disconnect()
    assert client.written == [b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody"]
    assert (client.events, client.recorded, client.serving.direct) == (["complete"], [(200, 4)], set())


def test_nothing_is_sent_to_a_client_that_has_left() -> None:
    client = Client(Answer(more=True))
    arrives = client.requested()
    client.cycle.disconnect()
    assert client.serving.direct == {client.cycle}
    arrives()
    assert (client.written, client.events, client.recorded) == ([], [], [(0, 0)])
    assert client.answer.left
    assert client.serving.direct == set()


def test_a_client_that_leaves_before_the_end_of_its_request_is_recorded() -> None:
    client = Client(Answer())
    client.cycle.start()
    client.cycle.disconnect()
    client.cycle.notify()
    assert (client.events, client.recorded, client.serving.direct) == ([], [(0, 0)], set())


def test_an_answer_behind_the_deadline_is_dropped() -> None:
    client = Client(Answer())
    arrives = client.requested()
    client.cycle.expire()
    arrives()
    assert [each.split(b"\r\n")[0] for each in client.written] == [b"HTTP/1.1 504 Gateway Timeout"]
    assert (client.events, client.recorded) == (["close"], [(504, 0)])
    assert client.answer.left


def test_a_worker_that_leaves_waits_for_no_answer_that_has_no_client() -> None:
    client = Client(Answer())
    client.requested()
    client.cycle.disconnect()
    client.cycle.cancel()
    assert client.answer.left
    assert (client.recorded, client.serving.direct) == ([(0, 0)], set())


@pytest.mark.parametrize("left", [False, True])
def test_an_exception_is_a_failure_unless_the_client_has_left(left: bool) -> None:
    client = Client(Answer())
    arrives = client.requested()
    client.answer.found = error = ValueError("broken application")
    if left:
        client.cycle.disconnect()
    arrives()
    assert client.failures == ([] if left else [error])
    assert client.recorded == [(0 if left else 500, 0)]


def test_a_request_that_no_thread_can_take_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(Answer())

    def full(*arguments: Any) -> None:
        raise RefusedError(TOO_MANY)

    monkeypatch.setattr(client, "start", full)
    client.cycle.more_body = False
    client.cycle.start()
    assert (client.events, client.recorded, client.serving.direct) == (["close"], [(503, 0)], set())


@pytest.mark.parametrize("reads", [False, True])
def test_an_answer_in_parts_and_a_client_that_does_not_read_need_a_task(
    reads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(Answer(more=reads))
    arrives = client.requested()
    client.flow.write_paused = not reads
    made: list[Any] = []

    def cycle(*arguments: Any, **options: Any) -> Any:
        made.append(types.SimpleNamespace(take_over=lambda *facts, peer_closed: None))
        return made[0]

    monkeypatch.setattr("reactorhost_asgi.wsgi.direct_cycle.RequestCycle", cycle)
    arrives()
    assert client.events == ["task"]
    assert client.cycle is made[0]
    assert client.answer.on_message is None
    # It is that of the other cycle now.
    assert (client.written, client.recorded, client.serving.direct) == ([], [], set())
