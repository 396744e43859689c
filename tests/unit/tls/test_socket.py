"""TLS sockets on a fake kernel: no byte stays inside OpenSSL, and both ends close with close_notify."""

from __future__ import annotations

import gc
import itertools
import os
import socket
import ssl
import sys
import weakref
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
import trustme
from hypothesis import given, settings, strategies

from reactorhost.reactor import READ, WRITE, Reactor
from reactorhost.reactor.steps import ClosedBeforeDataError, TlsHandshakeError
from reactorhost.tls.facts import TlsFacts
from reactorhost.tls.socket import TlsSocket

AUTHORITY = trustme.CA()
SERVER = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
AUTHORITY.issue_cert("localhost").configure_cert(SERVER)
CLIENT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
AUTHORITY.configure_trust(CLIENT)
OLD_CLIENT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
AUTHORITY.configure_trust(OLD_CLIENT)
OLD_CLIENT.maximum_version = ssl.TLSVersion.TLSv1_2


class FakeKernel:
    """The kernel's side of a socket: received data, and room for a number of bytes to send."""

    def __init__(self) -> None:
        self.incoming: deque[bytes] = deque()
        self.taken = bytearray()
        self.room = 1 << 30
        self.shut: list[int] = []
        self.closed = False

    def recv(self, size: int) -> bytes:
        if not self.incoming:
            if socket.SHUT_RD in self.shut:
                return b""
            raise BlockingIOError
        item = self.incoming.popleft()
        if len(item) > size:
            self.incoming.appendleft(item[size:])
        return item[:size]

    def send(self, data: bytes) -> int:
        count = min(self.room, len(data))
        if not count:
            raise BlockingIOError
        self.room -= count
        self.taken += data[:count]
        return count

    def sendmsg(self, buffers: list[bytes]) -> int:
        return self.send(b"".join(buffers))

    def shutdown(self, how: int) -> None:
        self.shut.append(how)

    def close(self) -> None:
        self.closed = True

    @property
    def readable(self) -> bool:
        """Whether epoll would report the socket as readable."""
        return bool(self.incoming) or socket.SHUT_RD in self.shut


class FakeReactor:
    """Remembers the registered descriptors."""

    def __init__(self) -> None:
        self.watched: dict[int, Callable[[int], object]] = {}

    def register(self, descriptor: int, events: int, callback: Callable[[int], object]) -> None:
        assert events == WRITE
        self.watched[descriptor] = callback

    def unregister(self, descriptor: int) -> None:
        del self.watched[descriptor]


class Pair:
    """A `TlsSocket` and a client in memory; tests pass the client's `ciphertext()` to the kernel."""

    def __init__(self, context: ssl.SSLContext = CLIENT, server: ssl.SSLContext = SERVER) -> None:
        self.kernel = FakeKernel()
        self.broken: list[str] = []
        self.failures: list[TlsHandshakeError] = []
        self.reactor = FakeReactor()
        reactor = cast("Reactor", self.reactor)
        sock = cast("socket.socket", self.kernel)
        self.socket = TlsSocket(reactor, sock, server, self.broken.append)
        self._to_client, self._from_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = context.wrap_bio(self._to_client, self._from_client, server_hostname="localhost")

    def shake(self, *, first_data: bytes = b"") -> TlsFacts:
        """Run the handshake; the client sends `first_data` right after its last handshake record."""
        step = self.socket.handshake(self.failures.append)
        while True:
            try:
                self.client.do_handshake()
            except ssl.SSLWantReadError:
                pass
            else:
                if first_data:
                    self.client.write(first_data)
                    first_data = b""
            self.kernel.incoming.append(self.ciphertext())
            self.kernel.incoming = deque(filter(None, self.kernel.incoming))
            try:
                next(step)
            except StopIteration as finished:
                self.deliver()
                self.client.do_handshake()
                if first_data:
                    self.client.write(first_data)
                self.kernel.incoming += filter(None, [self.ciphertext()])
                facts: TlsFacts = finished.value
                return facts
            self.deliver()

    def ciphertext(self) -> bytes:
        return self._from_client.read()

    def deliver(self) -> None:
        self._to_client.write(bytes(self.kernel.taken))
        self.kernel.taken.clear()

    def heard(self) -> bytes:
        """Return everything that the client can read now."""
        self.deliver()
        found = b""
        while True:
            try:
                piece = self.client.read(1 << 20)
            except ssl.SSLWantReadError:
                return found
            if not piece:
                return found + b"<end>"
            found += piece

    def received(self, size: int = 16384) -> bytes:
        """Return everything that a transport would read when the kernel alone wakes it."""
        found = b""
        while self.kernel.readable:
            try:
                piece = self.socket.recv(size)
            except BlockingIOError:
                continue
            if not piece:
                return found + b"<end>"
            found += piece
        return found


@pytest.fixture(params=[CLIENT, OLD_CLIENT], ids=["TLSv1.3", "TLSv1.2"])
def pair(request: pytest.FixtureRequest) -> Pair:
    pair = Pair(request.param)
    pair.shake()
    return pair


@pytest.mark.parametrize("context", [CLIENT, OLD_CLIENT], ids=["TLSv1.3", "TLSv1.2"])
def test_first_data_after_the_handshake_stays_in_the_kernel(context: ssl.SSLContext) -> None:
    pair = Pair(context)
    facts = pair.shake(first_data=b"hello")
    assert pair.kernel.readable
    assert pair.received() == b"hello"
    assert facts.version == pair.client.version()
    assert facts.certificate is None


def test_many_small_records_in_one_segment_are_all_received(pair: Pair) -> None:
    for number in range(100):
        pair.client.write(b"%2d" % number)
    pair.kernel.incoming.append(pair.ciphertext())
    assert pair.received(65536) == b"".join(b"%2d" % number for number in range(100))


def test_a_record_larger_than_one_read_is_received_whole(pair: Pair) -> None:
    message = bytes(range(256)) * 64
    pair.client.write(message)
    pair.kernel.incoming.append(pair.ciphertext())
    assert pair.received(1000) == message


@settings(max_examples=40, deadline=None)
@given(
    strategies.lists(strategies.binary(min_size=1, max_size=40_000), min_size=1, max_size=5),
    strategies.lists(strategies.integers(1, 30_000), max_size=8),
    strategies.booleans(),
)
def test_every_byte_of_any_segments_is_received_without_another_wake_up(
    messages: list[bytes], cuts: list[int], ends: bool
) -> None:
    pair = Pair()
    pair.shake()
    for message in messages:
        pair.client.write(message)
    if ends:
        with pytest.raises(ssl.SSLWantReadError):
            pair.client.unwrap()
    stream = pair.ciphertext()
    found = b""
    edges = [0, *sorted({min(edge, len(stream)) for edge in itertools.accumulate(cuts)}), len(stream)]
    for start, end in itertools.pairwise(edges):
        if start < end:
            pair.kernel.incoming.append(stream[start:end])
            found += pair.received(65536)
    assert found == b"".join(messages) + (b"<end>" if ends else b"")


@settings(max_examples=40, deadline=None)
@given(strategies.integers(1, 300_000), strategies.lists(strategies.integers(1, 100_000), max_size=8))
def test_data_that_the_kernel_accepts_in_pieces_arrives_whole_and_once(size: int, rooms: list[int]) -> None:
    pair = Pair()
    pair.shake()
    waiting = bytearray(number % 251 for number in range(size))
    whole = bytes(waiting)
    for room in [*rooms, 1 << 30]:
        pair.kernel.room = room
        try:
            # As a transport does: what was taken leaves the buffer, which moves, and grows behind.
            while waiting:
                del waiting[: pair.socket.send(memoryview(bytes(waiting))[: 256 * 1024])]
        except BlockingIOError:
            waiting += b"more"
            whole += b"more"
    assert not waiting
    assert pair.heard() == whole


def test_data_after_our_close_notify_is_still_received(pair: Pair) -> None:
    pair.client.write(b"before")
    pair.kernel.incoming.append(pair.ciphertext())
    pair.socket.send(b"bye")
    pair.socket.shutdown(socket.SHUT_WR)
    assert pair.kernel.shut == [socket.SHUT_WR]
    assert pair.heard() == b"bye<end>"
    pair.client.write(b"after")
    pair.kernel.incoming.append(pair.ciphertext())
    assert pair.received() == b"beforeafter"


@pytest.mark.parametrize("gives_up", [False, True])
def test_close_notify_is_sent_when_the_kernel_has_room_again(pair: Pair, gives_up: bool) -> None:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    try:
        pair.kernel.fileno = lambda: descriptor  # type: ignore[attr-defined]
        pair.socket.send(b"bye")
        pair.kernel.room = 10
        pair.socket.shutdown(socket.SHUT_WR)
        assert (pair.heard(), pair.kernel.shut) == (b"bye", [])
        # As `send_eof` and then `close` do.
        pair.socket.shutdown(socket.SHUT_WR)
        ((copy, ready),) = pair.reactor.watched.items()
        assert copy != descriptor
        ready(WRITE)
        pair.kernel.room = 1000
        if gives_up:
            pair.socket.close()
        else:
            ready(WRITE)
            assert (pair.heard(), pair.kernel.shut) == (b"<end>", [socket.SHUT_WR])
        assert not pair.reactor.watched
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(copy)
    finally:
        os.close(descriptor)


def test_closing_answers_the_close_notify_of_a_client(pair: Pair) -> None:
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.unwrap()
    pair.kernel.incoming.append(pair.ciphertext())
    assert pair.received() == b"<end>"
    pair.socket.close()
    pair.deliver()
    pair.client.unwrap()
    assert pair.kernel.closed


def test_nothing_is_sent_before_a_reset(pair: Pair) -> None:
    pair.kernel.incoming.append(b"")
    assert pair.received() == b"<end>"
    pair.kernel.setsockopt = lambda *_: None  # type: ignore[attr-defined]
    pair.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"")
    pair.socket.close()
    assert pair.heard() == b""


def test_a_damaged_record_is_reported_once_and_the_client_gets_an_alert(pair: Pair) -> None:
    pair.client.write(b"good")
    good = pair.ciphertext()
    pair.client.write(b"damaged")
    damaged = bytearray(pair.ciphertext())
    damaged[-1] ^= 1
    pair.kernel.incoming.append(good + bytes(damaged))
    assert pair.received() == b"good<end>"
    assert pair.broken == ["a record was damaged or forged in transit"]
    with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
        pair.heard()


NOT_TLS: dict[bytes, str] = {
    b"GET / HTTP/1.1\r\n\r\n": "plain HTTP",
    b"hi\n": "plain text",
    b"h": "plain text",
    b"\x80\x2e\x01\x03": "not TLS",
    b"\x16\x03\x01\xff\xff": "not TLS",
    b"\x16\x05": "not TLS",
}


@pytest.mark.parametrize("data", NOT_TLS)
def test_other_protocols_are_detected_by_their_first_bytes(data: bytes) -> None:
    pair = Pair()
    pair.kernel.incoming.append(data)
    with pytest.raises(TlsHandshakeError, match=NOT_TLS[data]):
        next(pair.socket.handshake(pair.failures.append))


def ended(kernel: FakeKernel) -> None:
    kernel.incoming.append(b"")


def begun_and_ended(kernel: FakeKernel) -> None:
    kernel.incoming += [b"\x16\x03\x01", b""]


@pytest.mark.parametrize(("happens", "kind"), [(ended, ClosedBeforeDataError), (begun_and_ended, TlsHandshakeError)])
def test_a_port_check_is_not_a_failed_handshake(happens: Callable[[FakeKernel], None], kind: type[Exception]) -> None:
    pair = Pair()
    happens(pair.kernel)
    with pytest.raises(kind):
        next(pair.socket.handshake(pair.failures.append))


def test_a_handshake_waits_for_bytes() -> None:
    assert next(Pair().socket.handshake(print)) == READ


def test_a_closed_socket_is_not_left_to_the_cyclic_collector() -> None:
    class Broken:
        def __call__(self, reason: str) -> None:
            pytest.fail(reason)

    gc.disable()
    try:
        pair = Pair()
        broken = pair.socket.on_broken = Broken()
        seen = weakref.ref(broken)
        pair.shake(first_data=b"first")
        pair.kernel.room = 0
        with pytest.raises(BlockingIOError):
            pair.socket.send(b"x" * 1000)
        pair.socket.close()
        del broken, pair.socket
        assert seen() is None
    finally:
        gc.enable()


def test_a_failed_handshake_is_reported_before_the_client_has_read_the_alert() -> None:
    pair = Pair()
    # A handshake message of an unknown type.
    pair.kernel.incoming.append(b"\x16\x03\x01\0\4\xff\0\0\0")
    step = pair.socket.handshake(pair.failures.append)
    assert next(step) == READ
    assert [str(error) for error in pair.failures] == ["unexpected message"]
    assert pair.kernel.taken.startswith(b"\x15")
    assert pair.kernel.shut == [socket.SHUT_WR]
    pair.kernel.incoming.append(b"")
    with pytest.raises(TlsHandshakeError):
        next(step)
    assert len(pair.failures) == 1


def test_a_server_name_that_is_not_ascii_is_a_failed_handshake_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reports: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", reports.append)
    hook = sys.unraisablehook
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("localhost").configure_cert(server)
    server.sni_callback = lambda *_: None
    pair = Pair(server=server)
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.do_handshake()
    pair.kernel.incoming.append(pair.ciphertext().replace(b"localhost", b"l\xf6calhost"[:9]))
    next(pair.socket.handshake(pair.failures.append))
    assert [str(error) for error in pair.failures] == ["it requests a server name that is not ASCII"]
    assert (reports, sys.unraisablehook) == ([], hook)


def own_record(pair: Pair, size: int) -> None:
    """Let OpenSSL write by itself while the transport reads; tests cannot have a client request key updates."""
    pair.socket._outgoing.write(b"r" * size)
    pair.client.write(b"x")
    pair.kernel.incoming.append(pair.ciphertext())


def test_what_openssl_writes_by_itself_is_sent_when_the_kernel_has_room(pair: Pair) -> None:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    try:
        pair.kernel.fileno = lambda: descriptor  # type: ignore[attr-defined]
        pair.kernel.taken.clear()
        pair.kernel.room = 10
        own_record(pair, 100)
        assert pair.received() == b"x"
        own_record(pair, 100)
        assert pair.received() == b"x"
        ((copy, ready),) = pair.reactor.watched.items()
        pair.kernel.room = 1000
        ready(WRITE)
        assert pair.kernel.taken == b"r" * 200
        assert not pair.reactor.watched
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(copy)
        assert pair.kernel.shut == []
    finally:
        os.close(descriptor)


def test_what_openssl_writes_by_itself_waits_for_a_send_that_is_repeated(pair: Pair) -> None:
    pair.kernel.room = 0
    with pytest.raises(BlockingIOError):
        pair.socket.send(b"data")
    own_record(pair, 100)
    assert pair.received() == b"x"
    assert not pair.reactor.watched


def test_a_client_that_reads_no_answers_to_its_key_updates_is_disconnected(pair: Pair) -> None:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    try:
        pair.kernel.fileno = lambda: descriptor  # type: ignore[attr-defined]
        pair.kernel.room = 0
        for _ in range(13):
            own_record(pair, 10_000)
            assert pair.received() == b"x"
        own_record(pair, 10_000)
        with pytest.raises(ConnectionAbortedError):
            pair.received()
        assert pair.broken == ["it reads no answers to its key updates"]
        assert pair.socket.recv(1) == b""
        pair.socket.close()
        assert not pair.reactor.watched
    finally:
        os.close(descriptor)


def test_a_large_message_leaves_small_buffers() -> None:
    def resident_kib() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024

    pairs = [Pair() for _ in range(200)]
    for pair in pairs:
        pair.shake()
    before = resident_kib()
    for pair in pairs:
        # In pieces of one record, for the client's buffers are measured too.
        for _ in range(12):
            pair.client.write(bytes(16_384))
            pair.kernel.incoming.append(pair.ciphertext())
        pair.kernel.incoming.append(b"".join(pair.kernel.incoming))
        while len(pair.kernel.incoming) > 1:
            pair.kernel.incoming.popleft()
        assert len(pair.received()) == 12 * 16_384
        pair.socket.send(bytes(200_000))
        pair.kernel.taken.clear()
    # 200 otherwise.
    assert (resident_kib() - before) / len(pairs) < 120
