"""The transport that a protocol of asyncio gets: asyncio's interface over a stream transport of the host.

What is not said here is as asyncio documents it. One difference is on purpose: `close` and `abort` never make the
kernel discard what it has accepted, because the host waits for the client's end after its own.
"""

from __future__ import annotations

import asyncio
from asyncio import constants
from asyncio.transports import _FlowControlMixin
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from reactorhost.api.close_reason import CloseReason
from reactorhost.worker.adapter import extra_info
from reactorhost.worker.stream import receiving, sending
from reactorhost.worker.stream.closing import CLOSED, FLUSHING, OPEN, CloseEvent
from reactorhost.worker.stream.send_buffer import HIGH_WATER, LOW_WATER
from reactorhost.worker.stream.states import BROKEN, BY_PLUGIN, CLOSING, PEER_EOF, PLUGIN, TLS_HANDSHAKE
from reactorhost.worker.stream.transport import StreamTransport

if TYPE_CHECKING:
    from reactorhost.plugins.host_task import HostTask

Failed = Callable[["AsyncioTransport", str, BaseException], object]
"""Called with a transport, the name of a method of its protocol, and what that has raised."""

Buffer = bytes | bytearray | memoryview


class AsyncioTransport(_FlowControlMixin):
    """The transport of one protocol.

    Attributes:
        stream: the host's transport below it.
        protocol: the protocol, `is_buffered` whether it receives into buffers of its own.
        error: the first exception of the protocol, or of a protocol above it.
        was_reset: whether a send has failed.
        task: the task of a stream handler.
    """

    __slots__ = (
        "__weakref__",
        "_failed",
        "_input_ended",
        "_is_lost",
        "_stays_open",
        "error",
        "is_buffered",
        "protocol",
        "stream",
        "task",
        "was_reset",
    )

    # For `loop.start_tls` and `loop.sendfile`.
    _start_tls_compatible = True
    _sendfile_compatible = constants._SendfileMode.FALLBACK  # noqa: SLF001  asyncio has no public name

    def __init__(self, stream: StreamTransport, protocol: Any, failed: Failed) -> None:
        # Without asyncio's, which makes a dictionary for each transport.
        self.stream = stream
        self._failed = failed
        self._high_water = HIGH_WATER
        self._low_water = LOW_WATER
        self._protocol_paused = False
        self._input_ended = False
        self._stays_open = False
        self._is_lost = False
        self.error: BaseException | None = None
        self.was_reset = False
        self.task: HostTask | None = None
        self.set_protocol(protocol)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.stream.connection!r}>"

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return a fact about the connection; `connection` is the connection itself."""
        return extra_info.find(self.stream, name, default)

    # The protocol.

    def set_protocol(self, protocol: Any) -> None:
        """Pass input and events to another protocol from now on."""
        self.protocol = protocol
        self.is_buffered = isinstance(protocol, asyncio.BufferedProtocol)

    def get_protocol(self) -> Any:
        """Return the protocol."""
        return self.protocol

    def call(self, method: str, *args: Any) -> Any:
        """Call a method of the protocol, and return its result; None if it has raised an exception."""
        try:
            return getattr(self.protocol, method)(*args)
        except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
            self._failed(self, method, raised)
            return None

    def end_input(self) -> bool:
        """Call `eof_received`, once; returns whether the protocol wants the connection to stay open."""
        if not self._input_ended:
            self._input_ended = True
            # asyncio never reports an end behind a reset.
            self._stays_open = not self.was_reset and bool(self.call("eof_received"))
        return self._stays_open

    def lose(self, reason: CloseReason) -> None:
        """Call `connection_lost`, once."""
        if not self._is_lost:
            self._is_lost = True
            self.call("connection_lost", self._error_of(reason))
            if self.task is not None and reason not in (CloseReason.PEER, CloseReason.LOCAL):
                self.task.cancel_by_host()

    def _error_of(self, reason: CloseReason) -> BaseException | None:
        if self.error is not None:
            return self.error
        match reason:
            case CloseReason.SHUTDOWN:
                return None
            case CloseReason.LOCAL:
                ends_well = not self.was_reset
            case CloseReason.PEER:
                has_ended = self._input_ended or self.stream.held & PEER_EOF
                ends_well = bool(has_ended) and not self.was_reset
            case CloseReason.IDLE:
                return TimeoutError("the connection was idle for too long")
            case _:
                return ConnectionAbortedError(f"the host has closed the connection: {reason}")
        return None if ends_well else ConnectionResetError("the client has broken the connection")

    # Receiving.

    def is_reading(self) -> bool:
        """Return whether the protocol receives input."""
        return not self.stream.held & (PLUGIN | CLOSING)

    def pause_reading(self) -> None:
        """Pass no more input to the protocol until `resume_reading`."""
        if self.is_reading():
            self.stream.pause()

    def resume_reading(self) -> None:
        """Pass input to the protocol again."""
        if self.stream.is_paused:
            self.stream.resume()

    def read_now(self) -> None:
        """Pass input that the kernel holds to the protocol, as a turn of the loop does; asyncio has no such method.

        For a deadline of the protocol, before it ends a client: after the loop was blocked, what the client sent in
        time may not have been read.
        """
        if not self.stream.held:
            receiving.read(self.stream)

    def fill(self, data: bytes) -> None:
        """Copy input to the buffers of the protocol."""
        stream, rest = self.stream, memoryview(data)
        while rest:
            protocol = self.protocol
            if not self.is_buffered:
                # It was replaced after a part.
                protocol.data_received(bytes(rest))
                return
            buffer = memoryview(protocol.get_buffer(len(rest))).cast("B")
            size = min(len(buffer), len(rest))
            if not size:
                raise RuntimeError("get_buffer() has returned an empty buffer")
            buffer[:size] = rest[:size]
            protocol.buffer_updated(size)
            rest = rest[size:]
            if stream.held & CLOSING:
                return
            # With hook queues, more input may wait behind this.
            if rest and stream.held & BY_PLUGIN and stream.context.hook_queues is None:
                receiving.keep(stream, bytes(rest))
                return

    # Sending.

    def write(self, data: Buffer) -> None:
        """Send bytes without blocking."""
        stream = self.stream
        if type(data) is not bytes:
            if not isinstance(data, bytes | bytearray | memoryview):
                raise TypeError(f"data must be a bytes-like object, not {type(data).__name__}")
            data = bytes(data)
        if not data:
            return
        if not stream.connection.send(data):
            self._write_late(data)
        # Anything but DIRECT, which is zero.
        elif stream.send_state:
            self._maybe_pause_protocol()

    def writelines(self, list_of_data: Iterable[Buffer]) -> None:
        """Send several pieces as one."""
        self.write(b"".join(list_of_data))

    def _write_late(self, data: bytes) -> None:
        """Send after `close` while something is queued, as asyncio does and its SSLProtocol needs."""
        stream = self.stream
        if stream.close_state is OPEN and stream.send_state is not BROKEN:
            raise RuntimeError("Cannot call write() after write_eof()")
        buffer = stream.buffer
        if stream.close_state is not FLUSHING or buffer is None:
            return
        if len(buffer) > stream.context.limits.max_send_buffer:
            # Not without these bytes only: what is written after them would be taken for them.
            self.error = self.error or ConnectionAbortedError("more than max_send_buffer is queued")
            stream.context.overflowed(stream.connection)
            stream.advance(CloseEvent.ABORT)
            return
        buffer.add(data, 0)
        self._maybe_pause_protocol()

    def can_write_eof(self) -> bool:
        """Return True: TLS of the host can close one half too."""
        return True

    def write_eof(self) -> None:
        """Close the sending half behind what is queued."""
        self.stream.send_eof()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes are queued."""
        return self.stream.queued

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    # asyncio's base class has the methods for the limits, and `loop.sendfile` of asyncio requires it. What it calls for
    # the protocol is replaced, for exceptions of a protocol are handled here in another way.

    def _maybe_pause_protocol(self) -> None:
        buffer = self.stream.buffer
        if buffer is not None and len(buffer) > self._high_water and not self._protocol_paused:
            self._protocol_paused = True
            buffer.when_low(self._resume_writing, self._low_water)
            self.call("pause_writing")

    def _resume_writing(self, can_send: bool) -> None:
        buffer = self.stream.buffer
        if buffer is not None and len(buffer) > self._low_water:
            # The limit was lowered meanwhile.
            buffer.when_low(self._resume_writing, self._low_water)
        # If nothing can be sent any more, `connection_lost` follows.
        elif can_send:
            self._protocol_paused = False
            # Now, and not at the end of the turn: a connection that is being closed ends with the last byte, and what
            # SSLProtocol has kept back meanwhile, such as its close_notify, has to be in the buffer before that.
            try:
                self.stream.variables.run(self.call, "resume_writing")
            except RuntimeError:
                # In this context already: `start_tls` sends what is queued within the call of a hook.
                self.call("resume_writing")

    # Ending.

    def is_closing(self) -> bool:
        """Return whether the connection is closed, or being closed, or broken."""
        return self.stream.close_state is not OPEN or self.stream.send_state is BROKEN

    def close(self) -> None:
        """Send what is queued, then close; `connection_lost` is called after the last byte was passed to the kernel."""
        self.stream.close()

    def abort(self) -> None:
        """Discard what is queued, then close."""
        self._force_close(None)

    def _force_close(self, error: BaseException | None) -> None:
        """Abort; `connection_lost` gets the exception. For asyncio's SSLProtocol above this transport."""
        stream = self.stream
        if stream.close_state is CLOSED:
            return
        if self.error is None:
            self.error = error
        if stream.held & TLS_HANDSHAKE:
            # What is queued is behind the handshake, which cannot be ended in another way.
            stream.abort()
        else:
            sending.discard(stream)
            stream.close()
