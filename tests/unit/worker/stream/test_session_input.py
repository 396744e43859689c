"""A framing that speaks to the peer by itself: its handshake, its answers and its end, on the bench."""

from __future__ import annotations

import asyncio
import gc
import io
import itertools
import runpy
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import given, settings, strategies

from reactorhost import CloseReason, Connection, Lines, Worker, hookimpl
from reactorhost.testing import HostFailedError, PluginBench
from reactorhost.testing.bench_client import BenchClient

Bench = Callable[..., PluginBench]

EXAMPLE = str(Path(__file__).parents[4] / "docs" / "examples" / "framing_session.py")
GREETING = b"HELLO ann\n"

if TYPE_CHECKING:

    class Hello:
        """The session of the example."""

        def __init__(self) -> None:
            self.opening, self.ended, self.replies = True, False, b""

        def feed(self, data: bytes) -> Any: ...
        def frame(self, message: bytes) -> Any: ...
        def greet(self, line: bytes) -> None: ...
else:
    Hello = runpy.run_path(EXAMPLE)["Hello"]


@pytest.fixture
def bench(plugin_bench: Bench) -> Bench:
    """Return a bench that has the example of the guide, which brings the framing, behind other plugins."""
    return lambda *plugins, **settings: plugin_bench(*plugins, EXAMPLE, **{"framing": "hello", **settings})


def hello(connection: Connection) -> Any:
    """Return the session of a connection."""
    return connection.framing


def test_messages_come_after_the_handshake_and_are_answered_as_messages(bench: Bench) -> None:
    client = bench().connect(opening=GREETING)
    assert client.received == b"HELLO\n"
    assert hello(client.connection).name == "ann"
    client.send(b"on")
    client.send(b"e\ntwo\n")
    assert client.received == b"HELLO\nONE\nTWO\n"


def test_what_came_behind_the_handshake_is_delivered_after_connect(bench: Bench) -> None:
    seen: list[object] = []

    class Watcher:
        @hookimpl
        def connect(self, connection: Connection) -> None:
            seen.append("connect")

        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            seen.append(data)

    client = bench(Watcher()).connect(opening=GREETING + b"one\nPING\ntwo\nthr")
    client.send(b"ee\n")
    assert seen == ["connect", b"one", b"two", b"three"]
    assert client.received == b"HELLO\nONE\nTWO\nPONG\nTHREE\n"
    assert client.connection.bytes_in == len(GREETING + b"one\nPING\ntwo\nthree\n")


def test_a_handshake_may_arrive_in_pieces(bench: Bench) -> None:
    client = bench().connect()
    for byte in GREETING[:-1]:
        client.send(bytes([byte]))
        with pytest.raises(ConnectionError, match="not complete"):
            _ = client.connection
    client.send(b"\none\n")
    assert client.received == b"HELLO\nONE\n"


@pytest.mark.parametrize("method", ["send", "send_message"])
def test_what_connect_sends_follows_the_answer_to_the_handshake(bench: Bench, method: str) -> None:
    class Greeter:
        @hookimpl
        def connect(self, connection: Connection) -> None:
            assert getattr(connection, method)(b"welcome")

    assert bench(Greeter()).connect(opening=GREETING).received == b"HELLO\nwelcome\n"


def test_connect_may_refuse_the_client(bench: Bench) -> None:
    client = bench().connect(opening=b"HELLO root\none\n")
    assert client.received == b"SORRY local\n"
    assert client.eof
    assert client.closed is CloseReason.LOCAL


def test_a_violation_of_the_handshake_is_answered_and_not_served(bench: Bench) -> None:
    client = bench().connect(opening=b"GET / HTTP/1.1\n")
    assert client.received == b"SORRY say HELLO and your name\n"
    assert client.eof
    client.end()
    with pytest.raises(ConnectionError, match="refused"):
        _ = client.connection


def test_control_messages_are_answered_by_the_framing_alone(bench: Bench) -> None:
    client = bench().connect(opening=GREETING)
    client.send(b"PING\n")
    assert client.received == b"HELLO\nPONG\n"


def test_the_peer_ends_the_session(bench: Bench) -> None:
    client = bench().connect(opening=GREETING)
    client.send(b"one\nBYE\n")
    assert client.received == b"HELLO\nONE\nBYE\n"
    assert client.closed is CloseReason.PEER


def test_a_handshake_and_an_end_in_one_piece(bench: Bench) -> None:
    client = bench().connect(opening=GREETING + b"one\nBYE\n")
    assert client.received == b"HELLO\nONE\nBYE\n"
    assert client.closed is CloseReason.PEER


@pytest.mark.parametrize(
    ("end", "word", "reason"),
    [
        (lambda bench, client: client.connection.close(), b"local", CloseReason.LOCAL),
        (lambda bench, client: bench.advance(60), b"idle", CloseReason.IDLE),
        (lambda bench, client: bench.stop(), b"shutdown", CloseReason.SHUTDOWN),
        (lambda bench, client: client.send(b"x" * 9000), b"framing", CloseReason.FRAMING),
    ],
    ids=["close", "idle", "stop", "violation"],
)
def test_the_framing_has_the_last_word(
    bench: Bench, end: Callable[[PluginBench, BenchClient], object], word: bytes, reason: CloseReason
) -> None:
    made = bench(idle_timeout=60)
    client = made.connect(opening=GREETING)
    end(made, client)
    made._time.run(0.0)
    assert client.received == b"HELLO\nBYE " + word + b"\n"
    assert client.eof
    assert client.closed is reason


class Bringing:
    """Brings a session as `made`, and echoes."""

    def __init__(self, session: Any) -> None:
        self.session = session

    @hookimpl
    def framings(self) -> dict[str, Any]:
        return {"made": self.session}

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        connection.send(data)


class OnlyBringing:
    """Brings the session of the example, and nothing else."""

    @hookimpl
    def framings(self) -> dict[str, Any]:
        return {"made": Hello}


def test_echo_works_with_a_session(plugin_bench: Bench) -> None:
    client = plugin_bench(OnlyBringing(), "echo", framing="made").connect(opening=GREETING + b"one\n")
    client.send(b"two\nPING\n")
    assert client.received == b"HELLO\none\ntwo\nPONG\n"


def test_the_chat_works_with_a_session(plugin_bench: Bench) -> None:
    bench = plugin_bench(OnlyBringing(), "chat", framing="made")
    ann, bob = bench.connect(opening=b"HELLO a\n/name ann\n"), bench.connect(opening=b"HELLO b\n/name bob\n")
    bench.advance(0.1)
    ann.send(b"good day\n")
    assert ann.received.startswith(b"HELLO\n* Welcome! You are guest")
    assert bob.received.endswith(b"\nann: good day\n")
    bob.send(b"/quit\n")
    assert bob.received.endswith(b"\n* Goodbye.\nBYE local\n")
    assert bob.closed is CloseReason.LOCAL


@settings(max_examples=50)
@given(cuts=strategies.lists(strategies.integers(0, 40), max_size=12), eager=strategies.booleans())
def test_any_division_of_a_session_has_the_same_messages(cuts: list[int], *, eager: bool) -> None:
    stream = GREETING + b"one\nPING\n\nPING\ntwo\nBYE\n"
    seen: list[bytes] = []

    class Listing(Bringing):
        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            seen.append(data)
            connection.send(data)

    with PluginBench(Listing(Eager if eager else Hello), framing="made") as bench:
        client = bench.connect()
        for start, end in itertools.pairwise([0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]):
            if start < end:
                client.send(stream[start:end])
        assert seen == [b"one", b"", b"two"]
        assert client.closed is CloseReason.PEER
    lines = client.received.removesuffix(b"\n").split(b"\n")
    assert lines[0] == b"HELLO"
    # A framing that handles all it is fed at once announces its end before the answers to what came before.
    assert eager or lines[-1] == b"BYE"
    assert [line for line in lines if line not in (b"HELLO", b"PONG", b"BYE")] == seen
    assert lines.count(b"PONG") == 2


def test_a_plugin_that_fails_ends_the_session(bench: Bench) -> None:
    class Fails:
        @hookimpl
        def receive(self, data: bytes) -> None:
            if data == b"two":
                raise RuntimeError("two is too much")

    made = bench(Fails())
    client = made.connect(opening=GREETING)
    with pytest.raises(RuntimeError, match="two is too much"):
        client.send(b"one\ntwo\nthree\n")
    made.settle()
    assert client.received == b"HELLO\nONE\nBYE error\n"
    assert client.closed is CloseReason.ERROR


def test_nothing_is_sent_after_the_last_word(bench: Bench) -> None:
    client = bench().connect(opening=GREETING)
    client.connection.close()
    assert not client.connection.send(b"late")
    assert not client.connection.send_message(b"late")
    assert client.received == b"HELLO\nBYE local\n"


@pytest.mark.parametrize("how", ["abort", "reset", "end"])
def test_there_is_no_last_word_to_a_peer_that_is_gone(bench: Bench, how: str) -> None:
    made = bench()
    client = made.connect(opening=GREETING)
    getattr(client.connection if how == "abort" else client, how)()
    made.settle()
    assert client.received == b"HELLO\n"
    assert client.closed is (CloseReason.LOCAL if how == "abort" else CloseReason.PEER)


def test_messages_before_the_peers_end_of_stream_are_answered(bench: Bench) -> None:
    made = bench()
    client = made.connect()
    client._socket.incoming.extend([GREETING + b"one\n", b"two\n", b""])
    made.settle()
    assert client.received == b"HELLO\nONE\nTWO\n"
    assert client.closed is CloseReason.PEER


def test_a_half_close_ends_our_half_of_the_session(bench: Bench) -> None:
    made = bench()
    client = made.connect(opening=GREETING)
    client.connection.send_eof()
    assert client.received == b"HELLO\nBYE local\n"
    assert client.eof
    assert client.closed is None
    client.send(b"BYE\n")
    assert client.received == b"HELLO\nBYE local\n"
    assert client.closed is CloseReason.PEER


def test_messages_that_a_paused_plugin_holds_come_before_the_end(bench: Bench) -> None:
    class Pausing:
        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            connection.pause()

    made = bench(Pausing())
    client = made.connect(opening=GREETING)
    client.send(b"one\nPING\ntwo\nBYE\n")
    for received in (b"ONE\n", b"ONE\nPONG\nTWO\n", b"ONE\nPONG\nTWO\nBYE\n"):
        assert client.received == b"HELLO\n" + received.replace(b"PONG\nTWO", b"TWO\nPONG")
        client.connection.resume()
        made.settle()
    assert client.closed is CloseReason.PEER


def test_a_connection_that_connect_pauses_is_accepted_and_not_served(bench: Bench) -> None:
    class Pausing:
        @hookimpl
        def connect(self, connection: Connection) -> None:
            connection.pause()

    made = bench(Pausing())
    client = made.connect(opening=GREETING + b"one\n")
    assert client.received == b"HELLO\n"
    client.connection.resume()
    made.settle()
    assert client.received == b"HELLO\nONE\n"


def test_a_peer_that_does_not_read_its_answers_is_not_read(bench: Bench) -> None:
    client = bench().connect(opening=GREETING)
    client.pause()
    for _ in range(10):
        client.send(b"PING\n" * 4000)
    assert client.connection.queued < 100_000
    client.resume()
    assert client.received == b"HELLO\n" + b"PONG\n" * 40_000


def test_the_last_word_does_not_reset_a_peer_with_a_full_buffer(bench: Bench) -> None:
    made = bench(max_send_buffer=1000)
    client = made.connect(opening=GREETING)
    client.pause()
    answer = b"x" * 2000
    assert client.connection.send(answer)
    client.connection.close()
    client.resume()
    assert client.received == b"HELLO\n" + answer + b"\n"
    assert client.closed is CloseReason.LOCAL


# The framing belongs to the connection.


@pytest.mark.parametrize("framing", [None, Lines()])
def test_a_session_cannot_be_replaced(bench: Bench, framing: object) -> None:
    client = bench().connect(opening=GREETING)
    with pytest.raises(TypeError, match="is a session, Hello, and cannot be replaced"):
        client.connection.framing = framing  # type: ignore[assignment]  # any
    client.send(b"one\n")
    assert client.received == b"HELLO\nONE\n"


@pytest.mark.parametrize("first", [None, "lines"])
def test_a_session_cannot_begin_on_an_open_connection(plugin_bench: Bench, first: str | None) -> None:
    client = plugin_bench(Bringing(Hello), framing=first).connect()
    with pytest.raises(TypeError, match="a Hello is a session, which begins with its connection"):
        client.connection.framing = Hello()


@pytest.mark.parametrize("method", ["start_tls", "send_file"])
def test_what_works_below_the_framing_is_refused(bench: Bench, method: str) -> None:
    client = bench().connect(opening=GREETING)
    arguments = [io.BytesIO()] if method == "send_file" else []
    assert not client.connection.can_start_tls
    with pytest.raises(TypeError, match=f"{method} works below the framing, and that of this connection is a session"):
        getattr(client.connection, method)(*arguments)


def test_a_handler_of_an_outbound_connection_cannot_have_a_session(plugin_bench: Bench) -> None:
    class Handler:
        def framing(self, service: str) -> object:
            return Hello()

        def receive(self, connection: Connection, data: bytes) -> None:
            """Do nothing."""

    worker = plugin_bench(Bringing(Hello)).worker
    with pytest.raises(TypeError, match="is a session, which works only for the clients of a service"):
        worker.connect("tcp://h:1", Handler())


def test_nothing_is_left_of_a_session_that_has_ended(bench: Bench) -> None:
    kept: list[weakref.ref[Any]] = []

    class Keeping:
        @hookimpl
        def connect(self, connection: Connection) -> None:
            # `Hello` has no slots, so it can be referred to.
            kept.append(weakref.ref(hello(connection)))

    made = bench(Keeping())
    client = made.connect(opening=GREETING)
    gc.disable()
    try:
        client.end()
        made._clients.clear()
        del client
        assert [each() for each in kept] == [None]
    finally:
        gc.enable()


def test_another_thread_cannot_send(bench: Bench) -> None:
    client = bench().connect(opening=GREETING)
    raised: list[BaseException] = []

    def send() -> None:
        try:
            client.connection.send(b"x")
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    thread.join()
    assert "connection.send was called in the thread" in str(raised)
    assert client.received == b"HELLO\n"


# Groups.


class Room:
    """All clients are in one group, and each line goes to it."""

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        self.worker = worker

    @hookimpl
    def connect(self, connection: Connection) -> None:
        connection.join("room")

    @hookimpl(tryfirst=True)
    def receive(self, data: bytes) -> object:
        self.worker.send_to("room", data)
        return True


class Counting(Hello):
    """Counts how often messages are encoded."""

    frame_key = "hello"
    framed: ClassVar[list[bytes]] = []

    def frame(self, message: bytes) -> Any:
        self.framed.append(message)
        return super().frame(message)


def test_a_message_to_a_group_is_encoded_once(plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counting, "framed", [])
    bench = plugin_bench(Room(), Bringing(Counting), framing="made")
    clients = [bench.connect(opening=GREETING) for _ in range(3)]
    clients[0].send(b"hi\n")
    assert [client.received for client in clients] == [b"HELLO\nhi\n"] * 3
    assert Counting.framed == [b"hi"]


def test_a_message_to_a_group_waits_for_the_answer_to_the_handshake(plugin_bench: Bench) -> None:
    gate = asyncio.Event()

    class Slow:
        @hookimpl
        async def connect(self, connection: Connection) -> None:
            if hello(connection).name == "bob":
                await gate.wait()

    bench = plugin_bench(Room(), Slow(), Bringing(Counting), framing="made")
    ann = bench.connect(opening=GREETING)
    bob = bench.connect(opening=b"HELLO bob\n")
    ann.send(b"one\n")
    assert ann.received == b"HELLO\none\n"
    assert bob.received == b""
    gate.set()
    bench.settle()
    assert bob.received == b"HELLO\none\n"
    ann.send(b"two\n")
    assert bob.received == b"HELLO\none\ntwo\n"


# Async hooks.


class Waiting:
    """Waits in `connect` until the test lets it go on."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.seen: list[bytes] = []

    @hookimpl
    async def connect(self, connection: Connection) -> None:
        await self.gate.wait()
        if hello(connection).name == "bob":
            connection.close()
        connection.send(b"welcome")

    @hookimpl
    async def receive(self, connection: Connection, data: bytes) -> None:
        await asyncio.sleep(0)
        self.seen.append(data)


@pytest.mark.parametrize(
    ("opening", "received"),
    [
        (GREETING, b"HELLO\nwelcome\nONE\nTWO\nPONG\nTHREE\n"),
        (b"HELLO bob\n", b"SORRY local\n"),
    ],
    ids=["accepted", "refused"],
)
def test_the_answer_waits_for_an_async_connect(bench: Bench, opening: bytes, received: bytes) -> None:
    plugin = Waiting()
    made = bench(plugin)
    client = made.connect(opening=opening + b"one\n")
    client.send(b"two\nPING\n")
    assert client.received == b""
    plugin.gate.set()
    made.settle()
    if opening == GREETING:
        client.send(b"three\n")
        assert plugin.seen == [b"one", b"two", b"three"]
    assert client.received == received


def test_a_peer_that_ends_while_connect_waits_still_gets_its_answers(bench: Bench) -> None:
    plugin = Waiting()
    made = bench(plugin)
    client = made.connect(opening=GREETING + b"one\n")
    client.end()
    assert client.received == b""
    plugin.gate.set()
    made.settle()
    assert client.received == b"HELLO\nwelcome\nONE\n"
    assert client.closed is CloseReason.PEER


def test_a_reset_while_a_hook_waits_leaves_the_messages_before_it(bench: Bench) -> None:
    plugin = Waiting()
    made = bench(plugin)
    client = made.connect(opening=GREETING + b"one\n")
    client.reset()
    plugin.gate.set()
    made.settle()
    assert plugin.seen == [b"one"]
    assert client.closed is CloseReason.PEER


def test_nothing_is_fed_after_the_peers_end(bench: Bench) -> None:
    plugin = Waiting()
    made = bench(plugin)
    client = made.connect(opening=GREETING + b"one\nBYE\n")
    # It waits behind the messages of the handshake.
    client.send(b"two\n")
    plugin.gate.set()
    made.settle()
    assert client.received == b"HELLO\nwelcome\nONE\nBYE\n"
    assert plugin.seen == [b"one"]
    assert client.closed is CloseReason.PEER


def test_drain_is_called_for_a_handshake_that_completes_later(bench: Bench) -> None:
    class Leaving:
        @hookimpl
        def drain(self, connection: Connection) -> None:
            connection.send(b"leaving")
            connection.close()

    made = bench(Leaving())
    early, late = made.connect(opening=GREETING), made.connect(opening=b"HELLO ")
    made.drain()
    late.send(b"bob\n")
    for client in (early, late):
        assert client.received == b"HELLO\nleaving\nBYE local\n"
        assert client.closed is CloseReason.LOCAL


# The opening handshake.


def counters(bench: PluginBench) -> tuple[int, int, int]:
    """Return how many clients were accepted and refused, and how many connections there are."""
    found = bench._parts.context.counters
    return found.accepted, found.refused, found.connections


@pytest.mark.parametrize(("name", "refused"), [(b"ann", 0), (b"root", 1)])
def test_a_session_that_ends_in_its_first_piece_is_not_refused(bench: Bench, name: bytes, refused: int) -> None:
    made = bench()
    made.connect(opening=b"HELLO " + name + b"\none\nBYE\n")
    assert counters(made) == (1, refused, 0)


def test_a_peer_that_does_not_complete_its_handshake_is_refused_in_time(bench: Bench) -> None:
    made = bench()
    client = made.connect(opening=b"HELLO a")
    made.advance(9.9)
    assert (client.received, client.eof) == (b"", False)
    made.advance(0.2)
    assert client.received == b"SORRY timeout\n"
    assert client.eof
    assert counters(made) == (1, 1, 0)


@pytest.mark.parametrize("end", ["end", "reset", "time"])
def test_a_peer_that_sends_nothing_is_not_answered(bench: Bench, end: str) -> None:
    made = bench()
    client = made.connect()
    if end == "time":
        made.advance(11)
    else:
        getattr(client, end)()
    assert client.received == b""
    assert client.eof
    assert counters(made) == (1, 0, 0)


@pytest.mark.parametrize("end", ["end", "reset"])
def test_a_peer_that_is_gone_in_its_handshake_is_refused(bench: Bench, end: str) -> None:
    made = bench()
    client = made.connect(opening=b"HEL")
    getattr(client, end)()
    assert client.eof
    assert counters(made) == (1, 1, 0)


def test_a_refused_peer_may_take_its_time_with_the_answer(bench: Bench) -> None:
    made = bench()
    client = made.connect()
    client.pause()
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.received == b""
    client.resume()
    assert client.received == b"SORRY say HELLO and your name\n"
    client.send(b"more that is on its way")
    assert counters(made) == (1, 0, 1)
    client.end()
    assert counters(made) == (1, 1, 0)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ([b"GET / HTTP/1.1\n", b""], "its first line is not HELLO and a name"),
        ([b"HELLO", b""], "it closed the connection during its handshake"),
        ([b"HELLO", OSError(113, "No route to host")], "the connection failed during its handshake: No route to host"),
        ([b"HELLO"], "its handshake did not complete in time"),
    ],
    ids=["violation", "end", "failure", "time"],
)
def test_a_refusal_is_logged(
    bench: Bench, sent: list[bytes | Exception], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    made = bench()
    client = made.connect(("192.0.2.7", 5000))
    client._socket.incoming.extend(sent)
    made.advance(20)
    (line,) = [vars(record) for record in caplog.records if record.name.startswith("reactorhost")]
    assert (line["msg"], line["levelname"]) == ("handshake_failed", "INFO")
    fields = {"service": "default", "peer": "192.0.2.7:5000", "reason": reason}
    assert {key: str(value) for key, value in line["reactorhost_fields"].items()} == fields


def test_pending_handshakes_are_refused_when_the_worker_leaves(bench: Bench) -> None:
    made = bench()
    silent, begun = made.connect(), made.connect(opening=b"HELLO")
    made._parts.end_handshakes()
    assert (silent.received, begun.received) == (b"", b"SORRY shutdown\n")
    assert silent.eof
    assert begun.eof
    assert counters(made) == (2, 2, 0)


class NeedsNothing(Hello):
    """Needs nothing of the peer."""

    def __init__(self) -> None:
        super().__init__()
        self.opening = False


def test_a_session_may_begin_without_a_word_of_the_peer(plugin_bench: Bench) -> None:
    client = plugin_bench(Bringing(NeedsNothing), framing="made").connect()
    assert client.received == b"HELLO\n"
    client.send(b"one\n")
    assert client.received == b"HELLO\none\n"


class Challenging(Hello):
    """Speaks first, and needs two answers."""

    def __init__(self) -> None:
        super().__init__()
        self.replies = b"WHO\n"

    def greet(self, line: bytes) -> None:
        if line.startswith(b"I AM"):
            self.replies = b"PROVE IT\n"
        else:
            super().greet(line)


def test_a_handshake_may_take_several_steps(plugin_bench: Bench) -> None:
    client = plugin_bench(Bringing(Challenging), framing="made").connect()
    assert client.received == b"WHO\n"
    client.send(b"I AM ann\n")
    assert client.received == b"WHO\nPROVE IT\n"
    client.send(GREETING)
    assert client.received == b"WHO\nPROVE IT\nHELLO\n"


@pytest.mark.parametrize("opening", [GREETING + b"PING\none\n", b"HELLO root\nPING\none\n"])
def test_the_answer_to_the_handshake_comes_first(bench: Bench, opening: bytes) -> None:
    client = bench().connect(opening=opening)
    assert client.received == (b"SORRY local\n" if b"root" in opening else b"HELLO\nPONG\nONE\n")


class Eager(Hello):
    """Handles all that it is fed at once, as a list."""

    def feed(self, data: bytes) -> Any:
        return list(super().feed(data))


def test_a_framing_may_handle_what_it_is_fed_at_once(plugin_bench: Bench) -> None:
    bench = plugin_bench(Bringing(Eager), framing="made")
    client = bench.connect(opening=GREETING + b"one\n")
    client.send(b"two\nPING\nthree\nBYE\n")
    assert client.received == b"HELLO\none\ntwo\nthree\nPONG\nBYE\n"
    assert client.closed is CloseReason.PEER


@pytest.mark.parametrize("kind", [Hello, Eager])
def test_a_violation_behind_the_handshake_is_one_of_the_session(plugin_bench: Bench, kind: Any) -> None:
    client = plugin_bench(Bringing(kind), framing="made").connect(opening=GREETING + b"x" * 9000)
    assert client.received == b"HELLO\nBYE framing\n"
    assert client.closed is CloseReason.FRAMING


class EndsEarly(Hello):
    """Ends in its handshake."""

    def greet(self, line: bytes) -> None:
        self.ended = True
        self.replies = b"GO AWAY\n"


def test_a_session_that_ends_in_its_handshake_is_refused(plugin_bench: Bench) -> None:
    bench = plugin_bench(Bringing(EndsEarly), framing="made")
    client = bench.connect(opening=GREETING)
    client.end()
    assert client.received == b"GO AWAY\n"
    assert counters(bench) == (1, 1, 0)


# Framings that fail.


class Failing(Hello):
    """Raises in the method that `fails` names."""

    fails = ""

    def __getattribute__(self, name: str) -> Any:
        if name == type(self).fails:
            raise OSError(f"no {name}")
        return super().__getattribute__(name)


def failing(method: str) -> type:
    """Return a session that fails in a method."""
    return type("Fails", (Failing,), {"fails": method})


@pytest.mark.parametrize("method", ["feed", "greet", "lines"])
def test_a_framing_that_fails_in_the_handshake_is_reported(plugin_bench: Bench, method: str) -> None:
    bench = plugin_bench(Bringing(Hello), framing="made")
    # Not before: the first framing is checked when the plugin is loaded.
    bench._service.pending_handshakes._new_session = failing(method)
    with pytest.raises(OSError, match=f"no {method}") as raised:
        bench.connect(opening=GREETING)
    assert "raised in framing of plugin" in raised.value.__notes__[0]
    assert counters(bench) == (1, 1, 0)


class Hasty(Hello):
    """Returns a message before its handshake is complete."""

    def feed(self, data: bytes) -> Any:
        return [data]


def test_a_message_during_the_handshake_is_a_fault_of_the_framing(plugin_bench: Bench) -> None:
    bench = plugin_bench(Bringing(Hasty), framing="made")
    with pytest.raises(RuntimeError, match="a Hasty has returned a message during its handshake"):
        bench.connect(opening=GREETING)
    assert counters(bench) == (1, 1, 0)


def test_a_factory_that_fails_is_reported_and_the_client_refused(plugin_bench: Bench) -> None:
    made: list[object] = []

    def make() -> object:
        if made:
            raise OSError("no more")
        made.append(Hello())
        return made[0]

    bench = plugin_bench(Bringing(lambda: make), framing="made")
    with pytest.raises(OSError, match="no more"):
        bench.connect()
    assert counters(bench) == (1, 1, 0)


def test_a_factory_must_go_on_making_sessions(plugin_bench: Bench) -> None:
    framings = iter([Hello(), Lines()])
    bench = plugin_bench(Bringing(lambda: lambda: next(framings)), framing="made")
    with pytest.raises(TypeError, match="is not a session, and the first framing of the service was one"):
        bench.connect()


def open_and_close(bench: PluginBench) -> None:
    """Open and close a session, and raise what it raised."""
    bench.connect(opening=GREETING + b"one\n").connection.close()
    bench.settle()


@pytest.mark.parametrize(("method", "received"), [("accept", b"SORRY error\n"), ("closing", b"HELLO\none\n")])
def test_a_framing_that_fails_in_the_session_closes_it(plugin_bench: Bench, method: str, received: bytes) -> None:
    bench = plugin_bench(Bringing(Hello), framing="made")
    bench._service.pending_handshakes._new_session = failing(method)
    with pytest.raises(OSError, match=f"no {method}"):
        open_and_close(bench)
    (client,) = bench._clients.values()
    assert client.closed is CloseReason.ERROR
    assert client.received == received


def test_a_message_that_cannot_be_encoded_is_an_error_of_the_plugin(bench: Bench) -> None:
    client = bench().connect(opening=GREETING)
    with pytest.raises(ValueError, match="a line has a newline inside"):
        client.connection.send(b"a\nb")
    assert client.received == b"HELLO\n"


@pytest.mark.parametrize("missing", ["accept", "closing", "frame", "opening", "ended"])
def test_a_session_without_a_part_is_refused_at_the_start(plugin_bench: Bench, missing: str) -> None:
    parts = dict.fromkeys(("feed", "outgoing", "accept", "closing", "frame", "opening", "ended"), print)
    kind = type("Partial", (), {**parts})
    delattr(kind, missing)
    with pytest.raises(HostFailedError, match=rf"has outgoing\(\), as a session has, but no {missing}"):
        plugin_bench(Bringing(kind), framing="made")


class Ended(asyncio.Protocol):
    """Records how its connections end."""

    def __init__(self, calls: list[object]) -> None:
        self.calls = calls

    def eof_received(self) -> None:
        self.calls.append("eof_received")

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append(exc)


def test_the_end_of_a_session_is_the_end_of_the_input_for_a_protocol(bench: Bench) -> None:
    calls: list[object] = []

    class Protocols:
        @hookimpl
        def protocol(self, service: str) -> Callable[[], asyncio.Protocol]:
            return lambda: Ended(calls)

    client = bench(Protocols).connect(opening=GREETING)
    client.send(b"BYE\n")
    assert client.closed is CloseReason.PEER
    assert calls == ["eof_received", None]
