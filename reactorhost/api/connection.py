"""Connections, as plugins use them.

Nothing here makes a system call: every request is passed to the transport, which owns the socket.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, BinaryIO

from reactorhost.address import Endpoint
from reactorhost.api.connection_protocols import Timer, Transport
from reactorhost.api.file_send import FileSend
from reactorhost.api.peer_credentials import PeerCredentials
from reactorhost.api.proxy_facts import ProxyFacts
from reactorhost.api.tls_start import TlsStart
from reactorhost.framing import Framing
from reactorhost.framing.contract import is_session
from reactorhost.tls.facts import TlsFacts

if TYPE_CHECKING:
    from asyncio import Task
    from ssl import SSLContext


class Connection:
    """One client of a service, or one server that a plugin has connected to.

    Not thread-safe: use it in hooks, timers and callbacks only. In another thread its methods raise a RuntimeError.

    Attributes:
        id: number of the connection, from 1, unique in its worker process.
        service: name of the service; for an outbound connection, the address.
        opened_at: when the connection was accepted, Unix time in seconds.
        bytes_in: bytes received so far.
        bytes_out: bytes passed to the kernel so far.
        tls: facts of the TLS session, or None on a plain connection.
    """

    __slots__ = ("_state", "_transport", "bytes_in", "bytes_out", "id", "opened_at", "send", "service", "tls")

    send: Callable[[bytes | bytearray | memoryview], bool]
    """Send bytes without blocking; what the kernel does not accept now is queued, in order.

    With a framing that is a session, such as WebSocket, the bytes are one message.

    Above 64 KiB of queued bytes the client is not read until 16 KiB are left. Returns True, or False when the
    connection accepts no more because it is closing.

    Raises:
        TypeError: `data` is not bytes-like.
        RuntimeError: this is not the thread of the event loop.
    """

    def __init__(
        self, id: int, service: str, opened_at: float, transport: Transport, tls: TlsFacts | None = None
    ) -> None:
        self.id = id
        self.service = service
        self.opened_at = opened_at
        self.bytes_in = 0
        self.bytes_out = 0
        self.tls = tls
        self._transport = transport
        # The transport's own method in a slot: a method here would cost every message one call more.
        self.send = transport.send
        self._state: SimpleNamespace | None = None

    def __repr__(self) -> str:
        return f"<Connection {self.id} {self.service} {self.peer}>"

    def send_message(self, message: bytes | bytearray | memoryview) -> bool:
        """Send one message as the connection's framing encodes it; returns what `send` returns.

        Raises:
            TypeError: the open connection has no framing, or one without a method `frame`, or one that cannot encode a
                text.
            ValueError: the framing cannot encode the message.
        """
        framing = self._transport.framing
        frame: Callable[[Any], bytes] | None = getattr(framing, "frame", None)
        if frame is None:
            # One that has ended has no framing any more.
            if not self._transport.is_open:
                return False
            what = "no framing" if framing is None else f"a {type(framing).__name__}, which has no frame(message)"
            raise TypeError(f"send_message needs a framing that can write, and this connection has {what}")
        if is_session(framing):
            return self.send(message)
        try:
            framed = frame(message)
        except TypeError:
            # Not before: a plugin's own framing may take a text.
            error = _text_error("send_message", message)
            if error is None:
                raise
            raise error from None
        return self.send(framed)

    async def drained(self) -> bool:
        """Wait until at most 16 KiB are queued; returns False if the connection ended. For async hooks."""
        import asyncio

        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def resolve(is_open: bool) -> None:
            # Cancelled, when the hook that waits is.
            if not future.done():
                future.set_result(is_open)

        self._transport.when_drained(resolve)
        return await future

    def when_drained(self, function: Callable[..., object], *args: Any) -> None:
        """Call `function(*args)` once at most 16 KiB are queued, unless the connection ends before.

        Never called from within this call: if no more is queued now, at the end of the current turn of the event loop.
        An exception closes the connection with reason `error`.
        """
        transport = self._in_loop("connection.when_drained")
        # By a timer, so that it is not called from within this call and an exception is handled as that of a timer.
        transport.when_drained(lambda is_open: is_open and transport.call_later(0, function, *args))

    def close(self) -> None:
        """Send what is queued, then close the connection; it is reset after `close_timeout` seconds without progress.

        The `close` hook is called later, when the connection has ended.
        """
        self._in_loop("connection.close").close()

    def abort(self) -> None:
        """Reset the connection now and discard what is queued."""
        self._in_loop("connection.abort").abort()

    def send_eof(self) -> None:
        """Send what is queued, then close the sending side only; the client may go on sending."""
        self._in_loop("connection.send_eof").send_eof()

    def pause(self) -> None:
        """Stop reading from this client until `resume()`; its end of stream is not read either."""
        self._in_loop("connection.pause").pause()

    def resume(self) -> None:
        """Read from this client again after `pause()`."""
        self._in_loop("connection.resume").resume()

    def throttle(self, seconds: float) -> None:
        """Read nothing from this client for so many seconds; what was read is not delivered before either.

        Of several times the one that ends last counts. `pause` and `resume` are independent of it: the client is read
        when it is neither paused nor throttled. Without effect for a datagram.

        Raises:
            TypeError: `seconds` is not a number.
            ValueError: `seconds` is not finite.
        """
        self._in_loop("connection.throttle").throttle(seconds)

    def call_later(self, seconds: float, function: Callable[..., object], *args: Any) -> Timer:
        """Call `function(*args)` once, `seconds` from now, unless the connection ends before.

        An exception closes the connection with reason `error`.

        Raises:
            TypeError: `seconds` is not a number.
            ValueError: `seconds` is not finite.
        """
        return self._in_loop("connection.call_later").call_later(seconds, function, *args)

    def create_task(self, coroutine: Coroutine[Any, Any, Any]) -> Task[Any]:
        """Run a coroutine as a task that belongs to this connection; returns the task.

        It is cancelled when the connection ends. An exception is logged with plugin and peer, and closes the connection
        with reason `error`.

        Raises:
            TypeError: `coroutine` is not a coroutine.
            RuntimeError: the worker has no asyncio loop, because none of its plugins has an async hook or a protocol.
        """
        return self._in_loop("connection.create_task").create_task(coroutine)

    def start_tls(
        self,
        context: SSLContext | None = None,
        *,
        server_name: str | None = None,
        on_result: Callable[[TlsFacts], object] | None = None,
    ) -> TlsStart:
        """Begin TLS on a connection that is plain so far (STARTTLS); what was sent before is still sent plain.

        For a client the host is the TLS server, by default with the certificates of the service. On an outbound
        connection it is the TLS client: the certificate is verified as `worker.connect` does for `tls://`, for
        `server_name` or the host of the address. Nothing is received and nothing is sent until the handshake is done;
        then `on_result(facts)` is called, and an async hook that awaits the returned object gets the facts.

        A handshake that fails, or takes longer than `handshake_timeout`, closes the connection; it is logged, and
        raised in an `await` as `TlsFailedError`. So does input that has arrived behind the message that is being
        handled: it was sent in plain text, and is not interpreted.

        Raises:
            ValueError: the context is for the other side, or there is none and the service has no certificates.
            RuntimeError: the connection has TLS already, or is that of a datagram.
            TypeError: the framing of the connection is a session.
        """
        transport = self._in_loop("connection.start_tls")
        refuse_session("start_tls", transport)
        return transport.start_tls(context, server_name, on_result)

    def send_file(
        self,
        file: BinaryIO,
        offset: int = 0,
        count: int | None = None,
        *,
        on_result: Callable[[int], object] | None = None,
    ) -> FileSend:
        """Send a part of a regular file, behind what is queued and before what is sent later.

        The file may be closed at once; its position is not changed. The kernel copies it to a plain socket
        (sendfile(2)), and with TLS it is read in pieces. Without `count` it is sent to its end. `on_result(bytes)` is
        called when the kernel has accepted all of it, and an async hook that awaits the returned object gets the
        number of bytes. If the connection ends before, the callback is not called, and an `await` raises a
        `ConnectionError`.

        What is not sent yet counts as `queued`, but not for `max_send_buffer`. A file that becomes shorter meanwhile
        resets the connection with reason `error`.

        Raises:
            TypeError: `file` is not an open binary file, or the framing of the connection is a session.
            ValueError: it is not a regular file, or `offset` or `count` is negative or beyond its end.
            RuntimeError: the connection is that of a datagram.
        """
        transport = self._in_loop("connection.send_file")
        refuse_session("send_file", transport)
        return transport.send_file(file, offset, count, on_result)

    def join(self, group: str, info: bytes | None = None) -> None:
        """Become a member of a group, whose messages `worker.send_to` sends, until `leave()` or the end.

        With an `info` the connection is listed by `worker.presence(group)`, and the hooks `joined` and `left` are
        called for it. Joining again replaces the `info`, and calls `left` and `joined` if it differs.

        The `close` hook still sees the groups. A closing connection cannot join: this does nothing.

        Raises:
            TypeError: the group is not a text, or `info` is not bytes.
            ValueError: the group is malformed, `info` is longer than 1 KiB, or the connection is that of a datagram.
        """
        self._in_loop("connection.join").context.groups.join(self, group, info)

    def leave(self, group: str) -> None:
        """Leave a group; does nothing if the connection is not in it.

        Raises:
            TypeError: the group is not a text.
            ValueError: the group is malformed.
        """
        self._in_loop("connection.leave").context.groups.leave(self, group)

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that the connection has joined, in that order."""
        return self._transport.context.groups.of(self)

    @property
    def ref(self) -> str:
        """A text by which any worker, on any machine, can reach this connection: see `worker.send_to_ref`.

        The connection of a datagram has none: reading it raises a ValueError.
        """
        return self._in_loop("connection.ref").context.groups.ref(self)

    @property
    def framing(self) -> Framing | None:
        """What splits the received bytes into messages, or None for bytes as they come.

        When it is set, bytes that the old framing has not returned yet are passed to the new one. A framing that is a
        session, such as WebSocket, lasts as long as its connection: setting another one, or one on an open connection,
        raises a TypeError.
        """
        return self._transport.framing

    @framing.setter
    def framing(self, framing: Framing | None) -> None:
        self._in_loop("connection.framing").framing = framing

    @property
    def idle_timeout(self) -> float | None:
        """Seconds without traffic in either direction after which the connection is closed; None or 0 for never.

        Setting it raises a TypeError for what is not a number, and a ValueError for one that is negative or not finite.
        """
        return self._transport.idle_timeout

    @idle_timeout.setter
    def idle_timeout(self, seconds: float | None) -> None:
        self._in_loop("connection.idle_timeout").idle_timeout = seconds

    @property
    def peer(self) -> Endpoint:
        """The peer's address; as text `host:port`, or `unix` on a unix socket."""
        return self._transport.peer

    @property
    def local(self) -> Endpoint:
        """The host's own address; as text `host:port`, or `unix:PATH` on a unix socket."""
        return self._transport.local

    @property
    def protocol(self) -> object | None:
        """The asyncio protocol that serves the connection, or None: see the hook `protocol`."""
        return self._transport.protocol

    @property
    def peer_credentials(self) -> PeerCredentials | None:
        """Process, user and group of the peer of a unix socket, as they were when it connected; else None."""
        return self._transport.peer_credentials

    @property
    def can_start_tls(self) -> bool:
        """Whether `start_tls()` without a context works now: what a plugin looks at before it offers STARTTLS.

        True on an open plain connection of a service with certificates, and on an outbound one whose address has a host
        name. Never true with a framing that is a session, nor for a datagram.
        """
        return not is_session(self._transport.framing) and self._transport.can_start_tls

    @property
    def proxy(self) -> ProxyFacts | None:
        """What the PROXY header of version 2 says beside the addresses, or None without such a header."""
        return self._transport.proxy

    @property
    def age(self) -> float:
        """Seconds since the connection was accepted, by the monotonic clock."""
        return self._transport.age

    @property
    def queued(self) -> int:
        """Bytes that wait, of files too: sent by plugins and not passed to the kernel yet."""
        return self._transport.queued

    @property
    def full_duplex(self) -> bool:
        """Whether the peer is read although much is queued for it; False at first.

        What a server queues are answers, so it stops reading a client for which more than 64 KiB are queued. In a relay
        the queued bytes come from elsewhere, and the peer may send everything before it reads. The plugin then bounds
        the queue itself: it pauses the source until `when_drained`.
        """
        return self._transport.full_duplex

    @full_duplex.setter
    def full_duplex(self, wanted: bool) -> None:
        self._in_loop("connection.full_duplex").set_full_duplex(wanted)

    @property
    def draining(self) -> bool:
        """Whether the worker is about to leave; true from the moment that the `drain` hooks are called."""
        return self._transport.context.draining

    @property
    def state(self) -> SimpleNamespace:
        """Attributes that plugins set; one namespace for all plugins, empty at first."""
        # Most connections have none: it is made on first use.
        if self._state is None:
            self._state = SimpleNamespace()
        return self._state

    def _in_loop(self, method: str) -> Transport:
        """Return the transport; raises a RuntimeError in any thread but that of the event loop."""
        transport = self._transport
        transport.context.check_thread(method)
        return transport


def as_bytes(method: str, data: object) -> bytes:
    """Return a copy of bytes-like data that a plugin has passed to a method.

    Raises:
        TypeError: it is not bytes-like.
    """
    try:
        return memoryview(data).tobytes()  # type: ignore[arg-type]  # raises for what is not bytes-like
    except TypeError:
        what = f"{method} takes bytes-like data, not {type(data).__name__}"
        raise _text_error(method, data) or TypeError(what) from None


def _text_error(method: str, data: object) -> TypeError | None:
    """Return the error for a text in place of bytes, or None for anything else."""
    what = f"{method} takes bytes-like data, not str: encode the text, as in {method}(text.encode())"
    return TypeError(what) if isinstance(data, str) else None


def refuse_session(method: str, transport: Transport) -> None:
    """Raise a TypeError if bytes outside of a message would break the protocol of the connection. For the host only."""
    if is_session(transport.framing):
        name = type(transport.framing).__name__
        raise TypeError(f"{method} works below the framing, and that of this connection is a session, {name}")


def transport_of(connection: Connection) -> Transport:
    """Return the transport of a connection. For the host only."""
    return connection._transport  # noqa: SLF001  private to plugins, not to the host


def replace_transport(connection: Connection, transport: Transport) -> None:
    """Let a connection that has ended refer to another transport. For the host only."""
    connection._transport = transport  # noqa: SLF001  private to plugins, not to the host
    connection.send = transport.send
