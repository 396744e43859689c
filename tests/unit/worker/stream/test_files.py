"""Files that are sent: their order among other bytes, how much is queued, and what becomes of them; on a bench."""

from __future__ import annotations

import asyncio
import io
import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from reactorhost import CloseReason, Connection, FileSend, Lines, hookimpl
from reactorhost.testing import BenchClient, PluginBench
from reactorhost.testing.fakes import FakeSocket
from reactorhost.worker.stream import file_part

Bench = Callable[..., PluginBench]
Use = Callable[[Connection], object]
SIZE = 200_000
CONTENT = os.urandom(SIZE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def file(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        yield file


class Calls:
    """Call a function for each message."""

    def __init__(self, use: Use, framing: object = None) -> None:
        self.use = use
        self.made = framing

    @hookimpl
    def framing(self) -> object:
        return self.made

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        self.use(connection)

    @hookimpl
    async def worker_stop(self) -> None:
        """Make the worker one with an asyncio loop, without a queue of hooks."""


@pytest.fixture
def served(plugin_bench: Bench) -> Callable[..., BenchClient]:
    """Return a function that calls another one in `receive` of a new client."""

    def serve(use: Use, *, reads: bool = True, **limits: float) -> BenchClient:
        client = plugin_bench(Calls(use), **limits).connect()
        if not reads:
            client.pause()
        client.send(b"x")
        return client

    return serve


Served = Callable[..., BenchClient]


def descriptors(path: Path) -> int:
    """Return how many descriptors are of this file; those of other tests may be closed at any moment."""
    links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    return sum(os.path.exists(link) and os.readlink(link) == str(path) for link in links)


# Order


@pytest.mark.parametrize("reads", [True, False])
def test_a_file_is_sent_between_what_was_sent_before_and_after(served: Served, file: BinaryIO, reads: bool) -> None:
    def use(connection: Connection) -> None:
        connection.send(b"before,")
        connection.send_file(file)
        connection.send(b",between,")
        connection.send_file(file, 10, 5)
        connection.send_file(file, SIZE)
        connection.send_file(file, SIZE - 3)
        connection.send(b",after")

    wanted = b"before," + CONTENT + b",between," + CONTENT[10:15] + CONTENT[-3:] + b",after"
    client = served(use, reads=reads)
    client.resume()
    assert client.received == wanted
    assert (client.connection.bytes_out, client.connection.queued) == (len(wanted), 0)


def test_files_that_all_wait_are_sent_in_pieces_as_the_client_reads(served: Served, file: BinaryIO) -> None:
    def use(connection: Connection) -> None:
        for number in range(20):
            connection.send(b"%d" % number)
            connection.send_file(file, number, number)

    client = served(use, reads=False)
    accepted = iter([1, 2, 3] * 1000)
    sock: Any = client._socket

    def send(data: bytes | memoryview) -> int:
        count = min(next(accepted), len(data))
        sock.taken += data[:count]
        return count

    sock.send = send
    client.resume()
    assert client.received == b"".join(b"%d" % number + CONTENT[number : 2 * number] for number in range(20))


def test_the_file_may_be_closed_at_once_and_keeps_its_position(plugin_bench: Bench, path: Path) -> None:
    positions: list[int] = []

    def use(connection: Connection) -> None:
        with path.open("rb") as file:
            file.seek(7)
            connection.send_file(file, 1)
            positions.append(file.tell())

    client = plugin_bench(Calls(use)).connect()
    before = descriptors(path)
    client.pause()
    client.send(b"x")
    assert descriptors(path) == before + 1
    client.resume()
    assert (client.received, positions, descriptors(path)) == (CONTENT[1:], [7], before)


def test_answers_to_messages_that_come_together_keep_their_order(plugin_bench: Bench, file: BinaryIO) -> None:
    def use(connection: Connection) -> None:
        connection.send(b"head,")
        connection.send_file(file, 0, 3)
        connection.send(b",")

    client = plugin_bench(Calls(use, Lines())).connect()
    client.send(b"1\n2\n3\n")
    assert client.received == (b"head," + CONTENT[:3] + b",") * 3


def test_answers_behind_a_file_are_collected_as_those_before_it(
    plugin_bench: Bench, file: BinaryIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces: list[bytes] = []

    def send(self: FakeSocket, data: bytes | memoryview) -> int:
        pieces.append(bytes(data))
        return len(data)

    def use(connection: Connection) -> None:
        connection.send(b"a")
        connection.send(b"b")
        connection.send_file(file, 0, 2)
        connection.send(b"c")
        connection.send(b"d")

    client = plugin_bench(Calls(use, Lines())).connect()
    monkeypatch.setattr(FakeSocket, "send", send)
    client.send(b"1\n2\n")
    # The first answer of a turn is sent at once.
    assert pieces == [b"a", b"b", CONTENT[:2], b"c", b"d", b"ab", CONTENT[:2], b"cd"]


# What is queued


def test_a_client_is_not_read_while_much_of_a_file_waits(served: Served, file: BinaryIO) -> None:
    calls: list[int] = []

    def use(connection: Connection) -> None:
        calls.append(connection.queued)
        connection.send_file(file)

    client = served(use, reads=False)
    client.send(b"x")
    assert (calls, client.connection.queued) == ([0], SIZE)
    client.resume()
    assert (len(calls), client.received) == (2, CONTENT * 2)


def test_the_limit_of_the_send_buffer_is_one_of_memory(served: Served, file: BinaryIO) -> None:
    sent: list[bool] = []

    def use(connection: Connection) -> None:
        connection.send_file(file)
        sent.extend(connection.send(b"x" * 600) for _ in range(3))

    client = served(use, reads=False, max_send_buffer=1000)
    assert (sent, client.closed) == ([True, True, False], CloseReason.OVERFLOW)


def test_drained_counts_the_file(served: Served, file: BinaryIO) -> None:
    drained: list[int] = []

    def use(connection: Connection) -> None:
        connection.send_file(file)
        connection.when_drained(lambda: drained.append(connection.bytes_out))

    client = served(use, reads=False)
    assert drained == []
    client.resume()
    assert drained[0] >= SIZE - 16 * 1024


# Results


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("count", [0, 5, SIZE])
def test_the_callback_gets_the_number_of_bytes_later(served: Served, file: BinaryIO, reads: bool, count: int) -> None:
    results: list[object] = []

    def use(connection: Connection) -> None:
        connection.send(b"head")
        connection.send_file(file, 0, count, on_result=results.append)
        results.append("returned")

    client = served(use, reads=reads)
    assert results == (["returned", count] if reads else ["returned"])
    client.resume()
    assert (results, client.received) == (["returned", count], b"head" + CONTENT[:count])


def test_the_callback_is_called_after_a_close_too(served: Served, file: BinaryIO) -> None:
    results: list[int] = []

    def use(connection: Connection) -> None:
        connection.send_file(file, on_result=results.append)
        connection.close()

    client = served(use, reads=False)
    assert (results, client.closed) == ([], None)
    client.resume()
    assert (results, client.received, client.eof, client.closed) == ([SIZE], CONTENT, True, CloseReason.LOCAL)


@pytest.mark.parametrize("wait", [True, False])
def test_a_hook_may_await_the_result(plugin_bench: Bench, file: BinaryIO, wait: bool) -> None:
    class Awaits:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            sending = connection.send_file(file)
            # It cannot be withdrawn: the client would not know that the rest is missing.
            sending.cancel()
            connection.send(b"%d" % await sending)
            connection.send(b"%d" % await sending)

    client = plugin_bench(Awaits).connect()
    if wait:
        client.pause()
    client.send(b"x")
    client.resume()
    assert client.received == CONTENT + b"%d" % SIZE * 2


def test_an_exception_of_the_callback_closes_the_connection(served: Served, file: BinaryIO) -> None:
    def fail(count: int) -> None:
        raise ValueError("spoiled")

    with pytest.raises(ValueError, match="spoiled"):
        served(lambda connection: connection.send_file(file, on_result=fail))


# Ends


@pytest.mark.parametrize("end", ["abort", "reset", "broken", "overflow"])
def test_an_end_before_that_releases_the_file_and_fails_what_awaits_it(
    plugin_bench: Bench, path: Path, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    results: list[object] = []
    tasks: list[asyncio.Task[None]] = []

    def use(connection: Connection) -> None:
        with path.open("rb") as file:
            sending = connection.send_file(file, on_result=results.append)
        # Not one of the connection, which ends with it.
        tasks.append(asyncio.create_task(wait(sending)))
        if end == "overflow":
            while connection.send(b"x" * 1000):
                pass

    async def wait(sending: FileSend) -> None:
        try:
            await sending
        except ConnectionError as error:
            results.append(str(error))

    bench = plugin_bench(Calls(use), max_send_buffer=1000)
    before = descriptors(path)
    client = bench.connect()
    client.pause()
    client.send(b"x")
    if end == "abort":
        client.connection.abort()
    elif end == "reset":
        client.reset()
    elif end == "broken":
        monkeypatch.setattr(client._socket, "send", _broken)
        client.resume()
        client.end()
    bench.settle()
    assert results == ["the connection has ended before all of the file was sent"]
    assert (client.closed is None, descriptors(path)) == (False, before)


def _broken(data: bytes | memoryview) -> int:
    raise BrokenPipeError


@pytest.mark.parametrize("kind", ["hook", "task"])
def test_a_hook_or_a_task_that_such_an_end_ends_has_not_failed(
    plugin_bench: Bench, file: BinaryIO, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []

    class Awaits:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            seen.append(data)
            if data == b"file":
                work = self.send(connection)
                await (work if kind == "hook" else connection.create_task(work))

        async def send(self, connection: Connection) -> None:
            await connection.send_file(file)

    client = plugin_bench(Awaits).connect()
    client.pause()
    client.send(b"file")
    monkeypatch.setattr(client._socket, "send", _broken)
    client.resume()
    # What the client had sent is still received.
    client.send(b"more")
    client.end()
    assert (seen, client.closed) == ([b"file", b"more"], CloseReason.PEER)


def test_a_hook_of_another_connection_fails(plugin_bench: Bench, file: BinaryIO) -> None:
    others: list[Connection] = []

    class Sends:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            others.append(connection)
            await others[0].send_file(file)

    bench = plugin_bench(Sends)
    first, second = bench.connect(), bench.connect()
    first.pause()
    first.send(b"x")
    second.send(b"x")
    with pytest.raises(ConnectionError, match="has ended before all of the file was sent"):
        first.reset()
    bench.settle()
    assert second.closed is CloseReason.ERROR


@pytest.mark.parametrize("how", ["close", "send_eof", "abort"])
def test_nothing_is_sent_behind_an_end(served: Served, file: BinaryIO, how: str) -> None:
    results: list[object] = []

    def use(connection: Connection) -> None:
        connection.send_file(file, 0, 2)
        getattr(connection, how)()
        results.append(connection.send_file(file)._exception)

    client = served(use)
    assert client.received == CONTENT[:2]
    assert [str(each) for each in results] == ["the connection has ended before all of the file was sent"]


def test_a_half_closed_client_gets_the_whole_file(served: Served, file: BinaryIO) -> None:
    def use(connection: Connection) -> None:
        connection.send_file(file)
        connection.send_eof()

    client = served(use, reads=False)
    client.end()
    assert not client.eof
    client.resume()
    assert (client.received, client.eof, client.closed) == (CONTENT, True, CloseReason.PEER)


@pytest.mark.parametrize("at_once", [True, False])
def test_a_file_that_becomes_shorter_resets_the_connection(
    plugin_bench: Bench, path: Path, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: list[object] = []
    monkeypatch.setattr(FakeSocket, "setsockopt", lambda self, *option: options.append(option))

    def use(connection: Connection) -> None:
        with path.open("rb") as file:
            if at_once:
                # Between the look at its size and the first read.
                monkeypatch.setattr(os, "pread", lambda *args: b"")
            connection.send_file(file, on_result=lambda count: options.append("sent"))
            connection.send(b"behind")

    client = plugin_bench(Calls(use)).connect()
    client.pause()
    if at_once:
        with pytest.raises(ConnectionError, match="has become shorter, and 200000 bytes are missing"):
            client.send(b"x")
    else:
        client.send(b"x")
        os.truncate(path, 100_000)
        with pytest.raises(ConnectionError, match="has become shorter, and 100000 bytes are missing") as raised:
            client.resume()
        assert raised.value.__notes__[0].startswith("raised in send_file of plugin Calls for <Connection 1 ")
    # SO_LINGER, and no FIN before it.
    assert (client.closed, len(options), b"behind" in client.received) == (CloseReason.ERROR, 1, False)


def test_a_file_that_cannot_be_read_resets_the_connection(
    served: Served, file: BinaryIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> bytes:
        raise OSError("Input/output error")

    client = served(lambda connection: connection.send_file(file), reads=False)
    client._transport.buffer._files[0][0]._piece = memoryview(b"")  # type: ignore[union-attr,index]
    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(ConnectionError, match="a file that is being sent cannot be read: Input/output error"):
        client.resume()
    assert client.closed is CloseReason.ERROR


def test_a_file_that_cannot_be_kept_open_resets_the_connection(
    served: Served, file: BinaryIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> int:
        raise OSError("Too many open files")

    def use(connection: Connection) -> None:
        monkeypatch.setattr(os, "dup", fail)
        seen.append(connection.send_file(file))

    seen: list[FileSend] = []
    with pytest.raises(ConnectionError, match="a file cannot be kept open until it is sent: Too many open files"):
        served(use, reads=False)
    assert seen[0]._exception is not None


# What is refused


@pytest.mark.parametrize(
    ("made", "arguments", "error", "message"),
    [
        (lambda path: path.open("rb"), (-1,), ValueError, "offset must not be negative, as -1 is"),
        (lambda path: path.open("rb"), (0, -1), ValueError, "count must not be negative, as -1 is"),
        (lambda path: path.open("rb"), (SIZE + 1,), ValueError, "the file has 200000 bytes"),
        (lambda path: path.open("rb"), (1, SIZE), ValueError, "the file has 200000 bytes"),
        (lambda path: path.open("rb"), (1.5,), TypeError, r"offset must be a whole number, not 1\.5"),
        (lambda path: path.open(), (), TypeError, "a binary file that is open for reading, not <_io.TextIOWrapper"),
        (lambda path: path.open("ab"), (), TypeError, "a binary file that is open for reading, not <_io.Buffered"),
        (lambda path: io.BytesIO(b"x"), (), TypeError, "a binary file that is open for reading, not <_io.BytesIO"),
        (str, (), TypeError, "a binary file that is open for reading, not '/"),
        (lambda path: io.FileIO("/dev/zero"), (), ValueError, "send_file sends regular files"),
    ],
)
@pytest.mark.parametrize("state", ["open", "closing", "ended"])
def test_what_is_no_part_of_a_file_is_refused(
    served: Served,
    path: Path,
    made: Callable[[Path], Any],
    arguments: Any,
    error: type[Exception],
    message: str,
    state: str,
) -> None:
    given = made(path)
    raised: list[Exception] = []

    def use(connection: Connection) -> None:
        if state == "closing":
            connection.close()
        try:
            connection.send_file(given, *arguments)
        except (TypeError, ValueError) as refusal:
            raised.append(refusal)

    client = served(use if state != "ended" else Connection.abort)
    if state == "ended":
        use(client.connection)
    assert [type(each) for each in raised] == [error]
    assert re.search(message, str(raised[0]))
    if not isinstance(given, str):
        given.close()


def test_a_closed_file_is_refused(served: Served, path: Path) -> None:
    with path.open("rb") as file:
        pass
    with pytest.raises(TypeError, match="a binary file that is open for reading"):
        served(lambda connection: connection.send_file(file))


def test_a_connection_that_has_ended_sends_nothing(served: Served, file: BinaryIO, path: Path) -> None:
    client = served(lambda connection: connection.abort())
    before = descriptors(path)
    assert isinstance(client.connection.send_file(file)._exception, ConnectionError)
    assert descriptors(path) == before


# What the kernel copies


class PlainSocket:
    """Stands in for a socket that the kernel can copy to; `send` accepts `most` bytes."""

    most = 400

    def __init__(self) -> None:
        self.sent = b""

    def fileno(self) -> int:
        return 99

    def send(self, data: bytes | memoryview) -> int:
        if not self.most:
            raise BlockingIOError
        self.sent += data[: self.most]
        return min(len(data), self.most)


def kernel(monkeypatch: pytest.MonkeyPatch, *results: int | OSError) -> list[tuple[int, int]]:
    """Let sendfile return or raise these; returns the offsets and counts that it is called with."""
    calls: list[tuple[int, int]] = []
    left = iter(results)

    def sendfile(out: int, descriptor: int, offset: int, count: int) -> int:
        assert (out, os.pread(descriptor, 3, 0)) == (99, CONTENT[:3])
        calls.append((offset, count))
        result = next(left)
        if isinstance(result, OSError):
            raise result
        return result

    monkeypatch.setattr(os, "sendfile", sendfile)
    monkeypatch.setattr(socket, "SocketType", PlainSocket)
    return calls


@pytest.fixture
def part(file: BinaryIO) -> file_part.FilePart:
    return file_part.FilePart(file.fileno(), 100, 1000, "made", lambda is_sent: None)


def test_the_kernel_copies_to_a_plain_socket(part: file_part.FilePart, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = kernel(monkeypatch, 300, BlockingIOError(), 700)
    sock: Any = PlainSocket()
    assert part.send(sock) == 300
    with pytest.raises(BlockingIOError):
        part.send(sock)
    assert part.send(sock) == 700
    assert (calls, part.left, sock.sent) == ([(100, 1000), (400, 700), (400, 700)], 0, b"")


def test_a_file_is_read_where_the_kernel_cannot_copy_it(
    part: file_part.FilePart, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = kernel(monkeypatch, 300, OSError("Invalid argument"))
    sock: Any = PlainSocket()
    assert [part.send(sock) for _ in range(3)] == [300, 400, 300]
    assert (calls[1:], part.left, sock.sent) == ([(400, 700)], 0, CONTENT[400:1100])


def test_a_piece_is_sent_as_it_was_read(part: file_part.FilePart, path: Path) -> None:
    sock: Any = PlainSocket()
    part.send(sock)
    # TLS has encrypted the rest already, and requires the same bytes again.
    path.write_bytes(bytes(SIZE))
    sock.most = 0
    with pytest.raises(BlockingIOError):
        part.send(sock)
    sock.most = 600
    part.send(sock)
    assert sock.sent == CONTENT[100:1100]


def test_the_kernel_finds_that_a_file_has_become_shorter(
    part: file_part.FilePart, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel(monkeypatch, 0)
    sock: Any = PlainSocket()
    with pytest.raises(file_part.FilePartError, match="1000 bytes are missing"):
        part.send(sock)
