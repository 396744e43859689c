"""One transport, as the modules beside it see it.

`receiving`, `sending`, `deadlines` and `ending` are functions over a transport, for what few messages need. So a
connection is one object, and each of these concerns is one file. They name this protocol, and the transport names them;
where one of them needs a later one of this list, it goes through a method of the transport.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import Any, Protocol

from reactorhost.api.close_reason import CloseReason
from reactorhost.reactor import Arrivals, TimerHandle
from reactorhost.worker.context import ServiceContext
from reactorhost.worker.hooks.timers import PluginTimers
from reactorhost.worker.hooks.variables import HookRunner
from reactorhost.worker.stream.closing import CloseEvent, CloseProgress, CloseState
from reactorhost.worker.stream.framed_input import FramedInput, Source
from reactorhost.worker.stream.send_buffer import SendBuffer
from reactorhost.worker.stream.socket import StreamSocket
from reactorhost.worker.stream.states import Send


def protocol_of(stream: Stream) -> object | None:
    """Return the asyncio protocol that serves a connection, or None."""
    protocols = stream.context.protocols
    return None if protocols is None else protocols.protocol_of(stream.connection)


HANG_UP = 1 << 17
"""A value of `Stream.interest` beside READ and WRITE: registered without events, to notice a hang-up."""


class Stream(Source, Protocol):
    """A stream transport; see `StreamTransport` for what the attributes mean."""

    context: ServiceContext
    socket: StreamSocket
    receiver: ServiceContext | FramedInput
    variables: Context
    runner: HookRunner
    send_state: Send
    close_state: CloseState
    buffer: SendBuffer | None
    corked: bytearray | None
    kept: bytes | None
    active_at: float
    idle_seconds: float | None
    full_duplex: bool
    deadline: TimerHandle | None
    progress: CloseProgress | None
    arrivals: Arrivals
    timers: PluginTimers | None
    interest: int
    read_size: int

    @property
    def queued(self) -> int:
        """How many bytes wait for the kernel."""

    def send(self, data: bytes | bytearray | memoryview) -> bool:
        """Pass bytes to the kernel, and queue what it does not accept."""

    def ready(self, events: int) -> None:
        """Handle what epoll reports, unless the reactor reads by itself."""

    def call_now(self, function: Callable[..., object], *args: Any) -> None:
        """Call a plugin's function as a timer is called."""

    def cancel_timers(self) -> None:
        """Cancel the timers and tasks of the plugin, and its throttle."""

    def throttle_ended(self) -> None:
        """Deliver again after the time of `throttle`."""

    def send_failed(self) -> bool:
        """Break the sending half, and continue to receive; returns False, as `send` does."""

    def end_if_served(self) -> None:
        """End the connection of a client that has sent its end and has all its answers."""

    def close_for(self, reason: CloseReason, seconds: float | None = None) -> None:
        """Flush, FIN, wait for the client's end; with `seconds` until then at most."""

    def advance(self, event: CloseEvent, reason: CloseReason = CloseReason.PEER) -> None:
        """Apply an event to the state of the connection's end; `reason` is for a connection that is open."""
