"""STARTTLS on fake sockets, with a real TLS client or server in memory on the other end."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import pytest
import trustme

from reactorhost import CloseReason, Connection, Lines, TlsFacts, TlsFailedError, hookimpl
from reactorhost.testing import BenchClient, PluginBench
from reactorhost.tls.role import ServerRole

Bench = Callable[..., PluginBench]

AUTHORITY = trustme.CA()
SERVER = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
AUTHORITY.issue_cert("localhost").configure_cert(SERVER)
CLIENT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
AUTHORITY.configure_trust(CLIENT)
TLS_1_2 = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TLS_1_2.maximum_version = ssl.TLSVersion.TLSv1_2
AUTHORITY.configure_trust(TLS_1_2)


class TlsPeer:
    """The other end of a session, in memory, behind a client of the bench or a far end."""

    def __init__(self, client: BenchClient, context: ssl.SSLContext = CLIENT, *, is_server: bool = False) -> None:
        self._client = client
        self._seen = len(client.received)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        name = None if is_server else "localhost"
        self._session = context.wrap_bio(self._incoming, self._outgoing, is_server, name)
        self.ended = False

    def hello(self) -> bytes:
        """Return the first message of a client's handshake."""
        with pytest.raises(ssl.SSLWantReadError):
            self._session.do_handshake()
        return self._outgoing.read()

    def shake_hands(self) -> None:
        while True:
            try:
                self._session.do_handshake()
            except ssl.SSLWantReadError:
                assert self._exchange(), "the host has not answered"
            else:
                self._exchange()
                return

    def send(self, data: bytes) -> bytes:
        """Send data and return the answer."""
        self._session.write(data)
        self._exchange()
        return self.read()

    def read(self) -> bytes:
        """Return all that the host has sent, decrypted."""
        self._exchange()
        data = b""
        try:
            while piece := self._session.read():
                data += piece
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        return data

    def _exchange(self) -> bool:
        outgoing = self._outgoing.read()
        if outgoing:
            self._client.send(outgoing)
        received = self._client.received[self._seen :]
        self._seen += len(received)
        self._incoming.write(received)
        return bool(received or outgoing)


class Mail:
    """Answers lines, and begins TLS on STARTTLS."""

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments
        self.events: list[object] = []

    @hookimpl
    def framing(self, service: str) -> Lines:
        return Lines()

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        self.events.append(data)
        if data == b"STARTTLS":
            connection.send(b"220 ready\r\n")
            self.start(connection)
        else:
            connection.send(b"250 " + data + b"\r\n")

    def start(self, connection: Connection) -> None:
        connection.start_tls(**self.arguments, on_result=self.events.append)

    @hookimpl
    def close(self, connection: Connection, reason: CloseReason) -> None:
        self.events.append(reason)


class AsyncMail(Mail):
    """The same, awaiting the handshake."""

    @hookimpl
    async def receive(self, connection: Connection, data: bytes) -> None:  # type: ignore[override]
        self.events.append(data)
        if data == b"STARTTLS":
            connection.send(b"220 ready\r\n")
            try:
                self.events.append(await connection.start_tls(**self.arguments))
            except TlsFailedError as error:
                self.events.append(str(error))
                raise
        else:
            connection.send(b"250 " + data + b"\r\n")


@pytest.fixture(params=[Mail, AsyncMail])
def mail(request: pytest.FixtureRequest) -> Mail:
    plugin: Mail = request.param(context=SERVER)
    return plugin


def use_real_tls(bench: PluginBench) -> PluginBench:
    bench._service.context.tls_role = ServerRole()
    return bench


def lines(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, object]]:
    """Return the fields of each line of an event."""
    return [vars(each)["reactorhost_fields"] for each in caplog.records if each.getMessage() == event]


def tls_of(client: BenchClient) -> TlsFacts | None:
    return client.connection.tls


@pytest.mark.parametrize("context", [CLIENT, TLS_1_2], ids=["1.3", "1.2"])
def test_plain_text_then_tls_on_one_connection(plugin_bench: Bench, mail: Mail, context: ssl.SSLContext) -> None:
    client = use_real_tls(plugin_bench(mail)).connect()
    client.send(b"EHLO a\r\nSTARTTLS\r\n")
    assert client.received == b"250 EHLO a\r\n220 ready\r\n"
    assert tls_of(client) is None
    peer = TlsPeer(client, context)
    peer.shake_hands()
    assert peer.send(b"EHLO b\r\nNOOP") == b"250 EHLO b\r\n"
    assert peer.send(b"\r\n") == b"250 NOOP\r\n"
    facts = tls_of(client)
    assert facts is not None
    assert facts.version == peer._session.version()
    assert mail.events == [b"EHLO a", b"STARTTLS", facts, b"EHLO b", b"NOOP"]
    client.end()
    assert (client.closed, mail.events[-1]) == (CloseReason.PEER, CloseReason.PEER)


def test_what_is_sent_before_is_plain_and_what_is_sent_after_is_encrypted(plugin_bench: Bench) -> None:
    class Eager(Mail):
        def start(self, connection: Connection) -> None:
            super().start(connection)
            assert connection.send(b"first, ")
            assert connection.queued == 7

    client = use_real_tls(plugin_bench(Eager(context=SERVER))).connect()
    client.pause()
    client.send(b"STARTTLS\r\n")
    peer = TlsPeer(client)
    client.send(peer.hello())
    assert client.received == b""
    client.resume()
    assert client.received.startswith(b"220 ready\r\n\x16\x03")
    peer._seen = len(b"220 ready\r\n")
    client.connection.send(b"second")
    peer.shake_hands()
    assert b"first" not in client.received
    assert peer.read() == b"first, second"
    assert client.connection.queued == 0
    assert client.connection.bytes_out == len(b"220 ready\r\nfirst, second")


@pytest.mark.parametrize("behind", [b"MAIL\r\n", b"MA"], ids=["a line", "a part of one"])
def test_plain_text_behind_the_request_is_not_interpreted(
    plugin_bench: Bench, mail: Mail, behind: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    client = use_real_tls(plugin_bench(mail)).connect()
    client.send(b"STARTTLS\r\n" + behind)
    assert client.closed is CloseReason.TLS
    assert client.received == b"220 ready\r\n"
    assert mail.events[0] == b"STARTTLS"
    assert b"MAIL" not in mail.events
    assert not any(isinstance(each, TlsFacts) for each in mail.events)
    assert "starttls_injection" in caplog.text


def test_a_message_that_waits_for_an_async_hook_is_not_interpreted(plugin_bench: Bench) -> None:
    class Unframed(AsyncMail):
        framing = None  # type: ignore[assignment]

        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:  # type: ignore[override]
            self.events.append(data)
            await connection.state.ready.wait()
            connection.start_tls(context=SERVER)

        @hookimpl
        def connect(self, connection: Connection) -> None:
            import asyncio

            connection.state.ready = asyncio.Event()

    plugin = Unframed()
    bench = use_real_tls(plugin_bench(plugin))
    client = bench.connect()
    client.send(b"STARTTLS")
    client.send(b"MAIL")
    client.connection.state.ready.set()
    bench.settle()
    assert client.closed is CloseReason.TLS
    assert plugin.events == [b"STARTTLS", CloseReason.TLS]


def test_input_that_was_read_in_the_same_turn_is_not_interpreted(
    plugin_bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    class Others(Mail):
        framing = None  # type: ignore[assignment]

        def start(self, connection: Connection) -> None:
            clients[1].connection.start_tls(context=SERVER)

    plugin = Others()
    bench = use_real_tls(plugin_bench(plugin))
    clients = [bench.connect() for _ in range(2)]
    # Both are read before the hook of the first one begins TLS on the second.
    clients[1]._socket.incoming.append(b"MAIL")
    clients[0].send(b"STARTTLS")
    TlsPeer(clients[1]).shake_hands()
    assert clients[1].closed is CloseReason.TLS
    assert plugin.events == [b"STARTTLS", CloseReason.TLS]
    assert "starttls_injection" in caplog.text


def sends_plain_text(client: BenchClient) -> None:
    client.send(b"MAIL FROM\r\n")


def does_not_trust_us(client: BenchClient) -> None:
    peer = TlsPeer(client, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    with pytest.raises(ssl.SSLCertVerificationError):
        peer.shake_hands()
    # OpenSSL's alert.
    client.send(peer._outgoing.read())


def ends_within_a_record(client: BenchClient) -> None:
    client.send(b"\x16\x03\x01\x00\x40\x01")
    client.end()


FAILURES: dict[str, tuple[Callable[[BenchClient], object], str]] = {
    "plain text": (sends_plain_text, "it sent plain text, not TLS"),
    "end": (BenchClient.end, "it closed the connection before its handshake"),
    "reset": (BenchClient.reset, "it closed the connection before its handshake"),
    "alert": (does_not_trust_us, "it does not trust the authority of our certificate"),
    "truncated": (ends_within_a_record, "it closed the connection during its handshake"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_handshake_closes_the_connection_and_is_logged(
    plugin_bench: Bench, mail: Mail, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    fail, reason = FAILURES[failure]
    bench = use_real_tls(plugin_bench(mail))
    client = bench.connect()
    client.send(b"STARTTLS\r\n")
    fail(client)
    # A hook that awaits the handshake and lets its exception pass has not failed, which a bench would raise here.
    bench.settle()
    assert (client.closed, client.connection.tls) == (CloseReason.TLS, None)
    peer = client.connection.peer
    logged = {"service": "default", "peer": peer, "connection": 1, "reason": reason}
    assert lines(caplog, "handshake_failed") == [logged]
    awaited = [f"no TLS with {client.connection.peer}: {reason}"] if isinstance(mail, AsyncMail) else []
    assert mail.events == [b"STARTTLS", *awaited, CloseReason.TLS]
