"""A socket that speaks TLS, with the interface of a plain one (`worker.stream.socket.StreamSocket`).

OpenSSL works on two memory buffers and never sees the socket:

    kernel --recv--> _incoming --session.read--> plaintext for the transport
    kernel <--send---- _unsent <---- _outgoing <--session.write-- plaintext of the transport

Why not `ssl.SSLSocket`: its `unwrap()` sends our end of the session and then reads until the peer's, so it loses what
the peer sends in between, and afterwards the session reads nothing any more. With a memory buffer `unwrap()` finds
nothing to read and returns, so a half-close works as on a plain socket. The cost is the same: one `recv` for a turn in
place of two for a record, 14.5 µs for a small echo either way.

Reading. Nothing that was received may stay inside OpenSSL, because epoll reports the kernel's buffer only: the client
would wait for an answer to bytes that no event announces. So the handshake reads exactly its own records
(`tls.handshake`), and `recv` returns everything that is complete, whatever size was requested. An end or an error
behind complete records is kept for the next call; `shutdown(SHUT_RD)` makes the kernel report the socket as readable
again.

Writing. Ciphertext that the kernel does not accept stays in `_unsent`. `send` raises BlockingIOError then although the
bytes are encrypted, remembers their number in `_encrypted`, and skips them when the transport repeats the call with the
same bytes. So the transport's accounting stays that of a plain socket: what is not sent is not counted.

OpenSSL also writes records by itself: alerts, and an answer to each key update of the peer. What the kernel does not
accept of them goes with the call that the transport repeats, or else by a reactor callback (`tls.unsent`). A peer
causes them at any rate, so a peer that reads none of them is disconnected at `_MOST_CIPHERTEXT`.

Memory. The buffer of a `MemoryBIO` never shrinks. So one is passed little more than one record at a time, and the other
two: a connection that has received and sent 200 KB holds 86 KiB, and at least 154 KiB otherwise. One record each would
save 6 KiB, and a large `send` would cost 5 % more.

Ending. `_peer_ended` and `_ended` are the two directions; both only become true. Our end is close_notify, then FIN:

- `shutdown` sends both, at once or by the same callback.
- `close` does the same if the peer has ended properly, because a peer that waits for our close_notify would report a
  truncated session.
- After an error, or before a reset (`setsockopt` with SO_LINGER), nothing more is sent but OpenSSL's own alert.

A FIN without close_notify counts as a proper end. Many clients end like that, and an attacker that can forge it could
also interrupt the connection.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from typing import Any

from reactorhost.reactor import Reactor
from reactorhost.reactor.steps import Step, TlsHandshakeError
from reactorhost.tls import errors
from reactorhost.tls.facts import TlsFacts
from reactorhost.tls.handshake import Handshake
from reactorhost.tls.unsent import UnsentCiphertext

_RECORD_BYTES = 16 * 1024
_CHUNK_BYTES = 64 * 1024
# With its header and RFC 8446's overhead; see `_decrypt_many`.
_LONGEST_RECORD = _RECORD_BYTES + 256 + 5
_FED_BYTES = _LONGEST_RECORD + 4 * 1024
_WRITE_BYTES = 2 * _RECORD_BYTES
# A chunk that the kernel has not accepted, and as much of what OpenSSL writes by itself.
_MOST_CIPHERTEXT = 2 * _CHUNK_BYTES


@dataclass(slots=True, eq=False, repr=False)
class TlsSocket:
    """One end of a TLS connection over a non-blocking socket.

    With `server_hostname` it is the client's end, which verifies the server's certificate for this name, unless it is
    empty; else it is the server's. `on_broken` is called with a reason when TLS fails after the handshake.
    """

    reactor: Reactor
    socket: socket.SocketType
    context: InitVar[ssl.SSLContext]
    on_broken: Callable[[str], object]
    server_hostname: InitVar[str | None] = None
    _incoming: ssl.MemoryBIO = field(default_factory=ssl.MemoryBIO, init=False)
    _outgoing: ssl.MemoryBIO = field(default_factory=ssl.MemoryBIO, init=False)
    _session: ssl.SSLObject = field(init=False)
    _read: Callable[[int], bytes] = field(init=False)
    _write: Callable[[bytes | memoryview], int] = field(init=False)
    _recv: Callable[[int], bytes] = field(init=False)
    _read_size: int = field(default=_RECORD_BYTES, init=False)
    _unsent: UnsentCiphertext = field(init=False)
    # Plaintext bytes of the last `send` that are encrypted, but were reported as not sent.
    _encrypted: int = field(default=0, init=False)
    _peer_ended: bool = field(default=False, init=False)
    _ended: bool = field(default=False, init=False)

    def __post_init__(self, context: ssl.SSLContext, server_hostname: str | None) -> None:
        is_server = server_hostname is None
        self._session = context.wrap_bio(self._incoming, self._outgoing, is_server, server_hostname or None)
        self._unsent = UnsentCiphertext(self.reactor, self.socket)
        # Bound once: each costs a lookup in every message otherwise.
        self._read = self._session.read
        self._write = self._session.write
        self._recv = self.socket.recv

    @property
    def ssl_object(self) -> ssl.SSLObject:
        """The session."""
        return self._session

    def handshake(self, on_failed: Callable[[TlsHandshakeError], object], *, lingers: bool = True) -> Step[TlsFacts]:
        """Return the steps of the handshake; what the peer sends after it is left in the kernel.

        `on_failed` is called when the handshake has failed: after that, the peer may take its time with the alert.
        Without `lingers` the caller has to wait for the peer's end.

        Raises:
            TlsHandshakeError: it failed.
            NoDataError: a client closed the connection before its first byte.
        """
        return Handshake(self.socket, self._session, self._incoming, self._outgoing, on_failed, lingers).run()

    # Receiving.

    def recv(self, size: int, /) -> bytes:
        """Receive, and return the plaintext of all complete records.

        `size` is ignored: decrypted records are smaller than what was received, so the transport could not conclude
        from a short read that the kernel has no more.

        Raises:
            BlockingIOError: no record is complete.
            OSError: the connection failed.
        """
        if self._peer_ended:
            return b""
        data = self._recv(self._read_size)
        if not data:
            self._peer_ended = True
            return data
        size = len(data)
        # `recv` makes an object of the full size and shrinks it, so only connections that fill it read large pieces.
        if size == self._read_size:
            self._read_size = _CHUNK_BYTES
        elif size < _RECORD_BYTES:
            self._read_size = _RECORD_BYTES
        if size <= _RECORD_BYTES:
            self._incoming.write(data)
            plaintext = self._decrypt()
        else:
            plaintext = self._decrypt_many([], memoryview(data))
        if self._outgoing.pending:
            self._send_own_records()
        if not plaintext:
            self._peer_ended = True
        return plaintext

    def _decrypt(self) -> bytes:
        """Return the plaintext of the complete records; empty at close_notify.

        Raises:
            BlockingIOError: no record is complete.
            ssl.SSLError: the first record is not valid.
        """
        try:
            plaintext = self._read(_RECORD_BYTES)
        except ssl.SSLWantReadError:
            self._send_own_records()
            raise BlockingIOError from None
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLError as error:
            self._fail(error)
            raise
        if plaintext and self._incoming.pending:
            return self._decrypt_many([plaintext], memoryview(b""))
        return plaintext

    def _decrypt_many(self, pieces: list[bytes], data: memoryview) -> bytes:
        """Decrypt `data` too, and return `pieces` and the plaintext of all records; an end behind them is for later."""
        incoming = self._incoming
        while data or incoming.pending:
            # A read of a record that is not complete raises, which costs a quarter of its decryption.
            if data and (pending := incoming.pending) < _LONGEST_RECORD:
                room = _FED_BYTES - pending
                incoming.write(data[:room])
                data = data[room:]
            try:
                piece = self._read(_RECORD_BYTES)
            except ssl.SSLWantReadError:
                # OpenSSL has taken in all of it.
                continue
            except ssl.SSLZeroReturnError:
                piece = b""
            except ssl.SSLError as error:
                self._fail(error)
                if not pieces:
                    raise
                piece = b""
            if not piece:
                if pieces:
                    self._peer_ended = True
                    # From now on the kernel reports the socket as readable, so `recv` is called again and returns the
                    # end.
                    with contextlib.suppress(OSError):
                        self.socket.shutdown(socket.SHUT_RD)
                return b"".join(pieces)
            pieces.append(piece)
        if not pieces:
            self._send_own_records()
            raise BlockingIOError
        return b"".join(pieces)

    # Sending.

    def send(self, data: bytes | memoryview, /) -> int:
        """Send as a socket does; after BlockingIOError the next call must begin with the same bytes.

        Raises:
            BlockingIOError: the kernel accepts nothing now.
            OSError: the connection failed.
        """
        if self._unsent.data and not self._unsent.flush():
            raise BlockingIOError
        sent, self._encrypted = self._encrypted, 0
        size = len(data)
        if sent or not 0 < size <= _RECORD_BYTES:
            return self._send_records(memoryview(data), sent)
        self._write(data)
        ciphertext = self._outgoing.read()
        try:
            accepted = self.socket.send(ciphertext)
        except BlockingIOError:
            accepted = 0
        if accepted < len(ciphertext):
            self._unsent.data += memoryview(ciphertext)[accepted:]
            self._encrypted = size
            raise BlockingIOError
        return size

    def _send_records(self, data: memoryview, sent: int) -> int:
        """Send `data` after its first `sent` bytes, four records at a time."""
        write, read = self._write, self._outgoing.read
        while sent < len(data):
            end = min(sent + _CHUNK_BYTES, len(data))
            records = []
            for start in range(sent, end, _WRITE_BYTES):
                write(data[start : start + _WRITE_BYTES])
                records.append(read())
            try:
                accepted = self.socket.sendmsg(records)
            except BlockingIOError:
                accepted = 0
            if accepted < sum(map(len, records)):
                self._unsent.data += memoryview(b"".join(records))[accepted:]
                self._encrypted = end - sent
                if sent:
                    return sent
                raise BlockingIOError
            sent = end
        return sent

    def _send_own_records(self) -> None:
        """Send what OpenSSL writes by itself, such as alerts and key updates, after waiting ciphertext.

        A connection that failed is reported by the next call of the transport.

        Raises:
            ConnectionAbortedError: too much waits.
        """
        if not self._outgoing.pending:
            return
        self._unsent.data += self._outgoing.read()
        try:
            all_sent = self._unsent.flush()
        except OSError:
            return
        if len(self._unsent.data) > _MOST_CIPHERTEXT:
            self._peer_ended = self._ended = True
            self._unsent.data.clear()
            self.on_broken("it reads no answers to its key updates")
            raise ConnectionAbortedError(errno.ECONNABORTED, os.strerror(errno.ECONNABORTED))
        # Else the transport repeats its `send`.
        if not all_sent and not self._encrypted:
            self._unsent.send_later()

    def _fail(self, error: ssl.SSLError) -> None:
        self._ended = True
        self._send_own_records()
        self.on_broken(errors.reason(error))

    # Ending.

    def shutdown(self, how: int, /) -> None:
        """Send close_notify, then FIN; `how` is always SHUT_WR. A second call while it is sent does nothing."""
        if self._unsent.fin_pending:
            return
        self._ended = True
        # SSLWantReadError: the peer's close_notify has not arrived, and is not waited for.
        with contextlib.suppress(ssl.SSLWantReadError):
            self._session.unwrap()
        self._unsent.data += self._outgoing.read()
        if self._unsent.flush():
            self.socket.shutdown(how)
        else:
            self._unsent.fin_pending = True
            self._unsent.send_later()

    def close(self) -> None:
        """Close the socket, after close_notify if the peer has sent its own."""
        if self._peer_ended and not self._ended:
            with contextlib.suppress(OSError):
                self.shutdown(socket.SHUT_WR)
        self.release()
        self.socket.close()

    def release(self) -> None:
        """Make no more callbacks, when another owner closes the socket."""
        self._unsent.stop()

    # As the socket itself.

    def setsockopt(self, level: int, option: int, value: bytes, /) -> None:
        """Set an option of the socket. The only one is SO_LINGER for a reset, so close_notify is not sent any more."""
        self._ended = True
        self.socket.setsockopt(level, option, value)

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes:
        """Return an option of the socket."""
        return self.socket.getsockopt(level, option, size)

    def getsockname(self) -> Any:
        """Return the local address."""
        return self.socket.getsockname()

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self.socket.fileno()
