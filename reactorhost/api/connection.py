"""One client, as a plugin sees it.

Nothing here makes a system call: what a plugin asks for goes to the transport, which owns the socket.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol

from reactorhost.address import Endpoint
from reactorhost.framing import Framing


class CloseReason(enum.Enum):
    """Why a connection ended; the second argument of the `close` hook."""

    PEER = "peer"
    """The client closed its side, or went away."""
    LOCAL = "local"
    """A plugin called `close()` or `abort()`."""
    ERROR = "error"
    """A hook raised an exception."""
    IDLE = "idle"
    """Nothing was received or sent for `idle_timeout` seconds."""
    OVERFLOW = "overflow"
    """More than `max_send_buffer` bytes waited for a client that does not read."""
    FRAMING = "framing"
    """The client broke the framing, or sent a message past its maximum size."""
    TIMEOUT = "timeout"
    """A plugin called `close()`, and the client took nothing of what was left for `close_timeout` seconds."""
    SHUTDOWN = "shutdown"
    """The worker went away and its deadline passed."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What is known of a TLS session.

    Attributes:
        version: of the protocol, as `TLSv1.3`.
        cipher: name of the cipher suite.
        alpn: protocol agreed on by ALPN, or None.
        server_name: host name that the client asked for, or None.
        certificate: the client's certificate as `ssl.SSLSocket.getpeercert()` gives it, or None.
    """

    version: str
    cipher: str
    alpn: str | None
    server_name: str | None
    certificate: Mapping[str, Any] | None


class Timer(Protocol):
    """A call that waits for its time."""

    def cancel(self) -> None:
        """Forget the call; nothing happens when it was made already."""


class Transport(Protocol):
    """What a connection needs of the thing that owns the socket."""

    @property
    def peer(self) -> Endpoint: ...
    @property
    def local(self) -> Endpoint: ...
    @property
    def age(self) -> float: ...
    @property
    def queued(self) -> int: ...
    @property
    def is_open(self) -> bool: ...
    @property
    def idle_timeout(self) -> float | None: ...
    @idle_timeout.setter
    def idle_timeout(self, seconds: float | None) -> None: ...

    def send(self, data: bytes | bytearray | memoryview) -> bool: ...
    @property
    def framing(self) -> Framing | None: ...
    @framing.setter
    def framing(self, framing: Framing | None) -> None: ...
    def when_drained(self, tell: Callable[[bool], object]) -> None: ...
    def close(self) -> None: ...
    def close_for(self, reason: CloseReason, seconds: float | None = None) -> None: ...
    def abort(self) -> None: ...
    def send_eof(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def call_later(self, seconds: float, function: Callable[..., object], *args: Any) -> Timer: ...
    @property
    def held(self) -> int: ...
    @property
    def is_paused(self) -> bool: ...
    def hold_for_hooks(self, held: bool) -> None: ...
    def set_owed(self, calls: int) -> None: ...


class Connection:
    """One client of a service.

    Attributes:
        id: number of the connection, unique in its worker process.
        service: name of the service that accepted it.
        opened_at: when it was accepted, Unix time in seconds.
        bytes_in: bytes received so far.
        bytes_out: bytes that the kernel took so far.
        tls: facts of the TLS session, or None on a plain connection.
    """

    __slots__ = ("_state", "_transport", "bytes_in", "bytes_out", "id", "opened_at", "send", "service", "tls")

    send: Callable[[bytes | bytearray | memoryview], bool]
    """Send bytes; never blocks, never drops in silence. What the kernel does not take now is queued.

    While much is queued this client is not read, so that answers cannot pile up. Returns False when the
    connection takes no more because it is closing.

    Raises:
        TypeError: `data` is not bytes-like.
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
        # Not a method that asks the transport: that is one call more for every message.
        self.send = transport.send
        self._state: SimpleNamespace | None = None

    def __repr__(self) -> str:
        return f"<Connection {self.id} {self.service} {self.peer}>"

    def send_message(self, message: bytes | bytearray | memoryview) -> bool:
        """Send one message as the connection's framing writes it; otherwise as `send`.

        Raises:
            TypeError: the connection has no framing, or one without a method `frame`.
            ValueError: the framing cannot carry the message.
        """
        framing = self._transport.framing
        frame: Callable[[Any], bytes] | None = getattr(framing, "frame", None)
        if frame is None:
            what = "no framing" if framing is None else f"a {type(framing).__name__}, which has no frame(message)"
            raise TypeError(f"send_message needs a framing that can write, and this connection has {what}")
        return self.send(frame(message))

    async def drained(self) -> bool:
        """Wait until at most 16 KiB of what was sent still wait for the kernel; False when the connection is over.

        For async hooks only.
        """
        import asyncio

        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def tell(is_open: bool) -> None:
            if not done.done():
                done.set_result(is_open)

        self._transport.when_drained(tell)
        return await done

    def when_drained(self, function: Callable[..., object], *args: Any) -> None:
        """Call `function(*args)` once at most 16 KiB of what was sent still wait for the kernel.

        At the end of this turn if they are few now, and not at all if the connection ends before.
        """
        transport = self._transport
        transport.when_drained(lambda is_open: is_open and transport.call_later(0, function, *args))

    def close(self) -> None:
        """Send what is queued, then end the connection; within `close_timeout`, whatever the client does."""
        self._transport.close()

    def abort(self) -> None:
        """End the connection now, with a reset; what is queued is lost."""
        self._transport.abort()

    def send_eof(self) -> None:
        """Send what is queued, then tell the client that nothing more comes; it may go on sending."""
        self._transport.send_eof()

    def pause(self) -> None:
        """Read nothing more from this client until `resume()`, not even its end."""
        self._transport.pause()

    def resume(self) -> None:
        """Read from this client again."""
        self._transport.resume()

    def call_later(self, seconds: float, function: Callable[..., object], *args: Any) -> Timer:
        """Call `function(*args)` once, `seconds` from now, unless the connection ends before."""
        return self._transport.call_later(seconds, function, *args)

    @property
    def framing(self) -> Framing | None:
        """What makes messages out of the bytes, or None; what it has not given yet goes to the next that is set."""
        return self._transport.framing

    @framing.setter
    def framing(self, framing: Framing | None) -> None:
        self._transport.framing = framing

    @property
    def idle_timeout(self) -> float | None:
        """Seconds without a byte either way after which the connection is closed, or None for never."""
        return self._transport.idle_timeout

    @idle_timeout.setter
    def idle_timeout(self, seconds: float | None) -> None:
        self._transport.idle_timeout = seconds

    @property
    def peer(self) -> Endpoint:
        """The client's end: `host` and `port`; `str()` of it is `host:port`."""
        return self._transport.peer

    @property
    def local(self) -> Endpoint:
        """Our end: `host` and `port`."""
        return self._transport.local

    @property
    def age(self) -> float:
        """Seconds since it was accepted, unmoved by steps of the clock."""
        return self._transport.age

    @property
    def queued(self) -> int:
        """Bytes sent by a plugin that the kernel did not take yet."""
        return self._transport.queued

    @property
    def state(self) -> SimpleNamespace:
        """A bag of attributes for plugins, made on first use."""
        if self._state is None:
            self._state = SimpleNamespace()
        return self._state


def transport_of(connection: Connection) -> Transport:
    """Return the host's side of a connection; not for plugins."""
    return connection._transport  # noqa: SLF001  the one way in, for the host only
