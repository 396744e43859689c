"""The datagram transport: what one datagram's connection asks for, handed on to the port that has the socket."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from reactorhost.address import Endpoint
from reactorhost.api.connection import CloseReason, Connection
from reactorhost.framing import Framing
from reactorhost.worker.hooks.timers import PluginTimer, PluginTimers
from reactorhost.worker.udp import pktinfo
from reactorhost.worker.udp.pktinfo import Control

if TYPE_CHECKING:
    from reactorhost.worker.udp.socket import UdpSocket


class DatagramTransport:
    """What one datagram's connection asks for.

    Closing, pausing and idle timeouts mean nothing here and do nothing: plugins that serve streams too need not ask.
    """

    __slots__ = ("_address", "_control", "_port", "_received_at", "_timers", "connection")

    def __init__(self, port: UdpSocket, address: Any, control: Control, connection_id: int) -> None:
        self._port = port
        self._address = address
        self._control = control
        self._received_at = port.context.reactor.now
        self._timers: PluginTimers | None = None
        self.connection = Connection(connection_id, port.context.name, time.time(), self)

    def send(self, data: bytes | bytearray | memoryview) -> bool:
        """Send one datagram to whom this one came from."""
        if type(data) is not bytes:
            data = memoryview(data).tobytes()
        sent = self._port.send(data, self._address, pktinfo.answering(self._control))
        if sent:
            self.connection.bytes_out += len(data)
        return sent

    @property
    def peer(self) -> Endpoint:
        """Who sent it."""
        return Endpoint(*self._address[:2])

    @property
    def local(self) -> Endpoint:
        """The address that it was sent to."""
        bound = self._port.local()
        host = pktinfo.of(self._control)
        return bound if host is None else Endpoint(host, bound.port)

    @property
    def age(self) -> float:
        """Seconds since it was received."""
        return self._port.context.reactor.now - self._received_at

    def call_later(self, seconds: float, function: Callable[..., object], *args: Any) -> PluginTimer:
        """Call a plugin's function later."""
        port = self._port
        if self._timers is None:
            self._timers = PluginTimers(port.context.reactor, self._timer_failed, lambda: port.timers_over(self))
        timer = self._timers.call_later(seconds, function, args)
        if port.takes_no_timers:
            timer.cancel()
        else:
            port.timer_waits(self)
        return timer

    @property
    def has_timers(self) -> bool:
        """Whether a timer of it waits."""
        return self._timers is not None and self._timers.waiting

    def cancel_timers(self) -> None:
        """Forget its timers."""
        if self._timers is not None:
            self._timers.cancel_all()

    def _timer_failed(self, error: Exception) -> None:
        context = self._port.context
        context.hook_failed(context.chain.blame(error), "timer", self.connection, error)

    def when_drained(self, tell: Callable[[bool], object]) -> None:
        """Tell at once: nothing is ever queued."""
        tell(not self._port.closed)

    # What means nothing without a stream.

    @property
    def queued(self) -> int:
        """Nothing: the kernel takes a datagram or it does not."""
        return 0

    @property
    def framing(self) -> Framing | None:
        """None: a datagram is a message."""
        return None

    @framing.setter
    def framing(self, framing: Framing | None) -> None:
        if framing is not None:
            raise TypeError("a datagram is a message already and takes no framing")

    @property
    def idle_timeout(self) -> float | None:
        """None: there is nothing to close."""
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

    def send_eof(self) -> None:
        """Do nothing."""

    def pause(self) -> None:
        """Do nothing."""

    def resume(self) -> None:
        """Do nothing."""

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
