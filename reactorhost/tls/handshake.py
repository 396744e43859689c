"""The handshake of a TLS session, as steps on a non-blocking socket.

It reads exactly its own records, header first and body second, and leaves what follows in the kernel's buffer. Data
that a client sends right after its last handshake record must not end up inside OpenSSL, where epoll cannot report it.
"""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from reactorhost.reactor import READ
from reactorhost.reactor.steps import NoDataError, Step, TlsHandshakeError, finish, send_all
from reactorhost.tls import errors
from reactorhost.tls.facts import TlsFacts

# RFC 8446 5.1 and RFC 5246 6.2.3: a header of 5 bytes, then at most 16 KiB and 2 KiB of overhead.
_HEADER_BYTES = 5
_LONGEST_RECORD = 16 * 1024 + 2048
_RECORD_KINDS = range(20, 25)
_MAJOR_VERSION = b"\3"


class TlsSession(ssl.SSLObject):
    """A session with the server name that the client requested."""

    requested_name: str | None = None


@dataclass(slots=True, eq=False, repr=False)
class Handshake:
    """One handshake, between a socket and the memory buffers of an OpenSSL session.

    Attributes:
        lingers: whether to wait for the peer's end after an alert. Else the caller does, if it does not want a reset.
    """

    socket: socket.SocketType
    session: ssl.SSLObject
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    on_failed: Callable[[TlsHandshakeError], object]
    lingers: bool = True
    _received_any: bool = field(default=False, init=False)
    _name_is_ascii: bool = field(default=True, init=False)

    def run(self) -> Step[TlsFacts]:
        """Agree on a session; returns after the handshake's last byte is sent.

        Raises:
            TlsHandshakeError: it failed; the peer was sent an alert if TLS has one for the reason.
            NoDataError: a client closed the connection before its first byte.
        """
        try:
            yield from self._agree()
        except TlsHandshakeError as error:
            self.on_failed(error)
            if self.outgoing.pending:
                yield from self._send_alert()
            raise
        return self._facts()

    def _agree(self) -> Step[None]:
        try:
            while True:
                try:
                    self._do_handshake()
                except ssl.SSLWantReadError:
                    yield from self._flush()
                    self.incoming.write((yield from self._record()))
                else:
                    break
            yield from self._flush()
        except ssl.SSLError as error:
            name = "it requests a server name that is not ASCII"
            raise TlsHandshakeError(errors.reason(error) if self._name_is_ascii else name) from None
        except TimeoutError:
            raise TlsHandshakeError("the handshake did not complete in time") from None
        except OSError as error:
            raise TlsHandshakeError(f"the connection failed during its handshake: {error.strerror}") from None

    def _do_handshake(self) -> None:
        """Continue the handshake in OpenSSL.

        `ssl` decodes the server name before it calls our SNI callback, and reports a name that is not ASCII to
        `sys.unraisablehook`, which would write a traceback for each such client.
        """
        hook = sys.unraisablehook

        def note(unraisable: sys.UnraisableHookArgs) -> None:
            # Anything else is of another thread, or of a destructor.
            if isinstance(unraisable.exc_value, UnicodeDecodeError):
                self._name_is_ascii = False
            else:
                hook(unraisable)

        sys.unraisablehook = note
        try:
            self.session.do_handshake()
        finally:
            sys.unraisablehook = hook

    def _facts(self) -> TlsFacts:
        session = self.session
        cipher = session.cipher()
        return TlsFacts(
            version=session.version() or "",
            cipher=cipher[0] if cipher else "",
            alpn=session.selected_alpn_protocol(),
            server_name=session.requested_name if isinstance(session, TlsSession) else session.server_hostname,
            certificate=session.getpeercert() or None,
        )

    def _record(self) -> Step[bytes]:
        """Receive exactly one record."""
        header = yield from self._receive(_HEADER_BYTES, b"")
        length = int.from_bytes(header[3:])
        if length > _LONGEST_RECORD:
            raise TlsHandshakeError(errors.not_tls(header))
        return (yield from self._receive(_HEADER_BYTES + length, header))

    def _receive(self, size: int, data: bytes) -> Step[bytes]:
        """Receive until `data` has `size` bytes."""
        while len(data) < size:
            try:
                more = self.socket.recv(size - len(data))
            except BlockingIOError:
                yield READ
                continue
            # As an end: port scans and health checks often finish with a reset.
            except ConnectionResetError:
                more = b""
            if not more:
                if self.session.server_side and not self._received_any:
                    raise NoDataError("it closed the connection before it sent anything")
                raise TlsHandshakeError("it closed the connection during its handshake")
            self._received_any = True
            data += more
            # At the first byte: a client that speaks another protocol may send fewer than five and wait for an answer.
            if data[0] not in _RECORD_KINDS or data[1:2] not in (b"", _MAJOR_VERSION):
                raise TlsHandshakeError(errors.not_tls(data))
        return data

    def _flush(self) -> Step[None]:
        """Send everything that OpenSSL has written."""
        yield from send_all(self.socket, self.outgoing.read())

    def _send_alert(self) -> Step[None]:
        """Send OpenSSL's alert, which says why the handshake has failed."""
        try:
            yield from self._flush()
            if self.lingers:
                yield from finish(self.socket)
        except OSError:
            return
