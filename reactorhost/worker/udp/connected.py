"""The transport of an outbound UDP connection: a socket that exchanges datagrams with one address.

UDP has no handshake and no end, so the connection is open from the start and closed by us alone, with one exception: a
peer whose machine answers that nothing listens on the port (ICMP port unreachable). The kernel reports that with the
next call on a connected socket, as ECONNREFUSED, and it closes the connection with the reason `peer`: a handler has no
other way to notice. Any other error means that one datagram is lost, as it can be anywhere on its way.

Nothing is queued. A datagram that the kernel does not accept is not sent, and `send` returns False. What arrives while
the connection is held waits in the kernel's buffer, which drops what it has no room for.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any

from reactorhost.address import Endpoint
from reactorhost.api.close_reason import CloseReason
from reactorhost.api.connection import Connection, as_bytes, replace_transport
from reactorhost.reactor import READ, TimerHandle
from reactorhost.worker.context import ServiceContext
from reactorhost.worker.hooks import task_calls
from reactorhost.worker.hooks.timers import PluginTimer, PluginTimers, checked_seconds, checked_timeout
from reactorhost.worker.hooks.variables import HookRunner
from reactorhost.worker.stream.closed import ClosedTransport
from reactorhost.worker.stream.closing import OPEN, CloseState
from reactorhost.worker.stream.socket import NO_ENDPOINT, StreamSocket, endpoint
from reactorhost.worker.stream.states import BY_PLUGIN, CLOSING, HOOK_BACKLOG, PLUGIN, THROTTLED
from reactorhost.worker.udp.no_stream import NoStream
from reactorhost.worker.udp.socket import check_size

if TYPE_CHECKING:
    from asyncio import Task

    from reactorhost.plugins.host_task import HostTask

_BATCH = 64
# No datagram is longer, so none is cut off.
_MOST_BYTES = 65535


class ConnectedTransport(NoStream):
    """The owner of a connected UDP socket.

    Attributes:
        variables: the context in which the handler's methods and timers run.
        runner: calls the methods in it.
        held: why nothing is read, as `Hold`; 0 while it is.
        owed: how many calls of async methods run or wait.
        active_at: when a datagram was last received or sent, or an async method has ended.
        close_state: OPEN or CLOSED.
    """

    __slots__ = (
        "_accepted_at",
        "_deadline",
        "_idle_seconds",
        "_is_registered",
        "_local",
        "_peer",
        "_timers",
        "active_at",
        "close_state",
        "connection",
        "context",
        "held",
        "owed",
        "runner",
        "socket",
        "variables",
    )

    def __init__(self, context: ServiceContext, sock: StreamSocket, peer: Any, connection_id: int) -> None:
        self.context = context
        self.socket = sock
        self.variables: Context = context.variables.copy()
        self.runner: HookRunner = context.runner(self.variables)
        self.held = 0
        self.owed = 0
        self.active_at = self._accepted_at = context.reactor.now
        self.close_state: CloseState = OPEN
        self._peer = endpoint(peer)
        self._local: Endpoint | None = None
        self._idle_seconds = context.limits.idle_timeout
        self._deadline: TimerHandle | None = None
        self._timers: PluginTimers | None = None
        self._is_registered = False
        self.connection = Connection(connection_id, context.name, time.time(), self)

    def open(self) -> None:
        """Call `connect`, then read."""
        self.runner.run(self.context.chain.connect, self.connection)
        self._watch()
        if self.close_state is OPEN and self._deadline is None:
            self._watch_idle()

    # Receiving.

    def _watch(self) -> None:
        """Read if nothing holds, else do not."""
        reactor, descriptor = self.context.reactor, self.socket.fileno()
        if self._is_registered and self.held:
            # Without events an error would be reported in each turn.
            reactor.unregister(descriptor)
            self._is_registered = False
        elif not self._is_registered and not self.held:
            reactor.register(descriptor, READ, self._ready)
            self._is_registered = True

    def _ready(self, events: int) -> None:
        for _ in range(_BATCH):
            # A call of the handler may have paused or closed the connection, or this is a child that it has forked.
            if self.held:
                return
            try:
                data = self.socket.recv(_MOST_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                self._failed(error)
            else:
                self._received(data)

    def _received(self, data: bytes) -> None:
        context, connection = self.context, self.connection
        size = len(data)
        connection.bytes_in += size
        context.counters.messages += 1
        context.counters.bytes_in += size
        self.active_at = context.reactor.now
        try:
            self.runner.run(context.receive, connection, data)
        except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
            context.hook_raised("receive", connection, raised)

    def _failed(self, error: OSError) -> None:
        """Handle an error that may be the answer to a datagram that was sent before."""
        if error.errno == errno.ECONNREFUSED:
            self.close_for(CloseReason.PEER)

    def pause(self) -> None:
        """Deliver nothing more until `resume`."""
        self._hold(PLUGIN)

    def resume(self) -> None:
        """End a pause."""
        if self.held & PLUGIN:
            self._go_on(PLUGIN)

    def throttle(self, seconds: float) -> None:
        """Deliver nothing more for so long; of several times the one that ends last counts."""
        if checked_seconds(seconds) > 0 and self.close_state is OPEN:
            self.context.throttles.add(self, seconds)
            self._hold(THROTTLED)

    def throttle_ended(self) -> None:
        """Deliver again after the time of `throttle`."""
        self._go_on(THROTTLED)

    def _go_on(self, reason: int) -> None:
        """Deliver again, what waits for an async method first, unless there is another reason not to."""
        self.active_at = self.context.reactor.now
        self._release(reason)
        self.context.resumed(self.connection)

    def hold_for_hooks(self, held: bool) -> None:
        """Stop reading while much waits for the async methods, or read again."""
        (self._hold if held else self._release)(HOOK_BACKLOG)

    def _hold(self, reason: int) -> None:
        self.held |= reason
        self._watch()

    def _release(self, reason: int) -> None:
        self.held &= ~reason
        self._watch()

    def set_owed(self, calls: int) -> None:
        """Set how many calls of async methods run or wait."""
        if calls < self.owed:
            self.active_at = self.context.reactor.now
        self.owed = calls

    # Sending.

    def send(self, data: bytes | bytearray | memoryview) -> bool:
        """Send one datagram; returns False when the kernel does not accept it.

        Raises:
            ValueError: the data does not fit into a datagram.
        """
        if type(data) is not bytes:
            data = as_bytes("send", data)
        if self.close_state is not OPEN:
            return False
        try:
            self.socket.send(data)
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                check_size(data)
            self._failed(error)
            return False
        self.connection.bytes_out += len(data)
        self.context.counters.bytes_out += len(data)
        self.active_at = self.context.reactor.now
        return True

    def when_drained(self, function: Callable[[bool], object], /) -> None:
        """Call back at once: nothing is ever queued."""
        function(self.close_state is OPEN)

    # Facts.

    @property
    def peer(self) -> Endpoint:
        """The address that the socket is connected to."""
        return self._peer

    @property
    def local(self) -> Endpoint:
        """Our end."""
        if self._local is None:
            try:
                self._local = endpoint(self.socket.getsockname())
            except OSError:
                return NO_ENDPOINT
        return self._local

    @property
    def age(self) -> float:
        """Seconds since the connection was made."""
        return self.context.reactor.now - self._accepted_at

    @property
    def is_open(self) -> bool:
        """Whether what the peer sends is for the handler."""
        return self.close_state is OPEN

    @property
    def is_paused(self) -> bool:
        """Whether the handler wants no `receive` now."""
        return bool(self.held & BY_PLUGIN) and not self.held & CLOSING

    # Timers.

    def call_later(self, seconds: float, function: Callable[..., object], *args: Any) -> PluginTimer:
        """Call a plugin's function later, unless the connection ends before."""
        timer = self._plugin_timers().call_later(seconds, function, args)
        if self.close_state is not OPEN:
            timer.cancel()
        return timer

    def create_task(self, coroutine: Coroutine[Any, Any, Any]) -> HostTask:
        """Run a coroutine until the connection is closed."""
        if self.close_state is not OPEN:
            return task_calls.start_cancelled(coroutine, self.variables)
        task = self._plugin_timers().create_task(coroutine, self.context.task_failed(self.connection))
        task.add_done_callback(self._task_ended)
        return task

    def _task_ended(self, task: Task[Any]) -> None:
        # The peer was not silent while the task ran.
        self.active_at = self.context.reactor.now

    def _plugin_timers(self) -> PluginTimers:
        if self._timers is None:
            self._timers = self.context.new_timers(self.connection, self.variables)
        return self._timers

    @property
    def idle_timeout(self) -> float | None:
        """Seconds without a datagram either way that end the connection."""
        return self._idle_seconds

    @idle_timeout.setter
    def idle_timeout(self, seconds: float | None) -> None:
        self._idle_seconds = checked_timeout(seconds)
        if self.close_state is OPEN:
            self._watch_idle()

    def _watch_idle(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self._idle_seconds is not None:
            self._deadline = self.context.reactor.call_at(self.active_at + self._idle_seconds, self._idle_due)

    def _idle_due(self) -> None:
        self._deadline = None
        now, seconds = self.context.reactor.now, self._idle_seconds
        has_tasks = self._timers is not None and self._timers.has_tasks
        if self.owed or has_tasks or self.held or self.context.drain_runs(self.connection):
            # The plugin works for it, or does not want to receive.
            self.active_at = now
        if seconds is not None and now >= self.active_at + seconds:
            self.close_for(CloseReason.IDLE)
        else:
            self._watch_idle()

    # Closing.

    def close(self) -> None:
        """Close the socket; everything that was sent has left."""
        self.context.plugin_closes(self.connection)
        self.close_for(CloseReason.LOCAL)

    abort = close

    def close_for(self, reason: CloseReason, seconds: float | None = None) -> None:
        """Close the socket, and call `close` at the end of the turn."""
        if self.close_state is not OPEN:
            return
        self.close_state = CloseState.CLOSED
        self._hold(CLOSING)
        self.socket.close()
        if self.held & THROTTLED:
            self.context.throttles.remove(self)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self._timers is not None:
            self._timers.cancel_all()
        # The handler may be at work on this connection further up the stack.
        self.context.reactor.call_soon(self.context.closed, self, reason)

    def release(self, context: ServiceContext) -> None:
        """Break the reference cycles of a connection that has ended, after its `close`; it refers to `context` then."""
        self._timers = None
        local = self._local or NO_ENDPOINT
        closed = ClosedTransport(context, self._peer, local, self.age, self.variables)
        replace_transport(self.connection, closed)
