"""The transport of a datagram's connection: passes requests of plugins to the UDP socket that it came from."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from reactorhost.address import Endpoint
from reactorhost.api.close_reason import CloseReason
from reactorhost.api.connection import Connection, as_bytes
from reactorhost.system.scope import host_of
from reactorhost.worker.context import ServiceContext
from reactorhost.worker.hooks import task_calls
from reactorhost.worker.hooks.timers import PluginTimer, PluginTimers, checked_seconds
from reactorhost.worker.udp import pktinfo
from reactorhost.worker.udp.no_stream import NoStream
from reactorhost.worker.udp.pktinfo import AncillaryData

if TYPE_CHECKING:
    from reactorhost.plugins.host_task import HostTask


class AnsweringSocket(Protocol):
    """The part of a `UdpSocket` that a datagram's connection uses."""

    @property
    def context(self) -> ServiceContext: ...
    @property
    def closed(self) -> bool: ...
    @property
    def accepts_timers(self) -> bool: ...
    def send(self, data: bytes, address: Any, ancillary: AncillaryData) -> bool: ...
    def local(self) -> Endpoint: ...
    def timer_added(self, transport: DatagramTransport) -> None: ...
    def timers_over(self, transport: DatagramTransport) -> None: ...


class DatagramTransport(NoStream):
    """The transport of one datagram's connection.

    Closing, pausing and idle timeouts have no meaning for a datagram and do nothing, so that a plugin that serves
    streams too needs no special cases.
    """

    __slots__ = ("_address", "_ancillary", "_received_at", "_socket", "_timers", "connection", "variables")

    def __init__(self, sock: AnsweringSocket, address: Any, ancillary: AncillaryData, connection_id: int) -> None:
        self._socket = sock
        self._address = address
        self._ancillary = ancillary
        self._received_at = sock.context.reactor.now
        self._timers: PluginTimers | None = None
        self.variables = sock.context.variables.copy()
        self.connection = Connection(connection_id, sock.context.name, time.time(), self)

    def send(self, data: bytes | bytearray | memoryview) -> bool:
        """Send one datagram to the sender of this one."""
        if type(data) is not bytes:
            data = as_bytes("send", data)
        sent = self._socket.send(data, self._address, pktinfo.source_of_answer(self._ancillary))
        if sent:
            self.connection.bytes_out += len(data)
        return sent

    @property
    def context(self) -> ServiceContext:
        """The service."""
        return self._socket.context

    @property
    def peer(self) -> Endpoint:
        """The address of the sender."""
        return Endpoint(host_of(self._address), self._address[1])

    @property
    def local(self) -> Endpoint:
        """The address that the datagram was sent to."""
        bound = self._socket.local()
        host = pktinfo.destination(self._ancillary)
        return bound if host is None else Endpoint(host, bound.port)

    @property
    def age(self) -> float:
        """Seconds since the datagram was received."""
        return self._socket.context.reactor.now - self._received_at

    def call_later(self, seconds: float, function: Callable[..., object], *args: Any) -> PluginTimer:
        """Call a plugin's function later."""
        timer = self._plugin_timers().call_later(seconds, function, args)
        if self._socket.accepts_timers:
            self._socket.timer_added(self)
        else:
            timer.cancel()
        return timer

    def create_task(self, coroutine: Coroutine[Any, Any, Any]) -> HostTask:
        """Run a coroutine; the socket stays open until it has ended."""
        if not self._socket.accepts_timers:
            return task_calls.start_cancelled(coroutine, self.variables)
        task = self._plugin_timers().create_task(coroutine, self.context.task_failed(self.connection))
        self._socket.timer_added(self)
        return task

    def _plugin_timers(self) -> PluginTimers:
        sock = self._socket
        if self._timers is None:
            self._timers = sock.context.new_timers(self.connection, self.variables, lambda: sock.timers_over(self))
        return self._timers

    @property
    def has_timers(self) -> bool:
        """Whether a timer of this connection is pending, or a task runs."""
        return self._timers is not None and self._timers.waiting

    def cancel_timers(self) -> None:
        """Cancel all timers and tasks of this connection."""
        if self._timers is not None:
            self._timers.cancel_all()

    def when_drained(self, callback: Callable[[bool], object], /) -> None:
        """Call back at once: nothing is ever queued."""
        callback(not self._socket.closed)

    # Without meaning for a single datagram.

    @property
    def idle_timeout(self) -> float | None:
        """None: there is no connection to close."""
        return None

    @idle_timeout.setter
    def idle_timeout(self, seconds: float | None) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def close_for(self, reason: CloseReason, seconds: float | None = None) -> None:
        """Do nothing."""

    def abort(self) -> None:
        """Do nothing."""

    def pause(self) -> None:
        """Do nothing."""

    def resume(self) -> None:
        """Do nothing."""

    def throttle(self, seconds: float) -> None:
        """Do nothing: what comes from an address has no order that could be kept."""
        checked_seconds(seconds)

    @property
    def is_open(self) -> bool:
        """True: what came is always for the plugins."""
        return True

    @property
    def held(self) -> int:
        """0: input is never held."""
        return 0

    @property
    def is_paused(self) -> bool:
        """False: `pause` does nothing."""
        return False

    def hold_for_hooks(self, held: bool) -> None:
        """Do nothing: the socket counts the hooks that have not finished."""

    def set_owed(self, calls: int) -> None:
        """Do nothing, for the same reason."""
