"""`loop.start_tls` and `StreamWriter.start_tls` on a bench, with a real TLS client in memory."""

from __future__ import annotations

import asyncio
import runpy
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reactorhost import CloseReason, TlsFailedError, hookimpl
from reactorhost.testing import BenchClient, PluginBench
from tls_peer import CLIENT, SERVER, TlsPeer, with_real_tls

NewBench = Callable[..., PluginBench]

READY = b"220 ready\r\n"
SESSION = Path(__file__).parents[4] / "docs" / "examples" / "framing_session.py"


class Mail(asyncio.Protocol):
    """Begins TLS on any data that is not encrypted, and answers what is."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.options: dict[str, Any] = {"server_side": True}
        self.transport: Any = None
        self.task: asyncio.Task[None] | None = None

    @hookimpl
    def protocol(self, service: str) -> Callable[[], Mail]:
        return lambda: self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.events.append(data)
        if self.transport.get_extra_info("sslcontext") is None:
            self.transport.write(READY)
            self.task = asyncio.get_running_loop().create_task(self.start_tls())
        else:
            self.transport.write(b"250 " + data)

    async def start_tls(self) -> None:
        try:
            new = await asyncio.get_running_loop().start_tls(self.transport, self, SERVER, **self.options)
        except (ConnectionError, TypeError, ValueError) as error:
            self.events.append(error)
        else:
            assert new is not None
            self.transport = new
            self.events.append(new.get_extra_info("cipher"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append(type(exc))


def requested(bench: PluginBench, request: bytes = b"STARTTLS\r\n") -> BenchClient:
    """Return a client that has requested TLS."""
    client = with_real_tls(bench).connect()
    client.send(request)
    return client


def test_a_protocol_begins_tls(plugin_bench: NewBench) -> None:
    mail = Mail()
    client = requested(plugin_bench(mail))
    assert client.received == READY
    peer = TlsPeer(client)
    peer.shake_hands()
    assert peer.send(b"NOOP") == b"250 NOOP"
    tls = client.connection.tls
    assert tls is not None
    assert mail.events[0] == b"STARTTLS\r\n"
    assert mail.events[1][0] == tls.cipher
    peer.end()
    assert (client.closed, mail.events[2:]) == (CloseReason.PEER, [b"NOOP", type(None)])


def test_input_goes_to_the_protocol_that_was_passed_and_reading_is_resumed(plugin_bench: NewBench) -> None:
    class Passes(Mail):
        async def start_tls(self) -> None:
            self.transport.pause_reading()
            secure = Mail()
            secured.append(secure)
            secure.transport = await asyncio.get_running_loop().start_tls(
                self.transport, secure, SERVER, server_side=True
            )

    mail, secured = Passes(), list[Mail]()
    client = requested(plugin_bench(mail))
    peer = TlsPeer(client)
    peer.shake_hands()
    assert peer.send(b"NOOP") == b"250 NOOP"
    assert (mail.events, secured[0].events) == ([b"STARTTLS\r\n"], [b"NOOP"])


def test_a_failed_handshake_is_raised_and_closes(plugin_bench: NewBench) -> None:
    mail = Mail()
    client = requested(plugin_bench(mail))
    client.send(b"not TLS")
    assert client.closed is CloseReason.TLS
    (error,) = (each for each in mail.events if isinstance(each, TlsFailedError))
    assert "it sent plain text, not TLS" in str(error)
    assert mail.events.count(ConnectionAbortedError) == 1
    assert client.connection.tls is None


def test_the_timeout_of_the_call_is_kept(plugin_bench: NewBench) -> None:
    mail = Mail()
    mail.options["ssl_handshake_timeout"] = 1.0
    bench = plugin_bench(mail)
    client = requested(bench)
    bench.advance(0.9)
    assert not client.eof
    bench.advance(0.2)
    error, lost = mail.events[-2:]
    assert lost is ConnectionAbortedError
    assert isinstance(error, ConnectionAbortedError)
    assert "longer than 1.0 seconds" in str(error)
    assert client.closed is CloseReason.LOCAL


def test_a_cancelled_call_closes_the_connection(plugin_bench: NewBench) -> None:
    mail = Mail()
    bench = plugin_bench(mail, close_timeout=1.0)
    client = requested(bench)
    assert mail.task is not None
    mail.task.cancel()
    bench.advance(1.0)
    assert client.closed is CloseReason.LOCAL


@pytest.mark.parametrize(
    ("context", "options", "error"),
    [
        (None, {}, TypeError("sslcontext is expected to be an instance of ssl.SSLContext, got None")),
        (CLIENT, {}, ValueError("the context is for the other side: it is one of ssl.PROTOCOL_TLS_CLIENT")),
        (SERVER, {"server_side": False, "server_hostname": "localhost"}, ValueError("the context is for the other")),
    ],
)
def test_wrong_arguments_are_refused_and_the_connection_goes_on(
    plugin_bench: NewBench, context: Any, options: dict[str, Any], error: Exception
) -> None:
    class Wrong(Mail):
        async def start_tls(self) -> None:
            with pytest.raises(type(error), match=str(error)):
                await asyncio.get_running_loop().start_tls(
                    self.transport,
                    self,
                    context,
                    **{"server_side": True, **options},
                )
            self.transport.write(b"454 not available")

    client = requested(plugin_bench(Wrong()))
    assert client.received == READY + b"454 not available"
    assert client.closed is None


def test_an_accepted_connection_can_be_the_client(plugin_bench: NewBench) -> None:
    class Reversed(Mail):
        async def start_tls(self) -> None:
            loop = asyncio.get_running_loop()
            self.transport = await loop.start_tls(self.transport, self, CLIENT, server_hostname="localhost")

    client = requested(plugin_bench(Reversed()))
    peer = TlsPeer(client, SERVER, is_server=True, plain=len(READY))
    peer.shake_hands()
    assert peer.send(b"NOOP") == b"250 NOOP"


def test_tls_within_tls(plugin_bench: NewBench) -> None:
    class Twice(Mail):
        async def start_tls(self) -> None:
            await super().start_tls()
            await super().start_tls()

    mail = Twice()
    client = requested(plugin_bench(mail))
    outer = TlsPeer(client)
    outer.shake_hands()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    inner = CLIENT.wrap_bio(incoming, outgoing, server_hostname="localhost")
    while True:
        try:
            inner.do_handshake()
        except ssl.SSLWantReadError:
            incoming.write(outer.send(outgoing.read()))
        else:
            break
    incoming.write(outer.send(outgoing.read()))
    inner.write(b"NOOP")
    incoming.write(outer.send(outgoing.read()))
    assert inner.read() == b"250 NOOP"


def test_transports_of_the_loop_itself_begin_tls_as_ever(plugin_bench: NewBench) -> None:
    class Others:
        @hookimpl
        async def worker_start(self) -> None:
            transport = asyncio.Transport()
            with pytest.raises(TypeError, match="is not supported by start_tls"):
                await asyncio.get_running_loop().start_tls(transport, asyncio.Protocol(), SERVER)

    plugin_bench(Others())


# Streams.


class Streams:
    """Answers lines, and begins TLS on STARTTLS."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []

    @hookimpl
    async def stream_handler(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if line == b"STARTTLS\r\n":
                writer.write(READY)
                try:
                    await writer.start_tls(SERVER)
                except ConnectionError as error:
                    self.errors.append(error)
                    raise
            else:
                writer.write(b"250 " + line)


def test_a_stream_handler_begins_tls(plugin_bench: NewBench) -> None:
    client = requested(plugin_bench(Streams()))
    peer = TlsPeer(client)
    peer.shake_hands()
    assert peer.send(b"NOOP\r\n") == b"250 NOOP\r\n"
    # The handler still answers what was sent before the end.
    peer.send(b"QUIT")
    peer.end()
    assert peer.read() == b"250 QUIT"
    assert (client.closed, peer.ended) == (CloseReason.LOCAL, True)


@pytest.mark.parametrize("behind", [b"MAIL\r\n", b"MA"])
def test_what_a_stream_handler_has_not_read_is_plain_text_behind_the_request(
    plugin_bench: NewBench, behind: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = Streams()
    client = requested(plugin_bench(plugin), b"STARTTLS\r\n" + behind)
    assert (client.closed, client.received) == (CloseReason.TLS, READY)
    assert [type(error) for error in plugin.errors] == [TlsFailedError]
    assert "starttls_injection" in caplog.text


@pytest.mark.parametrize("method", ["start_tls", "sendfile"])
def test_what_works_below_the_framing_is_refused_on_a_session(plugin_bench: NewBench, method: str) -> None:
    class InSession(Mail):
        @hookimpl
        def framings(self) -> dict[str, Any]:
            kinds: dict[str, Any] = runpy.run_path(str(SESSION))["framings"]()
            return kinds

        def data_received(self, data: bytes) -> None:
            self.task = asyncio.get_running_loop().create_task(self.start_tls())

        async def start_tls(self) -> None:
            loop = asyncio.get_running_loop()
            try:
                if method == "start_tls":
                    await loop.start_tls(self.transport, self, SERVER, server_side=True)
                else:
                    with SESSION.open("rb") as file:
                        await loop.sendfile(self.transport, file)
            except TypeError as error:
                self.events.append(str(error))

    mail = InSession()
    client = plugin_bench(mail, framing="hello").connect(opening=b"HELLO bob\n")
    client.send(b"message\n")
    (error,) = [event for event in mail.events if isinstance(event, str)]
    assert "works below the framing, and that of this connection is a session, Hello" in error
    assert client.closed is None
