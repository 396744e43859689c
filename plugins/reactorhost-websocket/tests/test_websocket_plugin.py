"""The plugin in a worker, beside plugins that know nothing of it; on the bench, without sockets."""

from __future__ import annotations

import asyncio
import importlib.metadata
from collections.abc import Callable
from typing import Any

import pytest
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame

import reactorhost_echo
from reactorhost import CloseReason, Connection, Lines, hookimpl
from reactorhost_chat import Chat
from reactorhost_websocket import Parameters, WebSocket, close, hooks, refuse
from websocket_bench import Bench, Browser, Speaker, closed
from websocket_frames import (
    BINARY,
    CLOSE,
    DEFLATE,
    PING,
    PONG,
    RSV1,
    TEXT,
    Sent,
    deflated,
    frame,
    inflated,
)
from websocket_frames import close as client_close

# For a run of these tests alone.
pytest_plugins = ["reactorhost.testing"]


def test_the_entry_point_names_the_hooks() -> None:
    (entry_point,) = importlib.metadata.entry_points(group="reactorhost", name="websocket")
    assert entry_point.load() is hooks


@pytest.mark.parametrize(
    "message", [frame(TEXT, "grüße".encode()), frame(BINARY, b"\xff\x00"), frame(TEXT, b"x" * 70_000)]
)
def test_an_echo_answers_with_what_it_gets(plugin_bench: Bench, message: bytes) -> None:
    browser = Browser(plugin_bench(hooks, reactorhost_echo))
    (sent,) = browser.sends(message)
    assert frame(sent.opcode, sent.data) == message


def test_a_message_behind_the_request_is_answered(plugin_bench: Bench) -> None:
    browser = Browser(plugin_bench(hooks, reactorhost_echo), behind=frame(TEXT, b"early"))
    assert browser.shown == [Sent(TEXT, b"early")]
    assert browser.sends(frame(TEXT, b"later")) == [Sent(TEXT, b"later")]


def test_people_chat_in_browsers(plugin_bench: Bench) -> None:
    bench = plugin_bench(hooks, Chat)
    ann, bob = Browser(bench), Browser(bench)
    assert ann.texts[0].startswith("* Welcome! You are guest")
    ann.sends(frame(TEXT, b"/name ann"))
    bob.sends(frame(TEXT, b"/name bob"))
    ann.sends(frame(TEXT, "schöne Grüße".encode()))
    assert bob.texts == ["ann: schöne Grüße"]
    assert bob.sends(frame(TEXT, b"/quit")) == [Sent(TEXT, b"* Goodbye."), closed(1000)]
    assert "* bob has left." in ann.texts


def test_another_framing_of_a_plugin_is_replaced_and_the_operators_parameters_hold(plugin_bench: Bench) -> None:
    class Typed:
        @hookimpl
        def framing(self) -> Lines:
            return Lines()

        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            connection.send(data)

    table = {"kind": "websocket", "send_as": "binary", "max_size": 10}
    browser = Browser(plugin_bench(Typed, hooks, framing=table))
    assert browser.sends(frame(TEXT, b"0123456789")) == [Sent(BINARY, b"0123456789")]
    (end,) = browser.sends(frame(TEXT, b"0123456789a"))
    assert (end.opcode, end.data[:2]) == (CLOSE, b"\x03\xf1")
    assert browser.client.closed is CloseReason.FRAMING


def test_a_plugin_that_is_named_first_sets_parameters(plugin_bench: Bench) -> None:
    class Own:
        @hookimpl(tryfirst=True)
        def framing(self) -> WebSocket:
            return WebSocket(Parameters(send_as="binary"))

    browser = Browser(plugin_bench(Own, hooks, reactorhost_echo))
    assert browser.sends(frame(TEXT, b"x")) == [Sent(BINARY, b"x")]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"kind": "websocket", "max_sice": 1}, "has no parameter 'max_sice'; did you mean 'max_size'"),
        ({"kind": "websocket", "send_as": "json"}, "send_as is 'json' and must be one of same, text, binary"),
    ],
)
def test_a_wrong_table_is_refused(plugin_bench: Bench, table: dict[str, object], words: str) -> None:
    from reactorhost.testing import HostFailedError

    with pytest.raises(HostFailedError, match=words):
        plugin_bench(hooks, reactorhost_echo, framing=table)


def test_the_request_is_seen_and_refused(plugin_bench: Bench) -> None:
    def connect(connection: Connection) -> None:
        framing: Any = connection.framing
        if framing.path != "/chat?as=ann" or framing.headers.get("Cookie") != "key=secret":
            refuse(connection, 404, "There is no such room.")

    bench = plugin_bench(hooks, Speaker(connect=connect))
    assert Browser(bench, "/chat?as=ann", cookie="key=secret").answer.startswith(b"HTTP/1.1 101 ")
    refused = Browser(bench, "/chat")
    assert refused.answer.startswith(b"HTTP/1.1 404 ")
    assert refused.client.received.endswith(b"\r\n\r\nThere is no such room.\n")
    assert refused.client.closed is CloseReason.LOCAL


def test_a_plain_close_in_connect_refuses(plugin_bench: Bench) -> None:
    browser = Browser(plugin_bench(hooks, Speaker(connect=Connection.close)))
    assert browser.answer.startswith(b"HTTP/1.1 403 ")


def test_a_browser_that_asks_for_a_page_gets_an_answer(plugin_bench: Bench) -> None:
    speaker = Speaker()
    client = plugin_bench(hooks, speaker).connect(opening=b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
    assert client.received.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
    assert b"You need a WebSocket client" in client.received
    assert client.eof
    assert speaker.closes == []


def test_a_plugin_closes_with_a_code_after_what_it_has_sent(plugin_bench: Bench) -> None:
    def receive(connection: Connection, _data: bytes) -> None:
        connection.send(b"last")
        close(connection, 4001, "game over")
        assert not connection.send(b"late")

    speaker = Speaker(receive=receive)
    browser = Browser(plugin_bench(hooks, speaker))
    assert browser.sends(frame(TEXT, b"x")) == [Sent(TEXT, b"last"), closed(4001, "game over")]
    assert browser.client.eof
    assert speaker.closes == [(CloseReason.LOCAL, None, "")]


def test_the_close_hook_knows_the_code_of_the_client(plugin_bench: Bench) -> None:
    speaker = Speaker(receive=Connection.send_message)
    browser = Browser(plugin_bench(hooks, speaker))
    sent = browser.sends(frame(TEXT, b"x") + client_close(3333, b"bye"))
    assert sent == [Sent(TEXT, b"x"), closed(3333, "bye")]
    assert browser.client.closed is CloseReason.PEER
    assert speaker.closes == [(CloseReason.PEER, 3333, "bye")]


def test_a_hook_that_fails_closes_with_1011(plugin_bench: Bench) -> None:
    def receive(_connection: Connection, _data: bytes) -> None:
        raise LookupError("on purpose")

    browser = Browser(plugin_bench(hooks, Speaker(receive=receive)))
    with pytest.raises(LookupError, match="on purpose"):
        browser.client.send(frame(TEXT, b"x"))
    assert browser.shown == [closed(1011)]


@pytest.mark.parametrize("function", [close, refuse])
def test_other_connections_have_no_close_with_a_code(plugin_bench: Bench, function: Callable[..., None]) -> None:
    client = plugin_bench(reactorhost_echo).connect()
    client.connection.framing = Lines()
    with pytest.raises(TypeError, match="needs a WebSocket connection, and this one has a Lines"):
        function(client.connection)


def test_the_end_of_a_connection_that_has_ended_changes_nothing(plugin_bench: Bench) -> None:
    speaker = Speaker()
    browser = Browser(plugin_bench(hooks, speaker))
    connection = browser.client.connection
    # Without a close, as when a browser crashes.
    browser.client.end()
    assert (browser.shown, speaker.closes) == ([], [(CloseReason.PEER, None, "")])
    close(connection, 4000)
    refuse(connection)


def test_a_worker_that_leaves_refuses_a_request_that_waits(plugin_bench: Bench) -> None:
    class Slow:
        @hookimpl
        async def connect(self) -> None:
            await asyncio.sleep(10)

    bench = plugin_bench(hooks, Slow)
    browser = Browser(bench)
    assert browser.client.received == b""
    bench.drain()
    assert browser.client.received.startswith(b"HTTP/1.1 503 ")


def test_a_message_to_a_group_is_compressed_once_for_members_of_one_kind(
    plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    speaker = Speaker(connect=lambda connection: connection.join("room"))
    bench = plugin_bench(hooks, speaker)
    compressing = [Browser(bench, sec_websocket_extensions=DEFLATE) for _ in range(3)]
    plain, binary = Browser(bench), Browser(bench)
    binary.sends(frame(BINARY, b"x"))

    encode = PerMessageDeflate.encode
    encoded: list[Frame] = []

    def counting(deflate: PerMessageDeflate, sent: Frame) -> Frame:
        encoded.append(sent)
        return encode(deflate, sent)

    monkeypatch.setattr(PerMessageDeflate, "encode", counting)
    message = b"message " * 1000
    speaker.worker.send_to("room", message)
    bench.settle()
    assert len(encoded) == 1
    for browser in compressing:
        (sent,) = browser.shown
        assert (sent.opcode, sent.rsv, inflated(sent.data)) == (TEXT, RSV1, message)
    assert (plain.shown, binary.shown) == ([Sent(TEXT, message)], [Sent(BINARY, message)])


def test_a_group_message_before_the_answer_follows_it(plugin_bench: Bench) -> None:
    def connect(connection: Connection) -> None:
        connection.join("room")
        speaker.worker.send_to("room", b"one more")

    speaker = Speaker(connect=connect)
    bench = plugin_bench(hooks, speaker)
    first, second = Browser(bench), Browser(bench)
    assert second.answer.startswith(b"HTTP/1.1 101 ")
    assert second.shown == [Sent(TEXT, b"one more")]
    assert first.shown == [Sent(TEXT, b"one more")] * 2


def test_async_hooks_keep_messages_in_order_and_know_their_types(plugin_bench: Bench) -> None:
    class Slow:
        @hookimpl
        async def connect(self, connection: Connection) -> None:
            await asyncio.sleep(0)
            connection.send(b"welcome")

        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            before = connection.framing.is_text  # type: ignore[union-attr]
            await asyncio.sleep(0)
            assert before == connection.framing.is_text  # type: ignore[union-attr]
            connection.send(data)

    browser = Browser(plugin_bench(hooks, Slow), behind=frame(TEXT, b"early"))
    assert browser.shown == [Sent(TEXT, b"welcome"), Sent(TEXT, b"early")]
    sends = frame(TEXT, b"1") + frame(BINARY, b"2") + frame(PING, b"p") + frame(TEXT, b"3") + client_close(1000)
    sent = browser.sends(sends)
    assert [each for each in sent if each.opcode != PONG] == [
        Sent(TEXT, b"1"),
        Sent(BINARY, b"2"),
        Sent(TEXT, b"3"),
        closed(1000),
    ]
    assert Sent(PONG, b"p") in sent


def test_a_compressed_message_is_received(plugin_bench: Bench) -> None:
    browser = Browser(plugin_bench(hooks, reactorhost_echo), sec_websocket_extensions=DEFLATE)
    (sent,) = browser.sends(frame(TEXT, deflated(b"a" * 100_000), rsv=RSV1))
    assert (sent.rsv, inflated(sent.data)) == (RSV1, b"a" * 100_000)
