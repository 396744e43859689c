"""A connection with a framing: the plugin receives whole messages, in order, each once."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator

import pytest

from reactorhost import CloseReason, Connection, Delimited, Fixed, FramingError, LengthPrefixed, Lines, hookimpl
from reactorhost.testing import HostFailedError, PluginBench
from reactorhost.testing.fakes import FakeSocket

Bench = Callable[..., PluginBench]


class Framed:
    """Collects lines of at most ten bytes."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    @hookimpl
    def framing(self, service: str) -> object:
        assert service == "default"
        return self.made()

    def made(self) -> object:
        return Lines(max_size=10)

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        self.seen.append(data)
        self.handle(connection, data)

    def handle(self, connection: Connection, data: bytes) -> None:
        """Do something with the message."""


def test_the_plugin_gets_whole_messages(plugin_bench: Bench) -> None:
    plugin = Framed()
    client = plugin_bench(plugin).connect()
    for piece in (b"on", b"e\ntwo\r\n", b"thr", b"ee", b"\n\nfour"):
        client.send(piece)
    assert plugin.seen == [b"one", b"two", b"three", b""]


def test_each_connection_has_a_framing_of_its_own(plugin_bench: Bench) -> None:
    plugin = Framed()
    bench = plugin_bench(plugin)
    first, second = bench.connect(), bench.connect()
    first.send(b"a")
    second.send(b"b\n")
    first.send(b"\n")
    assert plugin.seen == [b"b", b"a"]


def test_a_message_over_the_limit_closes_after_the_messages_before_it(plugin_bench: Bench) -> None:
    class Answers(Framed):
        def handle(self, connection: Connection, data: bytes) -> None:
            connection.send_message(data.upper())

    plugin = Answers()
    client = plugin_bench(plugin).connect()
    client.send(b"one\ntwo\n" + b"x" * 20)
    assert plugin.seen == [b"one", b"two"]
    assert client.received == b"ONE\nTWO\n"
    assert client.closed is CloseReason.FRAMING


def test_a_plugin_may_raise_framing_error_too(plugin_bench: Bench) -> None:
    class Strict(Framed):
        def handle(self, connection: Connection, data: bytes) -> None:
            raise FramingError("a verb that is none")

    plugin = Strict()
    client = plugin_bench(plugin).connect()
    client.send(b"one\ntwo\n")
    assert plugin.seen == [b"one"]
    assert client.closed is CloseReason.FRAMING


@pytest.mark.parametrize("how", ["close", "abort"])
def test_no_message_is_delivered_after_the_plugin_has_closed(plugin_bench: Bench, how: str) -> None:
    class Closes(Framed):
        def handle(self, connection: Connection, data: bytes) -> None:
            getattr(connection, how)()

    plugin = Closes()
    client = plugin_bench(plugin).connect()
    client.send(b"one\ntwo\nthree\n")
    assert plugin.seen == [b"one"]
    assert client.closed is CloseReason.LOCAL


def test_a_pause_holds_messages_that_were_received_already(plugin_bench: Bench) -> None:
    class Pauses(Framed):
        def handle(self, connection: Connection, data: bytes) -> None:
            connection.pause()

    plugin = Pauses()
    bench = plugin_bench(plugin)
    client = bench.connect()
    client.send(b"one\ntwo\nthree\n")
    client.send(b"four\n")
    for seen in ([b"one"], [b"one", b"two"], [b"one", b"two", b"three"], [b"one", b"two", b"three", b"four"]):
        assert plugin.seen == seen
        client.connection.resume()
        bench.settle()


def test_messages_of_a_client_that_does_not_read_are_held(plugin_bench: Bench) -> None:
    class Generous(Framed):
        def handle(self, connection: Connection, data: bytes) -> None:
            connection.send(bytes(50_000))

    plugin = Generous()
    client = plugin_bench(plugin).connect()
    client.pause()
    client.send(b"x\n" * 1000)
    assert len(plugin.seen) == 2
    client.resume()
    assert len(plugin.seen) == 1000
    assert len(client.received) == 1000 * 50_000


def test_the_framing_may_change_in_the_middle_of_a_batch(plugin_bench: Bench) -> None:
    class Upgrades(Framed):
        def handle(self, connection: Connection, data: bytes) -> None:
            if data == b"binary":
                connection.framing = LengthPrefixed(">H")
            elif data == b"raw":
                connection.framing = None
            elif data == b"text":
                connection.framing = Lines()

    plugin = Upgrades()
    client = plugin_bench(plugin).connect()
    client.send(b"hello\nbinary\n\x00\x03a\nb\x00\x03raw")
    client.send(b"as it")
    client.send(b" comes\n")
    assert plugin.seen == [b"hello", b"binary", b"a\nb", b"raw", b"as it", b" comes\n"]
    assert client.connection.framing is None
    client.send(b"text")
    client.send(b"li")
    client.send(b"ne\nraw\nrest")
    assert plugin.seen[6:] == [b"text", b"line", b"raw", b"rest"]


def test_a_framing_may_be_set_between_messages(plugin_bench: Bench) -> None:
    plugin = Framed()
    bench = plugin_bench(plugin)
    client = bench.connect()
    client.send(b"\x00\x02")
    client.connection.framing = LengthPrefixed(">H")
    client.send(b"ok")
    client.send(b"\x00\x01\n")
    assert plugin.seen == [b"ok", b"\n"]


def test_each_message_is_counted_once(plugin_bench: Bench) -> None:
    bench = plugin_bench(Framed())
    client = bench.connect()
    for piece in (b"a\nb\nc", b"d", b"\n", b"e\n"):
        client.send(piece)
    assert bench._service.context.counters.messages == 4


def test_progress_is_seen_between_the_first_hooks_of_a_batch(plugin_bench: Bench) -> None:
    progress: list[int] = []

    class Asks(Framed):
        def handle(self, connection: Connection, data: bytes) -> None:
            progress.append(bench._service.context.dispatcher.handed_over)

    bench = plugin_bench(Asks())
    bench.connect().send(b"a\nb\n")
    assert progress == [1, 2]


class Pairs:
    """A framing with nothing but `feed`."""

    def __init__(self) -> None:
        self.held = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        self.held += data
        while len(self.held) >= 2:
            pair, self.held = self.held[:2], self.held[2:]
            yield pair


@pytest.mark.parametrize("said", [Pairs(), Pairs, functools.partial(Pairs)], ids=["pattern", "class", "callable"])
def test_any_object_with_feed_is_a_framing(plugin_bench: Bench, said: object) -> None:
    class Brings(Framed):
        def made(self) -> object:
            return said

    plugin = Brings()
    bench = plugin_bench(plugin)
    first, second = bench.connect(), bench.connect()
    first.send(b"a")
    second.send(b"bcd")
    first.send(b"A")
    assert plugin.seen == [b"bc", b"aA"]
    with pytest.raises(TypeError, match=r"a Pairs, which has no frame\(message\)"):
        first.connection.send_message(b"xy")
    with pytest.raises(TypeError, match=r"a Pairs has no rest\(\), so the bytes that it holds cannot"):
        second.connection.framing = Lines()


def test_send_message_on_an_ended_connection_returns_false(plugin_bench: Bench) -> None:
    client = plugin_bench(Framed()).connect()
    client.connection.abort()
    assert client.connection.send_message(b"late") is False


def test_send_message_without_a_framing_says_so(plugin_bench: Bench) -> None:
    class Raw:
        @hookimpl
        def receive(self, data: bytes) -> None:
            """Accept the message."""

    client = plugin_bench(Raw()).connect()
    with pytest.raises(TypeError, match="this connection has no framing"):
        client.connection.send_message(b"x")


@pytest.mark.parametrize("said", [7, "lines", lambda: 7], ids=["number", "text", "maker"])
def test_an_object_that_is_not_a_framing_is_refused_at_load(said: object) -> None:
    class Wrong(Framed):
        def made(self) -> object:
            return said

    with pytest.raises(HostFailedError, match=r"framing: .* has no method feed\(data\)") as failed:
        PluginBench(Wrong()).start()
    assert failed.value.status == 4


def test_an_error_in_a_framing_is_an_error_of_its_plugin(plugin_bench: Bench) -> None:
    class Broken:
        def feed(self, data: bytes) -> Iterator[bytes]:
            yield b"one"
            raise KeyError(data)

    class Brings(Framed):
        def made(self) -> object:
            return Broken()

    plugin = Brings()
    client = plugin_bench(plugin).connect()
    with pytest.raises(KeyError):
        client.send(b"x")
    assert plugin.seen == [b"one"]
    assert client.closed is CloseReason.ERROR


def test_messages_of_async_hooks_keep_their_order(plugin_bench: Bench) -> None:
    seen: list[bytes] = []

    class Slow:
        @hookimpl
        def framing(self) -> object:
            return Lines()

        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            await asyncio.sleep(1)
            seen.append(data)
            connection.send_message(data)

    bench = plugin_bench(Slow())
    client = bench.connect()
    client.send(b"x\n" * 1000 + b"last\n")
    bench.advance(2000)
    assert seen == [b"x"] * 1000 + [b"last"]
    assert len(client.received) == 2005


class Switching:
    """Changes to a length-prefixed framing when it reads `binary`, after a wait."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    @hookimpl
    def framing(self) -> object:
        return Lines()

    @hookimpl
    async def receive(self, connection: Connection, data: bytes) -> None:
        await asyncio.sleep(1)
        self.seen.append(data)
        if data == b"binary":
            connection.framing = LengthPrefixed(">H")


@pytest.mark.parametrize("pieces", [1, 2, 9], ids=str)
def test_an_async_hook_may_change_the_framing_of_received_input(plugin_bench: Bench, pieces: int) -> None:
    plugin = Switching()
    bench = plugin_bench(plugin)
    client = bench.connect()
    data = b"one\nbinary\n\x00\x03a\nb\x00\x01c"
    size = -(-len(data) // pieces)
    for start in range(0, len(data), size):
        client.send(data[start : start + size])
    client.end()
    bench.advance(10)
    assert plugin.seen == [b"one", b"binary", b"a\nb", b"c"]
    assert client.closed is CloseReason.PEER


def test_a_framing_that_cannot_be_made_closes_the_connection(plugin_bench: Bench) -> None:
    made: list[Pairs] = []

    def make() -> Pairs:
        if made:
            raise OSError("no more")
        made.append(Pairs())
        return made[0]

    class Brings(Framed):
        def made(self) -> object:
            return make

    bench = plugin_bench(Brings())
    with pytest.raises(OSError, match="no more"):
        bench.connect()
    (client,) = bench._clients.values()
    assert client.closed is CloseReason.ERROR


def test_framing_broken_is_rate_limited(plugin_bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench = plugin_bench(Framed())
    for _ in range(20):
        bench.connect().send(b"x" * 20)
    bench.advance(1.5)
    bench.connect().send(b"x" * 20)
    lines = [vars(record)["reactorhost_fields"] for record in caplog.records if record.msg == "framing_broken"]
    assert [line["suppressed"] for line in lines] == [0, 0, 0, 0, 0, 15]


class Echoes(Framed):
    def handle(self, connection: Connection, data: bytes) -> None:
        connection.send_message(data)


@pytest.fixture
def sends(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The bytes passed to the kernel, call by call."""
    sent_pieces: list[bytes] = []
    send = FakeSocket.send

    def noted(self: FakeSocket, data: bytes | memoryview) -> int:
        sent_pieces.append(bytes(data))
        return send(self, data)

    monkeypatch.setattr(FakeSocket, "send", noted)
    return sent_pieces


def test_the_first_answer_of_a_batch_is_sent_at_once_and_the_rest_together(
    plugin_bench: Bench, sends: list[bytes]
) -> None:
    client = plugin_bench(Echoes()).connect()
    client.send(b"1\n2\n3\n4\n5\n")
    assert sends == [b"1\n", b"2\n3\n4\n5\n"]
    assert client.connection.bytes_out == 10


def test_a_single_answer_is_sent_while_the_hook_still_runs(plugin_bench: Bench, sends: list[bytes]) -> None:
    seen: list[int] = []

    class Looks(Framed):
        def handle(self, connection: Connection, data: bytes) -> None:
            connection.send(data)
            seen.append(len(sends))

    client = plugin_bench(Looks()).connect()
    client.send(b"1\n")
    client.send(b"2\n")
    assert seen == [1, 2]


def test_answers_are_corked_for_a_millisecond_only(plugin_bench: Bench, sends: list[bytes]) -> None:
    class Slow(Echoes):
        def handle(self, connection: Connection, data: bytes) -> None:
            super().handle(connection, data)
            bench._time.clock.now += 0.0006

    bench = plugin_bench(Slow())
    bench.connect().send(b"1\n2\n3\n4\n5\n6\n7\n")
    assert sends == [b"1\n", b"2\n3\n", b"4\n", b"5\n6\n", b"7\n"]


class ListFraming:
    """Two bytes a message, all of them returned at once."""

    def feed(self, data: bytes) -> list[bytes]:
        return [data[start : start + 2] for start in range(0, len(data), 2)]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("framing", "message"),
    [
        (Lines, b"x\n"),
        (lambda: Lines(keep_ends=True), b"x\n"),
        (lambda: Delimited(b";"), b"x;"),
        (lambda: LengthPrefixed(">B"), b"\1x"),
        (lambda: Fixed(2), b"xx"),
        (ListFraming, b"xx"),
    ],
)
def test_a_client_that_pipelines_leaves_the_turn_to_others(
    plugin_bench: Bench, framing: Callable[[], object], message: bytes, is_async: bool
) -> None:
    seen: list[int] = []

    def received(connection: Connection) -> None:
        seen.append(connection.id)
        bench._time.clock.now += 0.0005

    class Plain:
        @hookimpl
        def framing(self, service: str) -> object:
            return framing()

        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            received(connection)

    class Async(Plain):
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:  # type: ignore[override]
            received(connection)

    bench = plugin_bench(Async() if is_async else Plain())
    one, two = bench.connect(), bench.connect()
    one._socket.incoming.append(message * 1000)
    two._socket.incoming.append(message * 2)
    bench.settle()
    assert seen.count(one.connection.id) == 1000
    assert len(seen) - 1 - seen[::-1].index(two.connection.id) < 20


def test_a_framing_that_changes_at_each_message_leaves_the_turn_to_others(plugin_bench: Bench) -> None:
    seen: list[int] = []

    class Changes(Framed):
        def handle(self, connection: Connection, data: bytes) -> None:
            seen.append(connection.id)
            connection.framing = Lines(max_size=10)
            bench._time.clock.now += 0.0005

    bench = plugin_bench(Changes())
    one, two = bench.connect(), bench.connect()
    one._socket.incoming.append(b"x\n" * 100)
    two._socket.incoming.append(b"x\n")
    bench.settle()
    assert len(seen) == 101
    assert seen.index(two.connection.id) < 10


def test_a_client_is_not_idle_while_its_messages_are_delivered(plugin_bench: Bench) -> None:
    class Slow(Framed):
        def handle(self, connection: Connection, data: bytes) -> None:
            bench._time.clock.now += 0.7

    plugin = Slow()
    bench = plugin_bench(plugin, idle_timeout=5.0)
    client = bench.connect()
    client.send(b"x\n" * 30)
    assert len(plugin.seen) == 30
    assert client.closed is None


def test_large_answers_are_not_corked(plugin_bench: Bench, sends: list[bytes]) -> None:
    class Generous(Framed):
        def handle(self, connection: Connection, data: bytes) -> None:
            assert connection.send(data * 1000)
            assert connection.queued <= 20_000

    client = plugin_bench(Generous()).connect()
    client.send(b"123456789\n" * 10)
    assert [len(each) for each in sends] == [9000, 18_000, 18_000, 18_000, 18_000, 9000]


def test_a_client_stays_registered_while_its_batch_is_answered(plugin_bench: Bench, sends: list[bytes]) -> None:
    class Generous(Framed):
        def handle(self, connection: Connection, data: bytes) -> None:
            connection.send(data * 100)

    bench = plugin_bench(Generous())
    client = bench.connect()
    before = bench._time.poller.changes
    client.send(b"123456789\n" * 1000)
    assert len(sends) > 2
    assert bench._time.poller.changes == before


def test_messages_are_delivered_after_corked_answers_could_not_be_sent(
    plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(Echoes):
        def handle(self, connection: Connection, data: bytes) -> None:
            super().handle(connection, data)
            bench._time.clock.now += 0.002
            if data == b"2":
                monkeypatch.setattr(FakeSocket, "send", broken)

    def broken(self: FakeSocket, data: bytes | memoryview) -> int:
        raise BrokenPipeError

    plugin = Slow()
    bench = plugin_bench(plugin)
    client = bench.connect()
    client.send(b"1\n2\n3\n4\n")
    assert plugin.seen == [b"1", b"2", b"3", b"4"]
    client.end()
    assert client.closed is CloseReason.PEER


def test_a_large_answer_among_small_ones_is_sent_as_it_is(plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    large = bytes(100_000)
    sent_pieces: list[object] = []
    send = FakeSocket.send

    def noted(self: FakeSocket, data: bytes | memoryview) -> int:
        sent_pieces.append(data)
        return send(self, data)

    class Answers(Framed):
        def handle(self, connection: Connection, data: bytes) -> None:
            assert connection.send(large if data == b"3" else data)

    monkeypatch.setattr(FakeSocket, "send", noted)
    plugin_bench(Answers()).connect().send(b"1\n2\n3\n4\n5\n")
    assert [len(each) if each is large else each for each in sent_pieces] == [b"1", b"2", 100_000, b"45"]


def test_corked_answers_keep_their_order_when_the_kernel_accepts_pieces(
    plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = FakeSocket.send
    monkeypatch.setattr(FakeSocket, "send", lambda self, data: send(self, data[:3]))
    client = plugin_bench(Echoes()).connect()
    lines = b"".join(b"%d\n" % number for number in range(500))
    client.send(lines)
    client.send(lines)
    assert client.received == lines * 2


def test_async_hooks_that_do_not_wait_are_answered_in_order(plugin_bench: Bench) -> None:
    class Async:
        @hookimpl
        def framing(self, service: str) -> object:
            return Lines()

        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            if data.endswith(b"7"):
                await asyncio.sleep(0)
            connection.send_message(data)

    client = plugin_bench(Async()).connect()
    lines = b"".join(b"%d\n" % number for number in range(100))
    client.send(lines)
    assert client.received == lines
    client.end()
    assert client.closed is CloseReason.PEER


@pytest.mark.parametrize("how", ["close", "send_eof"])
def test_corked_answers_are_sent_before_the_plugin_ends_the_connection(plugin_bench: Bench, how: str) -> None:
    class Ends(Echoes):
        def handle(self, connection: Connection, data: bytes) -> None:
            super().handle(connection, data)
            if data == b"3":
                getattr(connection, how)()
                assert not connection.send(b"more")

    client = plugin_bench(Ends()).connect()
    client.send(b"1\n2\n3\n4\n")
    assert client.received == b"1\n2\n3\n"
    assert client.eof


def test_corked_answers_are_dropped_by_an_abort(plugin_bench: Bench) -> None:
    class Aborts(Echoes):
        def handle(self, connection: Connection, data: bytes) -> None:
            super().handle(connection, data)
            if data == b"3":
                assert connection.queued == 4
                connection.abort()
                assert connection.queued == 0

    client = plugin_bench(Aborts()).connect()
    client.send(b"1\n2\n3\n4\n")
    assert client.received == b"1\n"
    assert client.closed is CloseReason.LOCAL


def test_corked_answers_are_sent_before_a_failed_hook_closes(plugin_bench: Bench) -> None:
    class Raises(Echoes):
        def handle(self, connection: Connection, data: bytes) -> None:
            super().handle(connection, data)
            if data == b"3":
                raise ValueError(data)

    client = plugin_bench(Raises()).connect()
    with pytest.raises(ValueError, match="3"):
        client.send(b"1\n2\n3\n4\n")
    assert client.received == b"1\n2\n3\n"


def test_bytes_like_objects_keep_their_order_among_corked_answers(plugin_bench: Bench) -> None:
    class Mixes(Framed):
        def handle(self, connection: Connection, data: bytes) -> None:
            connection.send(data)
            connection.send(bytearray(b"+"))
            connection.send(memoryview(b"a-b-")[1::2])

    client = plugin_bench(Mixes()).connect()
    client.send(b"1\n2\n3\n")
    assert client.received == b"1+--2+--3+--"


def test_corked_answers_do_not_overflow_a_small_send_buffer(plugin_bench: Bench) -> None:
    client = plugin_bench(Echoes(), max_send_buffer=10).connect()
    client.send(b"123456789\n" * 20)
    assert client.received == b"123456789\n" * 20
    assert client.closed is None
