"""WSGI applications: the environment, answers of every kind, and applications and clients that fail."""

from __future__ import annotations

import asyncio
import io
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any
from wsgiref.validate import validator

import pytest

from reactorhost import ThreadQueueFullError, Worker
from reactorhost.testing import PluginBench
from reactorhost_asgi.wsgi.application import WsgiApplication
from reactorhost_asgi.wsgi.calls import Calls
from served import answers, get, post, requested, served

Bench = Callable[..., PluginBench]
Environ = dict[str, Any]

TEXT = ("Content-Type", "text/plain")


def hello(environ: Environ, start_response: Any) -> list[bytes]:
    """Answer with the path."""
    text = f"hello {environ['PATH_INFO']}".encode()
    start_response("200 OK", [TEXT, ("Content-Length", str(len(text)))])
    return [text]


def echo(environ: Environ, start_response: Any) -> list[bytes]:
    """Answer with the body of the request."""
    data = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"] or 0))
    start_response("200 OK", [TEXT])
    return [data]


def test_an_application_is_recognised_and_called_in_a_thread(plugin_bench: Bench) -> None:
    threads: list[int] = []

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        threads.append(threading.get_ident())
        return hello(environ, start_response)

    (answer,) = requested(served(plugin_bench, app), get("/x"))
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"hello /x", "8")
    assert threads[0] != threading.get_ident()


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (get("/a%20b?x=1"), b""),
        (post(b"a body"), b"a body"),
        (get("/", "transfer-encoding: chunked", method="POST") + b"1\r\nx\r\n0\r\n\r\n", b"x"),
    ],
    ids=["GET", "POST", "chunks"],
)
def test_the_conversation_is_as_pep_3333_has_it(plugin_bench: Bench, data: bytes, body: bytes) -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [TEXT])
        return [environ["wsgi.input"].read(10)]

    bench = served(plugin_bench, validator(app), interface="wsgi")
    assert [(each.status, each.body) for each in requested(bench, data)] == [(200, body)]


def test_the_environment_describes_the_request(plugin_bench: Bench) -> None:
    seen: list[Environ] = []

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        seen.append(environ)
        return hello(environ, start_response)

    bench = served(plugin_bench, app, root_path="/shop")
    client = bench.connect(("192.0.2.7", 4711))
    client.send(
        get(
            "/a%2Fb%E4?x=%201",
            "X-One: 1",
            "X-One: 2",
            "X_One: 3",
            "Cookie: a=1",
            "Cookie: b=2",
            "Content-Type: text/x",
            "Proxy: http://evil.example",
        )
    )
    (environ,) = seen
    assert {key: environ[key] for key in environ if key.isupper()} == {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "/shop",
        "PATH_INFO": "/a/b\xe4",
        "QUERY_STRING": "x=%201",
        "REQUEST_URI": "/shop/a%2Fb%E4?x=%201",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": client.connection.local.host,
        "SERVER_PORT": str(client.connection.local.port),
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_PORT": "4711",
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "",
        "HTTP_HOST": "example.org",
        "HTTP_X_ONE": "1, 2",
        "HTTP_COOKIE": "a=1; b=2",
    }


@pytest.mark.parametrize("size", [0, 10, 70_000, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_any_size_is_read(plugin_bench: Bench, size: int, chunked: bool) -> None:
    bench = served(plugin_bench, echo)
    client = bench.connect()
    data = b"x" * size
    if chunked:
        client.send(get("/", "transfer-encoding: chunked", method="POST"))
        pieces = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in _pieces(data)] + [b"0\r\n\r\n"]
    else:
        client.send(get("/", f"content-length: {size}", method="POST"))
        pieces = _pieces(data)
    for piece in pieces:
        client.send(piece)
    assert answers(client)[0].body == data


def _pieces(data: bytes) -> list[bytes]:
    return [data[start : start + 50_000] for start in range(0, len(data), 50_000)]


def streams(environ: Environ, start_response: Any) -> Iterator[bytes]:
    """Answer in parts."""
    start_response("200 OK", [TEXT])
    yield b"one "
    yield b""
    yield b"two"


def writes(environ: Environ, start_response: Any) -> list[bytes]:
    """Answer by the old way."""
    write = start_response("200 OK", [TEXT])
    write(b"one ")
    write(b"tw")
    return [b"o"]


def files(environ: Environ, start_response: Any) -> Any:
    """Answer with a file."""
    start_response("200 OK", [TEXT, ("Content-Length", "7")])
    return environ["wsgi.file_wrapper"](io.BytesIO(b"one two"), 3)


def empty(environ: Environ, start_response: Any) -> list[bytes]:
    """Answer without a body."""
    start_response("200 OK", [("Content-Length", "0")])
    return []


def no_content(environ: Environ, start_response: Any) -> list[bytes]:
    """Answer with a status that has no body."""
    start_response("204 No Content", [])
    return [b""]


def body_of_204(environ: Environ, start_response: Any) -> list[bytes]:
    """Send a body with a status that has none."""
    start_response("204 No Content", [])
    return [b"x"]


def changes_its_mind(environ: Environ, start_response: Any) -> list[bytes]:
    """Replace the headers after an error."""
    start_response("200 OK", [TEXT])
    try:
        raise ValueError
    except ValueError:
        start_response("404 Not Found", [TEXT], sys.exc_info())
    return [b"none"]


@pytest.mark.parametrize(
    ("app", "status", "body"),
    [
        (streams, 200, b"one two"),
        (writes, 200, b"one two"),
        (files, 200, b"one two"),
        (empty, 200, b""),
        (changes_its_mind, 404, b"none"),
    ],
)
def test_an_answer_of_any_kind_arrives(plugin_bench: Bench, app: Any, status: int, body: bytes) -> None:
    bench = served(plugin_bench, app)
    client = bench.connect()
    client.send(get() * 2)
    assert [(each.status, each.body) for each in answers(client)] == [(status, body)] * 2
    client.send(get(method="HEAD"))
    assert not client.eof


@pytest.mark.parametrize("app", [no_content, body_of_204])
def test_an_answer_without_content_has_no_body(plugin_bench: Bench, app: Any) -> None:
    bench = served(plugin_bench, app)
    client = bench.connect()
    client.send(get() * 2)
    assert [each.status for each in answers(client, heads=True)] == [204, 204]
    assert b"chunked" not in client.received


def test_what_closes_an_answer_is_called_behind_it(plugin_bench: Bench) -> None:
    events: list[Any] = []
    sent = threading.Event()

    class Parts:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"done"])

        def close(self) -> None:
            # The answer is sent meanwhile: this would wait for ever if it were not.
            events.append(sent.wait(20))

    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [TEXT, ("Content-Length", "4")])
        return Parts()

    bench = served(plugin_bench, app)
    client = bench.connect()
    protocol: Any = client.connection.protocol
    transport = type(protocol.transport)
    write = transport.write

    def seen(self: Any, data: bytes) -> None:
        write(self, data)
        if b"done" in data:
            sent.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport, "write", seen)
        client.send(get())
    assert answers(client)[0].body == b"done"
    assert events == [True]


class ThreadWorker:
    """Runs a function in a thread of its own."""

    log = logging.getLogger("test.wsgi")

    def run_in_thread(self, function: Callable[[], None]) -> ThreadWorker:
        self.thread = threading.Thread(target=function)
        self.thread.start()
        return self


def test_a_slow_reader_holds_back_the_thread_and_its_end_frees_it() -> None:
    made = 0
    closed: list[threading.Thread] = []

    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        nonlocal made
        start_response("200 OK", [TEXT])
        try:
            while True:
                made += 1
                yield b"x" * 100_000
        finally:
            closed.append(threading.current_thread())

    async def main() -> None:
        worker = ThreadWorker()
        left = asyncio.Event()
        received = iter([{"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> Any:
            for message in received:
                return message
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if "body" in message and made > 2:
                await left.wait()

        scope: dict[str, Any] = {
            "root_path": "",
            "raw_path": b"/",
            "server": None,
            "client": None,
            "method": "GET",
            "query_string": b"",
            "http_version": "1.1",
            "scheme": "http",
            "headers": [],
        }
        call = asyncio.create_task(WsgiApplication(app, worker)(scope, receive, send))  # type: ignore[arg-type]
        deadline = time.monotonic() + 20
        while not _waits(worker):
            assert time.monotonic() < deadline, "the thread does not wait"
            await asyncio.sleep(0.005)
        seen = made
        left.set()
        await asyncio.gather(call, return_exceptions=True)
        await asyncio.to_thread(worker.thread.join, 20)
        assert seen < 20
        assert closed == [worker.thread]

    asyncio.run(main())


def test_more_calls_than_one_thread_makes_in_a_row_are_made() -> None:
    made: list[int] = []
    all_made = asyncio.Event()

    class Counted:
        def run(self) -> None:
            made.append(1)
            if len(made) == 250:
                all_made.set()

        def wake(self) -> None: ...

    class Later:
        """Runs functions when the loop is idle, as threads that are slow to begin."""

        def run_in_thread(self, function: Callable[[], None]) -> None:
            asyncio.get_running_loop().call_soon(function)

    async def main() -> None:
        calls = Calls(Later())  # type: ignore[arg-type]  # what it uses of a worker
        for _ in range(250):
            calls.add(Counted())
        await asyncio.wait_for(all_made.wait(), 20)

    asyncio.run(main())


def test_a_call_that_blocks_holds_no_other_back() -> None:
    gate = threading.Event()
    opened: list[bool] = []
    threads: list[threading.Thread] = []

    class Blocks:
        def run(self) -> None:
            opened.append(gate.wait(20))

        def wake(self) -> None: ...

    class Opens(Blocks):
        def run(self) -> None:
            gate.set()

    class Threads:
        def run_in_thread(self, function: Callable[[], None]) -> None:
            threads.append(threading.Thread(target=function))
            threads[-1].start()

    async def main() -> None:
        calls = Calls(Threads())  # type: ignore[arg-type]  # what it uses of a worker
        calls.add(Blocks())
        calls.add(Opens())
        await asyncio.to_thread(threads[0].join, 30)
        await asyncio.to_thread(threads[-1].join, 30)

    asyncio.run(main())
    assert opened == [True]


def _waits(worker: ThreadWorker) -> bool:
    """Return whether the thread is in `Condition.wait`."""
    frame = sys._current_frames().get(getattr(getattr(worker, "thread", None), "ident", 0))
    return frame is not None and frame.f_code is threading.Condition.wait.__code__


def raises_before(environ: Environ, start_response: Any) -> list[bytes]:
    """Raise before the answer."""
    raise ValueError("broken application")


def raises_behind_start(environ: Environ, start_response: Any) -> list[bytes]:
    """Raise when nothing was sent yet."""
    start_response("200 OK", [TEXT])
    raise ValueError("broken application")


def raises_during(environ: Environ, start_response: Any) -> Iterator[bytes]:
    """Raise in the middle of the body."""
    start_response("200 OK", [TEXT, ("Content-Length", "10")])
    yield b"half "
    raise ValueError("broken application")


def exits(environ: Environ, start_response: Any) -> list[bytes]:
    """End the process, it believes."""
    raise SystemExit(1)


def never_starts(environ: Environ, start_response: Any) -> list[bytes]:
    """Return a body without headers."""
    return [b"x"]


def starts_twice(environ: Environ, start_response: Any) -> list[bytes]:
    """Set headers twice."""
    start_response("200 OK", [TEXT])
    start_response("200 OK", [TEXT])
    return [b"x"]


def sends_too_much(environ: Environ, start_response: Any) -> list[bytes]:
    """Send more than the length."""
    start_response("200 OK", [TEXT, ("Content-Length", "2")])
    return [b"much"]


def sends_too_little(environ: Environ, start_response: Any) -> list[bytes]:
    """Send less than the length."""
    start_response("200 OK", [TEXT, ("Content-Length", "10")])
    return [b"little"]


def bad_status(environ: Environ, start_response: Any) -> list[bytes]:
    """Send a status that is none."""
    start_response("fine", [TEXT])
    return [b"x"]


def bad_header(environ: Environ, start_response: Any) -> list[bytes]:
    """Send a header with a second one in its value."""
    start_response("200 OK", [("A", "b\r\nSet-Cookie: c")])
    return [b"x"]


def two_lengths(environ: Environ, start_response: Any) -> list[bytes]:
    """Send two lengths."""
    start_response("200 OK", [("Content-Length", "1"), ("Content-Length", "1")])
    return [b"x"]


def no_bytes(environ: Environ, start_response: Any) -> list[Any]:
    """Send a text."""
    start_response("200 OK", [TEXT])
    return ["x"]


@pytest.mark.parametrize(
    ("app", "received"),
    [
        (raises_before, 500),
        (raises_behind_start, 500),
        (raises_during, b"half "),
        (exits, 500),
        (never_starts, 500),
        (starts_twice, 500),
        (sends_too_much, 500),
        (sends_too_little, b"little"),
        (bad_status, 500),
        (bad_header, 500),
        (two_lengths, 500),
        (no_bytes, 500),
    ],
)
def test_a_faulty_application_is_logged_and_its_client_notices(
    plugin_bench: Bench, app: Any, received: int | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    bench = served(plugin_bench, app)
    client = bench.connect()
    client.send(get())
    if isinstance(received, int):
        assert [each.status for each in answers(client)] == [received]
    else:
        assert client.received.endswith(b"\r\n\r\n" + received)
    assert client.eof
    assert [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR] == ["application_failed"]


def test_a_close_that_fails_is_logged(plugin_bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    class Parts(list[bytes]):
        def close(self) -> None:
            raise ValueError("broken close")

    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [TEXT, ("Content-Length", "1")])
        return Parts([b"x"])

    bench = served(plugin_bench, app)
    client = bench.connect()
    client.send(get())
    assert answers(client)[0].body == b"x"
    assert [each.getMessage() for each in caplog.records] == ["application_failed"]


def test_the_variables_of_a_request_are_its_own(plugin_bench: Bench) -> None:
    variable: ContextVar[int] = ContextVar("variable", default=0)

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        seen = variable.get()
        variable.set(1)
        start_response("200 OK", [TEXT])
        return [b"%d" % seen]

    bench = served(plugin_bench, app)
    clients = [bench.connect() for _ in range(3)]
    for client in clients:
        client.send(get() * 3)
    assert [each.body for client in clients for each in answers(client)] == [b"0"] * 9


def test_an_upgrade_to_websocket_is_an_ordinary_request(plugin_bench: Bench) -> None:
    data = get("/", "connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13")
    assert requested(served(plugin_bench, hello), data)[0].body == b"hello /"


@pytest.mark.parametrize("error", [ThreadQueueFullError("full"), RuntimeError("can't start new thread")])
def test_a_request_that_no_thread_can_run_is_refused(plugin_bench: Bench, error: RuntimeError) -> None:
    def full(*arguments: Any) -> None:
        raise error

    bench = served(plugin_bench, hello)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Worker, "run_in_thread", full)
        assert [each.status for each in requested(bench, get())] == [503]
    assert [each.status for each in requested(bench, get())] == [200]


def test_a_call_that_a_busy_thread_takes_needs_no_other() -> None:
    made: list[int] = []

    class FullWorker:
        def run_in_thread(self, function: Callable[[], None]) -> None:
            function()
            raise ThreadQueueFullError

    class OneCall:
        def run(self) -> None:
            made.append(1)

        def wake(self) -> None:
            raise AssertionError

    async def main() -> None:
        Calls(FullWorker()).add(OneCall())  # type: ignore[arg-type]  # all that is used of it

    asyncio.run(main())
    assert made == [1]
