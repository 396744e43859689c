"""A socket that speaks TLS: the same to a transport as a plain one.

OpenSSL works on memory here and never sees the socket. So it cannot lose what a client sends after our own end, as
`ssl.SSLSocket.unwrap()` does, and costs the same (one `recv` a turn in place of two a record).

One rule keeps clients from hanging: nothing that was received stays inside OpenSSL, because epoll could not tell of
it. A handshake takes exactly the records that it needs, and `recv` returns everything that is complete.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any

from reactorhost.reactor import READ, WRITE, Reactor
from reactorhost.reactor.steps import ClosedBeforeDataError, Step, StepError, TlsHandshakeError
from reactorhost.tls import errors
from reactorhost.tls.facts import TlsFacts

_RECORD = 16 * 1024
_CHUNK = 64 * 1024
_HEADER = 5
_LONGEST_RECORD = _RECORD + 2048
_RECORD_KINDS = range(20, 25)
_MOST_DISCARDED = 1 << 20


class TlsSession(ssl.SSLObject):
    """One session, with the server name that the client asked for."""

    asked_for: str | None = None


class TlsSocket:
    """One end of a TLS connection over a non-blocking socket.

    `server_hostname` makes it a client's end that checks the server's certificate for this name. `broken` is told in
    plain words when TLS fails after the handshake.
    """

    __slots__ = (
        "_began",
        "_broken",
        "_ciphertext",
        "_farewell",
        "_incoming",
        "_is_server",
        "_outgoing",
        "_owed",
        "_peer_ended",
        "_reactor",
        "_read",
        "_read_size",
        "_recv",
        "_session",
        "_shut",
        "_socket",
        "_write",
    )

    def __init__(
        self,
        reactor: Reactor,
        sock: socket.SocketType,
        context: ssl.SSLContext,
        broken: Callable[[str], object],
        *,
        is_server: bool,
        server_hostname: str | None = None,
    ) -> None:
        self._reactor = reactor
        self._socket = sock
        self._broken = broken
        self._is_server = is_server
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, is_server, server_hostname)
        self._read = self._session.read
        self._write = self._session.write
        self._recv = sock.recv
        self._read_size = _RECORD
        # Encrypted, and not taken by the kernel yet.
        self._ciphertext = bytearray()
        # Bytes given to a `send` that would have blocked: they are in there, and come once more.
        self._owed = 0
        self._began = False
        self._peer_ended = False
        self._shut = False
        self._farewell: int | None = None

    # The handshake.

    def handshake(self) -> Step[TlsFacts]:
        """Agree on a session; ends before the first byte after it is received.

        Raises:
            HandshakeError: there is none; the other side was told so as far as TLS has words for it.
        """
        try:
            while True:
                try:
                    self._session.do_handshake()
                except ssl.SSLWantReadError:
                    yield from self._flush()
                    self._incoming.write((yield from self._record()))
                else:
                    break
            yield from self._flush()
        except ssl.SSLError as error:
            yield from self._tell_and_discard()
            raise TlsHandshakeError(errors.words(error)) from None
        except TimeoutError:
            raise TlsHandshakeError("its handshake did not end in time") from None
        except OSError as error:
            raise TlsHandshakeError(f"its connection broke in the handshake: {error.strerror}") from None
        return self._facts()

    def _facts(self) -> TlsFacts:
        session = self._session
        cipher = session.cipher()
        return TlsFacts(
            version=session.version() or "",
            cipher=cipher[0] if cipher else "",
            alpn=session.selected_alpn_protocol(),
            server_name=session.asked_for if isinstance(session, TlsSession) else session.server_hostname,
            certificate=session.getpeercert() or None,
        )

    def _record(self) -> Step[bytes]:
        """Receive exactly one record."""
        record = yield from self._exactly(_HEADER, b"")
        length = int.from_bytes(record[3:])
        if length > _LONGEST_RECORD:
            raise TlsHandshakeError(errors.not_tls(record))
        return (yield from self._exactly(_HEADER + length, record))

    def _exactly(self, size: int, data: bytes) -> Step[bytes]:
        while len(data) < size:
            try:
                more = self._socket.recv(size - len(data))
            except BlockingIOError:
                yield READ
                continue
            except ConnectionResetError:
                more = b""
            if not more:
                raise self._ended_early()
            self._began = True
            data += more
            if data[0] not in _RECORD_KINDS or data[1:2] not in (b"", b"\3"):
                raise TlsHandshakeError(errors.not_tls(data))
        return data

    def _ended_early(self) -> StepError:
        if self._is_server and not self._began:
            return ClosedBeforeDataError("it ended before it sent anything")
        return TlsHandshakeError("it ended the connection in its handshake")

    def _flush(self) -> Step[None]:
        """Send all that OpenSSL has to say."""
        self._ciphertext += self._outgoing.read()
        while not self._push():
            yield WRITE

    def _tell_and_discard(self) -> Step[None]:
        """Send the alert, and read past what is on its way here: a reset would overtake the alert."""
        discarded = 0
        try:
            yield from self._flush()
            self._socket.shutdown(socket.SHUT_WR)
            while discarded < _MOST_DISCARDED:
                try:
                    data = self._socket.recv(_CHUNK)
                except BlockingIOError:
                    yield READ
                    continue
                if not data:
                    return
                discarded += len(data)
        except OSError:
            return

    # What a transport needs.

    def recv(self, size: int, /) -> bytes:
        """Receive, and return everything that came whole.

        How much is asked of the kernel is decided here, not by `size`: what is left when records are opened is always
        less, so the transport could not see that there was more.

        Raises:
            BlockingIOError: no record is complete.
            OSError: the connection broke.
        """
        if self._peer_ended:
            return b""
        data = self._recv(self._read_size)
        if not data:
            # Without TLS's own word for it. Many clients end so, and whoever forges it could have cut the line as well.
            self._peer_ended = True
            return data
        if len(data) == self._read_size:
            self._read_size = _CHUNK
        elif len(data) < _RECORD:
            self._read_size = _RECORD
        self._incoming.write(data)
        plain = self._opened()
        if self._outgoing.pending:
            self._say()
        if not plain:
            self._peer_ended = True
        return plain

    def _opened(self) -> bytes:
        """Return what can be read of the records that are here."""
        try:
            plain = self._read(_RECORD)
        except ssl.SSLWantReadError:
            self._say()
            raise BlockingIOError from None
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLError as error:
            self._fail(error)
            raise
        return self._read_rest(plain) if plain and self._incoming.pending else plain

    def _read_rest(self, first: bytes) -> bytes:
        """Return what came whole in one piece; an end or a failure behind it is for the next call."""
        pieces = [first]
        while self._incoming.pending:
            try:
                piece = self._read(_RECORD)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                piece = b""
            except ssl.SSLError as error:
                self._fail(error)
                piece = b""
            if not piece:
                self._peer_ended = True
                # The kernel reports the socket as readable from now on, so that the next call comes.
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RD)
                break
            pieces.append(piece)
        return b"".join(pieces)

    def send(self, data: bytes | memoryview, /) -> int:
        """Send as a socket does. One that raised BlockingIOError is to be repeated with the same bytes, or more.

        Raises:
            BlockingIOError: the kernel takes nothing now.
            OSError: the connection broke.
        """
        if self._ciphertext and not self._push():
            raise BlockingIOError
        sent, self._owed = self._owed, 0
        size = len(data)
        while sent < size:
            written = self._write(data if sent == 0 and size <= _CHUNK else memoryview(data)[sent : sent + _CHUNK])
            ciphertext = self._outgoing.read()
            try:
                taken = self._socket.send(ciphertext)
            except BlockingIOError:
                taken = 0
            if taken < len(ciphertext):
                self._ciphertext += memoryview(ciphertext)[taken:]
                self._owed = written
                if sent:
                    return sent
                raise BlockingIOError
            sent += written
        return sent

    def shutdown(self, how: int, /) -> None:
        """End our side: TLS's own word for it, then that of TCP. Only `SHUT_WR` is known; again, it does nothing."""
        if self._farewell is not None:
            return
        self._shut = True
        # The other side's own end has not come yet, and nobody waits for it here.
        with contextlib.suppress(ssl.SSLWantReadError):
            self._session.unwrap()
        self._ciphertext += self._outgoing.read()
        if self._push():
            self._socket.shutdown(how)
        else:
            self._farewell = os.dup(self._socket.fileno())
            self._reactor.register(self._farewell, WRITE, self._say_farewell)

    def setsockopt(self, level: int, option: int, value: bytes, /) -> None:
        """Set an option of the socket. What is set is that it closes with a reset, so nothing is said any more."""
        self._shut = True
        self._socket.setsockopt(level, option, value)

    def getsockname(self) -> Any:
        """Return our address."""
        return self._socket.getsockname()

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket; a peer that has ended its side properly hears that we did."""
        if self._peer_ended and not self._shut:
            with contextlib.suppress(OSError):
                self.shutdown(socket.SHUT_WR)
        self._end_farewell()
        self._socket.close()

    # What OpenSSL says by itself.

    def _say(self) -> None:
        """Send an alert or an answer of OpenSSL after what waits already; a broken line is told by the next call."""
        if self._outgoing.pending:
            self._ciphertext += self._outgoing.read()
            with contextlib.suppress(OSError):
                self._push()

    def _push(self) -> bool:
        """Give the kernel what waits; returns whether it took everything."""
        if self._ciphertext:
            try:
                sent = self._socket.send(self._ciphertext)
            except BlockingIOError:
                return False
            del self._ciphertext[:sent]
        return not self._ciphertext

    def _fail(self, error: ssl.SSLError) -> None:
        self._shut = True
        self._say()
        self._broken(errors.words(error))

    def _say_farewell(self, events: int) -> None:
        """Go on with an end that the kernel did not take at once; the transport waits for something else meanwhile."""
        try:
            if self._push():
                self._end_farewell()
                self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._end_farewell()

    def _end_farewell(self) -> None:
        descriptor, self._farewell = self._farewell, None
        if descriptor is not None:
            self._reactor.unregister(descriptor)
            os.close(descriptor)
