"""Files as answers: `http.response.pathsend` of ASGI applications, and `wsgi.file_wrapper`."""

from __future__ import annotations

import asyncio
import gzip
import io
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reactorhost import CloseReason
from reactorhost.testing import PluginBench
from reactorhost_asgi.wsgi.file_wrapper import FileWrapper, OwnFile
from served import answers, body, get, requested, served, start

Bench = Callable[..., PluginBench]

SMALL = b"a small file"
LARGE = os.urandom(300_000)
SIZES = pytest.mark.parametrize("content", [b"", SMALL, LARGE], ids=["empty", "small", "large"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def length(size: int) -> tuple[bytes, bytes]:
    """Return the header."""
    return (b"content-length", b"%d" % size)


class Sends:
    """An ASGI application that answers with a file."""

    def __init__(self, path: Path, *headers: tuple[bytes, bytes], before: bytes = b"") -> None:
        self.path = path
        self.headers = headers
        self.before = before
        self.events: list[Any] = []
        self.task: asyncio.Task[Any] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        assert scope["extensions"]["http.response.pathsend"] == {}
        self.task = asyncio.current_task()
        await start(send, 200, *self.headers)
        if self.before:
            await body(send, self.before, more=True)
        try:
            await send({"type": "http.response.pathsend", "path": str(self.path)})
        except (OSError, RuntimeError, ValueError) as error:
            self.events.append(error)
            raise
        self.events.append("sent")


@SIZES
@pytest.mark.parametrize("announced", [True, False], ids=["length", "chunks"])
def test_a_file_is_the_body(plugin_bench: Bench, path: Path, content: bytes, announced: bool) -> None:
    path.write_bytes(content)
    app = Sends(path, *([length(len(content))] if announced else []))
    bench = served(plugin_bench, app)
    found = requested(bench, get() + get())
    assert [(each.status, each.body) for each in found] == [(200, content)] * 2
    assert ("transfer-encoding" in found[0].headers) is not announced
    assert app.events == ["sent"] * 2


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("announced", [True, False], ids=["length", "chunks"])
def test_a_file_comes_behind_what_was_sent_before(
    plugin_bench: Bench, path: Path, content: bytes, announced: bool
) -> None:
    path.write_bytes(content)
    app = Sends(path, *([length(len(content) + 7)] if announced else []), before=b"before,")
    (answer,) = requested(served(plugin_bench, app), get())
    assert answer.body == b"before," + content


@SIZES
def test_an_http_1_0_client_gets_a_file_up_to_the_end(plugin_bench: Bench, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    client = served(plugin_bench, Sends(path)).connect()
    client.send(get(version="1.0"))
    (answer,) = answers(client)
    assert (answer.body, "transfer-encoding" in answer.headers) == (content, False)


def test_head_has_the_headers_only(plugin_bench: Bench, path: Path) -> None:
    app = Sends(path / "missing", length(7))
    client = served(plugin_bench, app).connect()
    client.send(get(method="HEAD") * 2)
    assert [each.headers["content-length"] for each in answers(client, heads=True)] == ["7", "7"]
    assert app.events == ["sent"] * 2


@pytest.mark.parametrize(
    ("content", "announced", "error"),
    [
        (None, 10, FileNotFoundError),
        (SMALL, len(SMALL) + 1, RuntimeError),
        (LARGE, len(LARGE) + 1, RuntimeError),
    ],
    ids=["missing", "small and shorter", "large and shorter"],
)
def test_a_file_that_cannot_be_sent_is_an_error_of_the_server(
    plugin_bench: Bench,
    caplog: pytest.LogCaptureFixture,
    path: Path,
    content: bytes | None,
    announced: int,
    error: type[Exception],
) -> None:
    if content is not None:
        path.write_bytes(content)
    app = Sends(path, length(announced))
    (answer,) = requested(served(plugin_bench, app), get())
    assert (answer.status, answer.headers["connection"]) == (500, "close")
    assert isinstance(app.events[0], error)
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == ["application_failed"]


def test_a_fifo_is_refused_without_waiting_for_its_writer(plugin_bench: Bench, path: Path) -> None:
    os.mkfifo(path)
    app = Sends(path, length(70_000))
    assert requested(served(plugin_bench, app), get())[0].status == 500


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_a_file_that_has_grown_is_sent_as_far_as_was_announced(plugin_bench: Bench, path: Path, content: bytes) -> None:
    path.write_bytes(content + b" and more")
    app = Sends(path, length(len(content)))
    assert [each.body for each in requested(served(plugin_bench, app), get() * 2)] == [content] * 2


def test_a_file_behind_the_end_of_an_answer_is_refused(plugin_bench: Bench, path: Path) -> None:
    path.write_bytes(SMALL)
    raised: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        for prepared in (False, True):
            if prepared:
                await start(send, 204)
                await body(send)
            with pytest.raises(RuntimeError) as error:
                await send({"type": "http.response.pathsend", "path": str(path)})
            raised.append(str(error.value))

    client = served(plugin_bench, app).connect()
    client.send(get())
    assert answers(client, heads=True)[0].status == 204
    assert raised[0].startswith("Expected ASGI message 'http.response.start'")
    assert "after response already completed" in raised[1]


def lines(folder: Path) -> list[str]:
    """Return status and size of each line of the access log."""
    return [" ".join(line.split()[8:10]) for line in (folder / "access").read_text().splitlines()]


def test_the_application_waits_until_a_slow_client_has_the_file(
    plugin_bench: Bench, tmp_path: Path, path: Path
) -> None:
    path.write_bytes(LARGE)
    app = Sends(path, length(len(LARGE)))
    bench = served(plugin_bench, app, access_log=str(tmp_path / "access"))
    client = bench.connect()
    client.pause()
    client.send(get())
    # Longer than a connection may be idle: this one is not.
    bench.advance(100)
    assert (app.events, lines(tmp_path)) == ([], [])
    path.unlink()
    client.resume()
    assert answers(client)[0].body == LARGE
    client.send(get())
    assert (app.events[0], lines(tmp_path)[0]) == ("sent", f"200 {len(LARGE)}")


def test_a_client_that_leaves_is_no_failure_and_what_was_sent_is_logged(
    plugin_bench: Bench, caplog: pytest.LogCaptureFixture, tmp_path: Path, path: Path
) -> None:
    path.write_bytes(LARGE)
    app = Sends(path, length(len(LARGE)))
    bench = served(plugin_bench, app, access_log=str(tmp_path / "access"))
    client = bench.connect()
    client.pause()
    client.send(get())
    sent = client.connection.bytes_out
    client.reset()
    assert app.events == ["sent"]
    (line,) = lines(tmp_path)
    assert line.startswith("200 ")
    assert int(line.split()[1].replace("-", "0")) <= sent < len(LARGE)
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert bench.stats("Asgi")["failures"] == 0


def test_a_file_that_becomes_shorter_resets_the_connection(
    plugin_bench: Bench, caplog: pytest.LogCaptureFixture, path: Path
) -> None:
    path.write_bytes(LARGE)
    app = Sends(path, length(len(LARGE)))
    bench = served(plugin_bench, app)
    client = bench.connect()
    client.pause()
    client.send(get())
    os.truncate(path, 100)
    with pytest.raises(ConnectionError, match="has become shorter"):
        client.resume()
    assert (client.closed, app.events) == (CloseReason.ERROR, ["sent"])


def test_an_application_that_is_cancelled_leaves_a_complete_file(plugin_bench: Bench, path: Path) -> None:
    path.write_bytes(LARGE)
    app = Sends(path, length(len(LARGE)))
    client = served(plugin_bench, app).connect()
    client.pause()
    client.send(get())
    assert app.task is not None
    app.task.cancel()
    client.resume()
    assert (answers(client)[0].body, client.closed is None) == (LARGE, False)


# WSGI.


class Wraps:
    """A WSGI application that answers with a file."""

    def __init__(self, new_file: Callable[[], Any], *headers: tuple[str, str], wrapper: Any = None) -> None:
        self.new_file = new_file
        self.headers = headers
        self.wrapper = wrapper
        self.files: list[Any] = []

    def __call__(self, environ: Any, start_response: Any) -> Any:
        file = self.new_file()
        self.files.append(file)
        start_response("200 OK", list(self.headers))
        return (self.wrapper or environ["wsgi.file_wrapper"])(file, 10)


def opened(content: bytes) -> Callable[[], Any]:
    """Return a function that makes a temporary file with this content, at its begin."""

    def make() -> Any:
        file = tempfile.TemporaryFile()  # noqa: SIM115  closed by the server
        file.write(content)
        file.seek(0)
        return file

    return make


@SIZES
@pytest.mark.parametrize("before", [0, 5], ids=["from the begin", "from a position"])
def test_a_wrapped_file_is_sent_with_its_length_and_closed(plugin_bench: Bench, content: bytes, before: int) -> None:
    def new_file() -> Any:
        file = opened(b"x" * before + content)()
        file.read(before)
        return file

    app = Wraps(new_file)
    found = requested(served(plugin_bench, app), get() * 2)
    assert [(each.body, each.headers["content-length"]) for each in found] == [(content, str(len(content)))] * 2
    assert [file.closed for file in app.files] == [True, True]


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_a_wrapped_file_is_sent_up_to_the_content_length(plugin_bench: Bench, content: bytes) -> None:
    app = Wraps(opened(content + b" and more"), ("Content-Length", str(len(content))))
    assert [each.body for each in requested(served(plugin_bench, app), get() * 2)] == [content] * 2


def test_a_wrapped_file_that_is_shorter_than_announced_is_an_error(plugin_bench: Bench) -> None:
    app = Wraps(opened(LARGE), ("Content-Length", str(len(LARGE) + 1)))
    assert requested(served(plugin_bench, app), get())[0].status == 500
    assert app.files[0].closed


def test_head_of_a_wrapped_file_has_its_length(plugin_bench: Bench) -> None:
    app = Wraps(opened(LARGE))
    client = served(plugin_bench, app).connect()
    client.send(get(method="HEAD") * 2)
    assert [each.headers["content-length"] for each in answers(client, heads=True)] == [str(len(LARGE))] * 2


def test_a_file_behind_parts_that_were_written_is_in_its_place(plugin_bench: Bench) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [])
        write(b"before,")
        return environ["wsgi.file_wrapper"](opened(LARGE)())

    assert requested(served(plugin_bench, app), get())[0].body == b"before," + LARGE


def compressed(path: Path) -> gzip.GzipFile:
    """Return a file whose descriptor has other bytes than its reader."""
    with gzip.open(path, "wb") as file:
        file.write(LARGE)
    return gzip.GzipFile(path)


@pytest.mark.parametrize(
    ("new_file", "is_sent"),
    [
        (lambda path: path.open("wb+"), True),
        (lambda path: path.open("wb+", buffering=0), True),
        (lambda path: tempfile.NamedTemporaryFile(), True),  # noqa: SIM115  the test closes it
        (lambda path: path.open("wb"), False),
        (lambda path: open(os.devnull, "rb"), False),  # noqa: SIM115  the test closes it
        (lambda path: io.BytesIO(LARGE), False),
        (lambda path: tempfile.SpooledTemporaryFile(), False),  # noqa: SIM115  the test closes it
        (compressed, False),
        (lambda path: io.BufferedReader(compressed(path)), False),
    ],
    ids=["file", "raw", "temporary", "for writing", "device", "BytesIO", "spooled", "gzip", "buffered gzip"],
)
def test_only_regular_files_are_sent_by_the_kernel(path: Path, new_file: Callable[[Path], Any], is_sent: bool) -> None:
    with new_file(path) as file:
        assert (FileWrapper(file).regular_file() is not None) is is_sent


def test_what_was_just_written_to_a_file_is_sent(path: Path) -> None:
    with path.open("wb+") as file:
        file.write(SMALL)
        file.seek(2)
        file.write(b"m")
        assert FileWrapper(file).regular_file() == (file, 3, len(SMALL) - 3)
        assert path.read_bytes() == SMALL[:2] + b"m" + SMALL[3:]


def test_any_other_file_is_read_in_blocks(plugin_bench: Bench, path: Path) -> None:
    content = SMALL * 1000
    app = Wraps(lambda: io.BytesIO(content))
    (answer,) = requested(served(plugin_bench, app), get())
    assert (answer.body, answer.headers["transfer-encoding"]) == (content, "chunked")
    assert app.files[0].closed


class Reads(Iterator[bytes]):
    """A middleware around the wrapper."""

    def __init__(self, file: Any, size: int) -> None:
        self.blocks = iter(FileWrapper(file, size))
        self.close = file.close

    def __next__(self) -> bytes:
        return next(self.blocks)[::-1]


def test_a_wrapper_around_the_wrapper_changes_the_body(plugin_bench: Bench) -> None:
    (answer,) = requested(served(plugin_bench, Wraps(opened(SMALL), wrapper=Reads)), get())
    assert answer.body == SMALL[::-1]


def test_a_slow_client_of_a_file_occupies_no_thread(plugin_bench: Bench) -> None:
    app = Wraps(opened(LARGE))
    bench = served(plugin_bench, app)
    clients = [bench.connect() for _ in range(3)]
    for client in clients:
        client.pause()
        # The bench has one thread, and waits for it.
        client.send(get())
    assert [file.closed for file in app.files] == [True] * 3
    clients[0].reset()
    for client in clients[1:]:
        client.resume()
        assert answers(client)[0].body == LARGE
    assert bench.stats("Asgi")["failures"] == 0


def test_the_file_of_a_client_that_has_left_is_closed() -> None:
    file = opened(LARGE)()
    number = os.dup(file.fileno())
    file.close()
    own = OwnFile(number)
    del own
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
