"""STARTTLS on fake sockets, with a real TLS client or server in memory on the other end."""

from __future__ import annotations

import asyncio
import gc
import ssl
import weakref
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from reactorhost import CloseReason, Connection, FileSend, Lines, TlsFacts, TlsFailedError, TlsStart, Worker, hookimpl
from reactorhost.testing import BenchClient, PluginBench
from reactorhost.testing.fake_tls import FakeTlsRole
from reactorhost.testing.fakes import FakeSocket
from reactorhost.tls.role import ClientRole, ServerRole
from reactorhost.worker.stream import deadlines
from tls_peer import AUTHORITY, CLIENT, SERVER, TlsPeer, with_real_tls

Bench = Callable[..., PluginBench]

TLS_1_2 = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TLS_1_2.maximum_version = ssl.TLSVersion.TLSv1_2
TLS_1_2.check_hostname = False
TLS_1_2.verify_mode = ssl.CERT_NONE

READY = b"220 ready\r\n"


class Mail:
    """Answers lines, and begins TLS on STARTTLS."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self.on_started: Callable[[Connection], object] = lambda connection: None

    @hookimpl
    def framing(self, service: str) -> Lines:
        return Lines()

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        self.events.append(data)
        if data == b"STARTTLS":
            connection.send(READY)
            connection.start_tls(SERVER, on_result=self.events.append)
            self.on_started(connection)
        else:
            connection.send(b"250 " + data + b"\r\n")

    @hookimpl
    def drain(self, connection: Connection) -> None:
        self.events.append("drain")

    @hookimpl
    def close(self, connection: Connection, reason: CloseReason) -> None:
        self.events.append(reason)


class AsyncMail(Mail):
    """The same, awaiting the handshake."""

    @hookimpl
    async def receive(self, connection: Connection, data: bytes) -> None:  # type: ignore[override]
        self.events.append(data)
        if data == b"STARTTLS":
            connection.send(READY)
            try:
                self.events.append(await self.begin(connection))
            except TlsFailedError as error:
                self.events.append(str(error))
                raise
        else:
            connection.send(b"250 " + data + b"\r\n")

    def begin(self, connection: Connection) -> TlsStart:
        started = connection.start_tls(SERVER)
        self.on_started(connection)
        return started


@pytest.fixture(params=[Mail, AsyncMail])
def mail(request: pytest.FixtureRequest) -> Mail:
    plugin: Mail = request.param()
    return plugin


def lines(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, object]]:
    """Return the fields of each line of an event."""
    return [vars(each)["reactorhost_fields"] for each in caplog.records if each.getMessage() == event]


def tls_of(client: BenchClient) -> TlsFacts | None:
    return client.connection.tls


def started(bench: PluginBench) -> BenchClient:
    """Return a client whose request for TLS was accepted."""
    client = with_real_tls(bench).connect()
    client.send(b"STARTTLS\r\n")
    return client


@pytest.mark.parametrize("context", [CLIENT, TLS_1_2], ids=["1.3", "1.2"])
def test_plain_text_then_tls_on_one_connection(plugin_bench: Bench, mail: Mail, context: ssl.SSLContext) -> None:
    client = with_real_tls(plugin_bench(mail)).connect()
    client.send(b"EHLO a\r\nSTARTTLS\r\n")
    assert client.received == b"250 EHLO a\r\n220 ready\r\n"
    assert tls_of(client) is None
    peer = TlsPeer(client, context)
    peer.shake_hands()
    assert peer.send(b"EHLO b\r\nNOOP") == b"250 EHLO b\r\n"
    assert peer.send(b"\r\n") == b"250 NOOP\r\n"
    facts = tls_of(client)
    assert facts is not None
    assert facts.version == peer.version
    assert mail.events == [b"EHLO a", b"STARTTLS", facts, b"EHLO b", b"NOOP"]
    client.end()
    assert (client.closed, mail.events[-1]) == (CloseReason.PEER, CloseReason.PEER)


def test_what_is_sent_before_is_plain_and_what_is_sent_after_is_encrypted(plugin_bench: Bench) -> None:
    mail = Mail()
    mail.on_started = lambda connection: mail.events.append((connection.send(b"first, "), connection.queued))
    client = with_real_tls(plugin_bench(mail)).connect()
    client.pause()
    client.send(b"STARTTLS\r\n")
    peer = TlsPeer(client, plain=len(READY))
    client.send(peer.hello())
    assert client.received == b""
    client.resume()
    assert client.received.startswith(READY + b"\x16\x03")
    client.connection.send(b"second")
    peer.shake_hands()
    assert b"first" not in client.received
    assert peer.read() == b"first, second"
    assert mail.events[1] == (True, len(b"first, "))
    assert (client.connection.queued, client.connection.bytes_out) == (0, len(READY + b"first, second"))


def test_much_that_is_sent_during_the_handshake_is_held_back_and_then_reads_on(plugin_bench: Bench) -> None:
    much = b"x" * 100_000
    mail = Mail()

    def send_much(connection: Connection) -> None:
        connection.send(much)
        connection.when_drained(mail.events.append, "drained")

    mail.on_started = send_much
    bench = plugin_bench(mail)
    client = started(bench)
    bench.advance(0.1)
    assert "drained" not in mail.events
    peer = TlsPeer(client, plain=len(READY))
    peer.shake_hands()
    assert peer.read() == much
    bench.advance(0.1)
    assert mail.events[-1] == "drained"
    assert peer.send(b"NOOP\r\n") == b"250 NOOP\r\n"


# Plain text behind the request.


@pytest.mark.parametrize("behind", [b"MAIL\r\n", b"MA"], ids=["a line", "a part of one"])
def test_plain_text_behind_the_request_is_not_interpreted(
    plugin_bench: Bench, mail: Mail, behind: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    client = with_real_tls(plugin_bench(mail)).connect()
    client.send(b"STARTTLS\r\n" + behind)
    assert (client.closed, client.received) == (CloseReason.TLS, READY)
    failed = [f"no TLS with {client.connection.peer}: it sent plain text behind the request for TLS"]
    assert mail.events == [b"STARTTLS", *(failed if isinstance(mail, AsyncMail) else []), CloseReason.TLS]
    assert lines(caplog, "starttls_injection") == [
        {"service": "default", "peer": client.connection.peer, "connection": 1}
    ]


def test_a_message_that_is_too_long_behind_the_request_is_plain_text_too(plugin_bench: Bench) -> None:
    class Short(Mail):
        @hookimpl
        def framing(self, service: str) -> Lines:
            return Lines(max_size=20)

    plugin = Short()
    client = with_real_tls(plugin_bench(plugin)).connect()
    client.send(b"STARTTLS\r\n" + b"x" * 50)
    assert plugin.events == [b"STARTTLS", CloseReason.TLS]


class OwnFraming:
    """One message is everything before a newline; written as a plugin would."""

    def __init__(self) -> None:
        self.pending = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        *messages, self.pending = (self.pending + data).split(b"\r\n")
        yield from messages


def test_a_framing_that_does_not_show_its_rest_cannot_begin_tls(plugin_bench: Bench) -> None:
    class Own(Mail):
        @hookimpl
        def framing(self, service: str) -> Any:
            return OwnFraming

    client = with_real_tls(plugin_bench(Own())).connect()
    with pytest.raises(TypeError, match=r"a OwnFraming has no rest\(\), so the host cannot see whether plain text"):
        client.send(b"STARTTLS\r\n")
    assert client.closed is CloseReason.ERROR


def test_a_message_that_waits_for_an_async_hook_is_not_interpreted(plugin_bench: Bench) -> None:
    class Slow:
        def __init__(self) -> None:
            self.ready = asyncio.Event()
            self.events: list[object] = []

        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            self.events.append(data)
            await self.ready.wait()
            connection.start_tls(SERVER)

        @hookimpl
        def close(self, reason: CloseReason) -> None:
            self.events.append(reason)

    plugin = Slow()
    bench = with_real_tls(plugin_bench(plugin))
    client = bench.connect()
    client.send(b"STARTTLS")
    client.send(b"MAIL")
    plugin.ready.set()
    bench.settle()
    assert client.closed is CloseReason.TLS
    assert plugin.events == [b"STARTTLS", CloseReason.TLS]


def test_input_that_was_read_in_the_same_turn_is_not_interpreted(
    plugin_bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    class Others:
        """Begins TLS on another client than the one that it receives from."""

        def __init__(self) -> None:
            self.received: list[bytes] = []

        @hookimpl
        def receive(self, data: bytes) -> None:
            self.received.append(data)
            clients[1].connection.start_tls(SERVER)

    plugin = Others()
    bench = with_real_tls(plugin_bench(plugin))
    clients = [bench.connect() for _ in range(2)]
    # Both are read before the hook of the first one begins TLS on the second.
    clients[1]._socket.incoming.append(b"MAIL")
    clients[0].send(b"STARTTLS")
    TlsPeer(clients[1]).shake_hands()
    assert clients[1].closed is CloseReason.TLS
    assert plugin.received == [b"STARTTLS"]
    assert len(lines(caplog, "starttls_injection")) == 1


# Failures.


def sends_plain_text(client: BenchClient) -> None:
    client.send(b"MAIL FROM\r\n")


def does_not_trust_us(client: BenchClient) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        TlsPeer(client, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)).shake_hands()


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
    bench = plugin_bench(mail)
    client = started(bench)
    fail(client)
    # A hook that awaits the handshake and lets its exception pass has not failed, which a bench would raise here.
    bench.settle()
    assert (client.closed, client.connection.tls) == (CloseReason.TLS, None)
    peer = client.connection.peer
    logged = {"service": "default", "peer": peer, "connection": 1, "reason": reason}
    assert lines(caplog, "handshake_failed") == [logged]
    failed = [f"no TLS with {client.connection.peer}: {reason}"]
    assert mail.events == [b"STARTTLS", *(failed if isinstance(mail, AsyncMail) else []), CloseReason.TLS]


def test_the_host_sends_its_alert_before_it_closes(plugin_bench: Bench) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.set_ciphers("ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    client = started(plugin_bench(Mail()))
    with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        TlsPeer(client, old).shake_hands()
    assert (client.closed, client.eof) == (CloseReason.TLS, True)


@pytest.mark.parametrize("reads", [True, False])
def test_a_handshake_has_a_deadline(plugin_bench: Bench, reads: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    bench = with_real_tls(plugin_bench(Mail(), close_timeout=5.0))
    client = bench.connect(ends_too=False)
    if not reads:
        client.pause()
    client.send(b"STARTTLS\r\n")
    bench.advance(9.9)
    assert not lines(caplog, "handshake_failed")
    bench.advance(0.2)
    (line,) = lines(caplog, "handshake_failed")
    slow = "it does not read what was sent before the handshake"
    assert line["reason"] == ("the handshake did not complete in time" if reads else slow)
    assert not client.connection.send(b"x")
    # A client that does not end its half is not waited for any longer than after any close.
    bench.advance(5.0)
    assert client.closed is CloseReason.TLS


# What else happens during a handshake.


def test_a_close_waits_for_the_handshake_and_what_is_queued(plugin_bench: Bench, mail: Mail) -> None:
    mail.on_started = lambda connection: [connection.send(b"bye"), connection.close()]  # type: ignore[func-returns-value]
    client = started(plugin_bench(mail))
    peer = TlsPeer(client)
    assert not client.eof
    peer.shake_hands()
    assert (peer.read(), peer.ended) == (b"bye", True)
    assert (client.eof, client.closed) == (True, CloseReason.LOCAL)
    assert b"bye" not in client.received


def test_a_close_does_not_wait_longer_than_close_timeout(plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    # The client's kernel has everything, as that of a real client that is silent.
    monkeypatch.setattr(deadlines, "unacknowledged_bytes", lambda sock: 0)
    mail = Mail()
    mail.on_started = Connection.close
    bench = plugin_bench(mail, close_timeout=2.0)
    client = started(bench)
    bench.advance(1.9)
    assert client.closed is None
    bench.advance(0.2)
    assert client.closed is CloseReason.LOCAL


def test_a_handshake_that_fails_ends_a_close(plugin_bench: Bench, mail: Mail) -> None:
    mail.on_started = Connection.close
    client = started(plugin_bench(mail))
    sends_plain_text(client)
    assert client.closed is CloseReason.LOCAL


def test_a_result_is_not_passed_to_a_plugin_that_has_closed(plugin_bench: Bench) -> None:
    mail = Mail()
    mail.on_started = Connection.close
    client = started(plugin_bench(mail))
    TlsPeer(client).shake_hands()
    assert mail.events == [b"STARTTLS", CloseReason.LOCAL]
    assert tls_of(client) is not None


def test_a_client_that_is_gone_when_tls_begins_is_closed(plugin_bench: Bench, mail: Mail) -> None:
    client = with_real_tls(plugin_bench(mail)).connect()
    client._socket.incoming.append(b"STARTTLS\r\n")
    # The answer to the request fails.
    client.reset()
    failed = ["the connection has ended before its TLS handshake"] if isinstance(mail, AsyncMail) else []
    assert mail.events == [b"STARTTLS", *failed, CloseReason.TLS]


def test_an_abort_ends_the_handshake_at_once(plugin_bench: Bench, mail: Mail) -> None:
    client = started(plugin_bench(mail))
    client.connection.abort()
    client._settle()
    assert client.closed is CloseReason.LOCAL
    failed = ["the connection has ended during its TLS handshake"]
    assert mail.events == [b"STARTTLS", *(failed if isinstance(mail, AsyncMail) else []), CloseReason.LOCAL]


def test_an_end_of_our_half_follows_the_handshake(plugin_bench: Bench) -> None:
    mail = Mail()
    mail.on_started = lambda connection: [connection.send(b"all"), connection.send_eof()]  # type: ignore[func-returns-value]
    client = started(plugin_bench(mail))
    peer = TlsPeer(client)
    assert not client.eof
    peer.shake_hands()
    assert (peer.read(), peer.ended, client.eof) == (b"all", True, True)
    # The other half is open.
    peer.send(b"NOOP\r\n")
    assert mail.events[-1] == b"NOOP"
    peer.end()
    assert client.closed is CloseReason.PEER


def test_a_client_that_sends_close_notify_gets_one(plugin_bench: Bench) -> None:
    client = started(plugin_bench(Mail()))
    peer = TlsPeer(client)
    peer.shake_hands()
    assert peer.send(b"NOOP\r\n") == b"250 NOOP\r\n"
    peer.end()
    peer.read()
    assert (client.closed, peer.ended) == (CloseReason.PEER, True)


def test_a_pause_holds_what_comes_after_the_handshake(plugin_bench: Bench) -> None:
    mail = Mail()
    mail.on_started = Connection.pause
    bench = plugin_bench(mail)
    client = started(bench)
    peer = TlsPeer(client)
    peer.shake_hands()
    assert peer.send(b"NOOP\r\n") == b""
    client.connection.resume()
    bench.settle()
    assert peer.read() == b"250 NOOP\r\n"


def test_a_handshake_is_not_idle_and_the_time_begins_behind_it(plugin_bench: Bench) -> None:
    bench = plugin_bench(Mail(), idle_timeout=1.0)
    client = started(bench)
    bench.advance(2.5)
    TlsPeer(client).shake_hands()
    bench.advance(0.9)
    assert client.closed is None
    bench.advance(0.2)
    assert client.closed is CloseReason.IDLE


def test_a_worker_that_leaves_calls_drain_and_does_not_wait_for_a_handshake(plugin_bench: Bench, mail: Mail) -> None:
    bench = plugin_bench(mail)
    client = started(bench)
    bench.drain()
    assert mail.events[-1] == "drain"
    bench.stop()
    assert client.closed is CloseReason.SHUTDOWN


def test_too_much_that_is_sent_during_a_handshake_overflows(plugin_bench: Bench) -> None:
    mail = Mail()
    mail.on_started = lambda connection: [connection.send(b"x" * 6000) for _ in range(3)]
    client = started(plugin_bench(mail, max_send_buffer=10_000))
    assert client.closed is CloseReason.OVERFLOW


def test_a_timer_that_begins_tls_runs_beside_hooks(plugin_bench: Bench) -> None:
    class Timed(Mail):
        @hookimpl
        def connect(self, connection: Connection) -> None:
            connection.call_later(1.0, lambda: connection.start_tls(SERVER, on_result=self.events.append))

    plugin = Timed()
    bench = with_real_tls(plugin_bench(plugin))
    client = bench.connect()
    bench.advance(1.0)
    peer = TlsPeer(client)
    peer.shake_hands()
    assert peer.send(b"NOOP\r\n") == b"250 NOOP\r\n"
    assert plugin.events == [tls_of(client), b"NOOP"]


def shakes_hands(client: BenchClient) -> None:
    TlsPeer(client).shake_hands()
    client.end()


ENDS: dict[str, Callable[[BenchClient], object]] = {
    "after it": shakes_hands,
    "failed": sends_plain_text,
    "aborted": lambda client: client.connection.abort(),
}


@pytest.mark.parametrize("end", ENDS)
def test_nothing_is_left_to_the_cyclic_collector(plugin_bench: Bench, mail: Mail, end: str) -> None:
    bench = plugin_bench(mail)
    client = started(bench)
    client.connection.state.kept = OwnFraming()
    kept = weakref.ref(client.connection.state.kept)
    gc.collect()
    gc.disable()
    try:
        ENDS[end](client)
        bench.settle()
        assert client.closed is not None
        bench._clients.clear()
        del client
        assert kept() is None
    finally:
        gc.enable()


# Results.


def test_an_exception_of_on_result_closes_the_connection(plugin_bench: Bench) -> None:
    class Failing(Mail):
        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            connection.start_tls(SERVER, on_result=self.fail)

        def fail(self, facts: TlsFacts) -> None:
            raise ValueError(f"not with {facts.version}")

    client = started(plugin_bench(Failing()))
    with pytest.raises(ValueError, match=r"not with TLSv1\.3"):
        TlsPeer(client).shake_hands()
    assert client.closed is CloseReason.ERROR


def test_an_async_on_result_runs(plugin_bench: Bench) -> None:
    class Async(AsyncMail):
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:  # type: ignore[override]
            connection.start_tls(SERVER, on_result=self.note)

        async def note(self, facts: TlsFacts) -> None:
            await asyncio.sleep(0)
            self.events.append(facts)

    plugin = Async()
    client = started(plugin_bench(plugin))
    TlsPeer(client).shake_hands()
    assert plugin.events == [tls_of(client)]


def test_a_cancelled_wait_leaves_the_handshake_alone(plugin_bench: Bench) -> None:
    class Impatient(AsyncMail):
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:  # type: ignore[override]
            if data == b"STARTTLS":
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await connection.start_tls(SERVER)
            else:
                connection.send(data)

    bench = plugin_bench(Impatient())
    client = started(bench)
    bench.advance(1.0)
    peer = TlsPeer(client)
    peer.shake_hands()
    assert peer.send(b"NOOP\r\n") == b"NOOP"


# Calls that are refused.


def test_a_call_that_cannot_begin_tls_is_refused(plugin_bench: Bench) -> None:
    bench = with_real_tls(plugin_bench(Mail()))
    client = bench.connect()
    begin = client.connection.start_tls
    with pytest.raises(ValueError, match="the service has no certificates: set certificate, key and starttls"):
        begin()
    with pytest.raises(ValueError, match=r"the context is for the other side: it is one of ssl\.PROTOCOL_TLS_CLIENT"):
        begin(CLIENT)
    with pytest.raises(ValueError, match="server_name is for outbound connections"):
        begin(SERVER, server_name="localhost")
    with pytest.raises(TypeError, match=r"a context is an ssl\.SSLContext, not 'server'"):
        begin("server")  # type: ignore[arg-type]
    begin(SERVER)
    with pytest.raises(RuntimeError, match="the connection has begun TLS already"):
        begin(SERVER)
    TlsPeer(client).shake_hands()
    with pytest.raises(RuntimeError, match="the connection has TLS already"):
        begin(SERVER)
    ended = bench.connect().connection
    ended.send_eof()
    with pytest.raises(RuntimeError, match=r"cannot begin TLS after send_eof\(\)"):
        ended.start_tls(SERVER)


@pytest.mark.parametrize("how", ["close", "abort", "reset"])
def test_a_connection_that_has_ended_does_not_begin_tls(plugin_bench: Bench, how: str) -> None:
    class Late(AsyncMail):
        @hookimpl
        async def close(self, connection: Connection, reason: CloseReason) -> None:  # type: ignore[override]
            try:
                await connection.start_tls(SERVER)
            except TlsFailedError as error:
                self.events.append(str(error))

    plugin = Late()
    bench = with_real_tls(plugin_bench(plugin))
    client = bench.connect()
    getattr(client if how == "reset" else client.connection, how)()
    bench.settle()
    assert plugin.events == ["the connection has ended before its TLS handshake"]
    # After the hooks of close too.
    assert client.connection.start_tls(SERVER).state.value == "failed"


@pytest.mark.parametrize("how", ["pause", "send_eof", "close", "abort"])
def test_a_plugin_can_see_whether_tls_can_begin(plugin_bench: Bench, how: str) -> None:
    client = plugin_bench(Mail()).connect()
    assert client.connection.can_start_tls
    getattr(client.connection, how)()
    assert client.connection.can_start_tls == (how == "pause")


def test_tls_can_begin_once(plugin_bench: Bench) -> None:
    client = started(plugin_bench(Mail()))
    client._transport.context.tls_role = FakeTlsRole()
    assert not client.connection.can_start_tls
    TlsPeer(client, CLIENT, plain=len(READY)).shake_hands()
    assert client.connection.tls is not None
    assert not client.connection.can_start_tls


def test_tls_can_begin_without_a_context_only_with_certificates(plugin_bench: Bench) -> None:
    client = with_real_tls(plugin_bench(Mail())).connect()
    assert not client.connection.can_start_tls
    with pytest.raises(ValueError, match="the service has no certificates"):
        client.connection.start_tls()


@pytest.mark.parametrize("host", ["localhost", ""])
def test_tls_can_begin_on_an_outbound_connection_to_a_host(plugin_bench: Bench, host: str) -> None:
    server = probed(plugin_bench(Probe("tcp://localhost:25")), host)
    assert server.connection.can_start_tls == bool(host)


def test_a_hook_that_fails_by_the_tls_of_another_connection_is_reported(plugin_bench: Bench) -> None:
    class Waits:
        @hookimpl
        async def receive(self, connection: Connection, data: bytes) -> None:
            connection.close()
            await other.connection.start_tls(SERVER)

    bench = with_real_tls(plugin_bench(Waits()))
    client, other = bench.connect(), bench.connect()
    client.send(b"x")
    with pytest.raises(TlsFailedError, match="it sent plain text, not TLS"):
        other.send(b"not TLS")


def test_a_datagram_does_not_begin_tls(plugin_bench: Bench) -> None:
    class Datagrams:
        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            assert not connection.can_start_tls
            connection.start_tls()

    with pytest.raises(RuntimeError, match="a datagram cannot begin TLS"):
        plugin_bench(Datagrams()).datagram(b"STARTTLS")


# As a client.


class Probe:
    """Connects to a server, and begins TLS at the first data."""

    def __init__(self, address: str, server_name: str | None = None) -> None:
        self.address = address
        self.server_name = server_name
        self.events: list[object] = []

    @hookimpl
    def worker_start(self, worker: Worker) -> None:
        worker.connect(self.address, self)

    @hookimpl
    def receive(self, connection: Connection, data: bytes) -> None:
        if connection.tls is None:
            connection.start_tls(server_name=self.server_name, on_result=self.events.append)
            connection.send(b"hello")
        else:
            connection.send(data)

    @hookimpl
    def close(self, reason: CloseReason) -> None:
        self.events.append(reason)


def probed(bench: PluginBench, host: str, context: ssl.SSLContext = CLIENT) -> BenchClient:
    """Return the server that a probe has connected to, and let it make real handshakes."""
    (transport,) = bench._parts.outbound.transports()
    transport.context.tls_role = ClientRole(host, lambda: context)
    return bench.outbound[0]


def test_an_outbound_connection_is_the_client(plugin_bench: Bench) -> None:
    plugin = Probe("tcp://localhost:25")
    server = probed(plugin_bench(plugin), "localhost")
    server.send(b"220 ready")
    peer = TlsPeer(server, SERVER, is_server=True, plain=0)
    peer.shake_hands()
    assert peer.read() == b"hello"
    assert peer.send(b"x") == b"x"
    (facts,) = plugin.events
    assert isinstance(facts, TlsFacts)
    assert facts.certificate is not None
    assert facts.certificate["subjectAltName"] == (("DNS", "localhost"),)


@pytest.mark.parametrize("name", [None, "example.org"])
def test_the_certificate_is_verified_for_the_host_or_the_name(
    plugin_bench: Bench, name: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    plugin = Probe("tcp://127.0.0.1:25", name)
    server = probed(plugin_bench(plugin), "127.0.0.1")
    server.send(b"220 ready")
    peer = TlsPeer(server, SERVER, is_server=True, plain=0)
    with pytest.raises(ssl.SSLError, match="ALERT_BAD_CERTIFICATE"):
        peer.shake_hands()
    (line,) = lines(caplog, "handshake_failed")
    assert line["service"] == "tcp://127.0.0.1:25"
    assert str(line["reason"]).startswith("its certificate is not accepted: ")
    assert plugin.events == [CloseReason.TLS]


def test_what_a_server_sends_behind_its_answer_is_not_interpreted(plugin_bench: Bench) -> None:
    class Session:
        def __init__(self) -> None:
            self.events: list[object] = []

        def framing(self) -> Lines:
            return Lines()

        def receive(self, connection: Connection, data: bytes) -> None:
            self.events.append(data)
            connection.start_tls()

        def close(self, reason: CloseReason) -> None:
            self.events.append(reason)

    class Connects:
        @hookimpl
        def worker_start(self, worker: Worker) -> None:
            worker.connect("tcp://localhost:25", session)

    session = Session()
    server = probed(plugin_bench(Connects()), "localhost")
    server.send(b"220 ready\r\n250 forged\r\n")
    assert session.events == [b"220 ready", CloseReason.TLS]


def test_a_unix_address_needs_a_name(plugin_bench: Bench) -> None:
    class OnUnix(Probe):
        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            with pytest.raises(ValueError, match="a unix address has no host name to verify the certificate for"):
                connection.start_tls()
            with pytest.raises(ValueError, match=r"the context is for the other side: .* ssl\.PROTOCOL_TLS_SERVER"):
                connection.start_tls(SERVER, server_name="localhost")
            connection.start_tls(server_name="localhost", on_result=self.events.append)

    plugin = OnUnix("unix:///run/mail.sock")
    server = probed(plugin_bench(plugin), "")
    server.send(b"220 ready")
    TlsPeer(server, SERVER, is_server=True, plain=0).shake_hands()
    assert isinstance(plugin.events[0], TlsFacts)


# On a bench, without encryption.


def test_a_bench_begins_tls_with_facts_of_the_test(plugin_bench: Bench, mail: Mail) -> None:
    client = plugin_bench(mail).connect()
    facts = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", alpn="smtp")
    client.set_tls(facts)
    client.send(b"STARTTLS\r\n")
    assert tls_of(client) == facts
    client.send(b"NOOP\r\n")
    assert client.received == READY + b"250 NOOP\r\n"


def test_a_bench_refuses_tls(plugin_bench: Bench, mail: Mail) -> None:
    client = plugin_bench(mail).connect()
    client.refuse_tls("it does not trust us")
    client.send(b"STARTTLS\r\n")
    assert (client.closed, tls_of(client)) == (CloseReason.TLS, None)


def test_a_far_end_of_a_bench_begins_tls_for_the_host_of_its_address(plugin_bench: Bench) -> None:
    plugin = Probe("tcp://db.example:5432")
    bench = plugin_bench(plugin)
    bench.outbound[0].send(b"220 ready")
    (facts,) = plugin.events
    assert isinstance(facts, TlsFacts)
    assert facts.server_name == "db.example"
    assert bench.outbound[0].received == b"hello"


def test_the_role_of_a_service_without_certificates_is_the_server() -> None:
    assert ServerRole().tls is None


# Files.


def test_files_are_plain_before_and_encrypted_after(plugin_bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1234567890")

    class Sends(Mail):
        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            with path.open("rb") as file:
                connection.send_file(file, 0, 5, on_result=self.events.append)
                connection.start_tls(SERVER)
                connection.send_file(file, 5, 5, on_result=self.events.append)

    plugin = Sends()
    client = with_real_tls(plugin_bench(plugin)).connect()
    client.pause()
    client.send(b"STARTTLS\r\n")
    client.resume()
    assert client.received == b"12345"
    peer = TlsPeer(client)
    peer.shake_hands()
    assert peer.read() == b"67890"
    assert plugin.events == [5, 5]


@pytest.mark.parametrize("end", [BenchClient.end, lambda client: client.connection.abort()], ids=["failed", "aborted"])
@pytest.mark.parametrize("reads", [True, False])
def test_a_file_that_is_queued_when_the_handshake_fails_is_not_sent(
    plugin_bench: Bench, tmp_path: Path, end: Callable[[BenchClient], object], reads: bool
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"1234567890")

    class Sends(Mail):
        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            with path.open("rb") as file:
                self.events.append(connection.send_file(file))
                connection.start_tls(SERVER)
                self.events.append(connection.send_file(file))

    plugin = Sends()
    bench = with_real_tls(plugin_bench(plugin))
    client = bench.connect()
    if not reads:
        client.pause()
    client.send(b"STARTTLS\r\n")
    end(client)
    # The handshake of one that does not read is never looked at.
    bench.advance(10.0)
    plain, encrypted, reason = plugin.events
    assert isinstance(plain, FileSend)
    assert isinstance(encrypted, FileSend)
    assert (plain.state.value, encrypted.state.value) == ("done" if reads else "failed", "failed")
    assert isinstance(reason, CloseReason)


def test_a_file_that_becomes_shorter_before_the_handshake_resets(plugin_bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "file"
    # More than what is read of it at a time.
    path.write_bytes(bytes(100_000))

    class Sends(Mail):
        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            with path.open("rb") as file:
                connection.send_file(file)
            connection.start_tls(SERVER)

    plugin = Sends()
    client = with_real_tls(plugin_bench(plugin)).connect()
    client.pause()
    client.send(b"STARTTLS\r\n")
    path.write_bytes(b"")
    with pytest.raises(ConnectionError, match="a file that is being sent has become shorter"):
        client.resume()
    assert (client.closed, plugin.events) == (CloseReason.ERROR, [CloseReason.ERROR])


@pytest.mark.parametrize("how", ["abort", "close"])
def test_a_callback_of_the_context_may_end_the_connection(plugin_bench: Bench, how: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("localhost").configure_cert(context)

    class Refuses(Mail):
        @hookimpl
        def receive(self, connection: Connection, data: bytes) -> None:
            context.sni_callback = lambda *_: getattr(connection, how)()
            connection.start_tls(context)

    plugin = Refuses()
    client = started(plugin_bench(plugin))
    with suppress(AssertionError, ConnectionError):
        TlsPeer(client).shake_hands()
    assert plugin.events == [CloseReason.LOCAL]


def test_a_handshake_that_ends_at_once_is_reported_after_the_hook(
    plugin_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may answer before the first read, if this process has to wait for its processor in between."""

    def at_once(self: FakeSocket, on_failed: object, *, lingers: bool = True) -> Generator[int, None, TlsFacts]:
        yield from ()
        assert self.tls_facts is not None
        return self.tls_facts

    mail = Mail()
    mail.on_started = lambda connection: mail.events.append("hook has returned")
    monkeypatch.setattr(FakeSocket, "handshake", at_once)
    client = plugin_bench(mail).connect()
    client.send(b"STARTTLS\n")
    client.send(b"NOOP\n")
    assert mail.events[:2] == [b"STARTTLS", "hook has returned"]
    assert isinstance(mail.events[2], TlsFacts)
    assert mail.events[3:] == [b"NOOP"]
