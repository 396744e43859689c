"""A client of a plugin on the bench: the other end of a fake socket."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping

from reactorhost.api.close_reason import CloseReason
from reactorhost.api.connection import Connection
from reactorhost.api.hookspecs import hookimpl
from reactorhost.testing.fakes import FakeSocket, FakeUdpSocket
from reactorhost.tls.facts import TlsFacts
from reactorhost.worker.stream.closing import CloseState
from reactorhost.worker.stream.transport import StreamTransport


class BenchClient:
    """One client of a plugin.

    It answers the plugin's `connection.close()` by closing too, as most clients do, unless `ends_too` is False.

    Attributes:
        closed: the reason that `close` was called with; None while the connection is open.
        refused: whether the hook `admit` has refused it; no other hook is called then.
    """

    def __init__(
        self, settle: Callable[[], None], sock: FakeSocket, transport: StreamTransport | None, *, ends_too: bool
    ) -> None:
        self.closed: CloseReason | None = None
        self.refused = False
        self._settle = settle
        self._socket = sock
        self._begun = transport
        self._ends_too = ends_too

    def __repr__(self) -> str:
        return f"<BenchClient {self._begun.connection.id if self._begun else 'opening'} {self.closed or 'open'}>"

    def begin(self, transport: StreamTransport) -> None:
        """Set the plugin's side."""
        self._begun = transport

    def refuse(self) -> None:
        """Let the host disconnect it before a plugin is called."""
        self.refused = True
        self._socket.ended = True
        self._socket.close()

    @property
    def connection(self) -> Connection:
        """The plugin's side.

        Raises:
            ConnectionError: the framing is a session, and its handshake is not complete or was refused.
        """
        return self._transport.connection

    @property
    def _transport(self) -> StreamTransport:
        if self._begun is None:
            raise ConnectionError("the handshake of the framing is not complete, or was refused: see `received`")
        return self._begun

    @property
    def received(self) -> bytes:
        """All bytes that the plugin sent and the client has read."""
        return bytes(self._socket.taken)

    @property
    def datagrams(self) -> list[bytes]:
        """The datagrams that the plugin sent, of an outbound connection over UDP."""
        return list(self._socket.datagrams) if isinstance(self._socket, FakeUdpSocket) else []

    @property
    def eof(self) -> bool:
        """Whether the client has read the end of the stream."""
        return self._socket.finished

    def send(self, data: bytes) -> None:
        """Send bytes, over UDP one datagram; the plugin has received them when this returns, unless it is not reading.

        Raises:
            ConnectionError: the connection is closed, or the client has sent its end.
        """
        self._send(data)

    def end(self) -> None:
        """Send the end of the stream; what the plugin sends after that is still received.

        Raises:
            ConnectionError: as `send`; and over UDP, which has no end.
        """
        if self._is_udp:
            raise ConnectionError(f"{self!r} is over UDP, which has no end of the stream")
        self._send(b"")

    def reset(self) -> None:
        """Break the connection, as a crashed client does; over UDP, answer that nothing listens on the port."""
        refused = ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        self._send(refused if self._is_udp else ConnectionResetError())

    def pause(self) -> None:
        """Stop reading, so that what the plugin sends is queued."""
        self._socket.reading = False

    def resume(self) -> None:
        """Read again, first all that is queued."""
        self._socket.reading = True
        self._settle()

    def set_tls(self, facts: TlsFacts) -> None:
        """Set what `connection.tls` is once the plugin has called `start_tls`; nothing is encrypted."""
        self._socket.tls_facts = facts

    def refuse_tls(self, reason: str) -> None:
        """Let the handshake of `start_tls` fail."""
        self._socket.tls_refusal = reason

    def answer_close(self) -> bool:
        """Close if the plugin has closed and waits for it; returns whether it did."""
        if self._begun is None or not self._ends_too or self._begun.close_state is not CloseState.LINGERING:
            return False
        self._socket.ended = True
        self._socket.incoming.append(b"")
        return True

    @property
    def _is_udp(self) -> bool:
        return isinstance(self._socket, FakeUdpSocket)

    def _send(self, item: bytes | Exception) -> None:
        if self.closed is not None or self._socket.ended:
            raise ConnectionError(f"{self!r} cannot send any more")
        # An empty datagram is a message.
        if isinstance(item, Exception) or not (item or self._is_udp):
            self._socket.ended = True
        self._socket.incoming.append(item)
        self._settle()


class CloseWatcher:
    """A plugin that notes why connections were closed."""

    def __init__(self, clients: Mapping[int, BenchClient]) -> None:
        self._clients = clients

    @hookimpl
    def close(self, connection: Connection, reason: CloseReason) -> None:
        """Pass the reason to the client."""
        self._clients[connection.id].closed = reason
