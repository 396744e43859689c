"""Outbound connections: what plugins of this worker have connected to other hosts.

    connect() -> pending (a dial and a deadline) -> open (a transport) -> ended

Each open connection has a service context of its own, whose chain is the handler's methods. So the transport that
serves clients serves it too, without knowing the difference; UDP has a transport for outbound connections only. There
is no `RunningService`: its handshakes, sessions and rules are about clients. Their bytes and messages go to separate
counters, because those of the worker are about clients too.

When the worker leaves, outbound connections outlive its clients, whose last answers may need them:

    OPEN -> leave() -> LEAVING: pending ones are cancelled, open ones get `drain` and are closed
         -> the last one has ended -> LEFT: connect() raises, because nothing calls a handler any more
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Iterator
from contextvars import copy_context
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reactorhost.address import Address, parse
from reactorhost.api.awaitable import TaskState
from reactorhost.api.close_reason import CloseReason
from reactorhost.api.connect_attempt import ConnectAttempt, ConnectFailedError
from reactorhost.errors import UsageError
from reactorhost.ipc.counters import Counters
from reactorhost.plugins import handlers
from reactorhost.plugins.guard import guarded
from reactorhost.plugins.handlers import Handler
from reactorhost.reactor import TimerHandle
from reactorhost.tls.facts import TlsFacts
from reactorhost.worker.context import Limits, ServiceContext, WorkerContext
from reactorhost.worker.limited_lines import LimitedLines
from reactorhost.worker.outbound.dialer import Dial, Dialer, FarEnd
from reactorhost.worker.stream.framed_input import replaceable
from reactorhost.worker.stream.socket import StreamSocket
from reactorhost.worker.stream.transport import StreamTransport
from reactorhost.worker.udp.connected import ConnectedTransport

if TYPE_CHECKING:
    import asyncio
    import ssl


class OutboundState(enum.Enum):
    """Whether plugins may connect."""

    OPEN = "open"
    LEAVING = "leaving"
    LEFT = "left"


class OutboundConnections:
    """The outbound connections of one worker.

    Attributes:
        limits: limits of each connection.
        context: that of the worker, with counters of its own, and the dispatcher of all outbound connections.
    """

    def __init__(self, context: WorkerContext, limits: Limits, dialer: Dialer) -> None:
        self.limits = limits
        self.dialer = dialer
        self.context = replace(context, counters=Counters())
        self._open: set[StreamTransport | ConnectedTransport] = set()
        # That of connections that have ended. Most handlers refer to theirs, which does not refer to the handler then:
        # no cycle is left for the collector.
        self._ended = ServiceContext("", self.context, limits, handlers.NONE.chain)
        self._failure_lines = LimitedLines(context.reactor, context.log)
        self._pending: set[_PendingConnection] = set()
        # asyncio holds only weak references to its tasks.
        self._failed_hooks: set[asyncio.Task[object]] = set()
        self._state = OutboundState.OPEN
        self._on_left: Callable[[], object] | None = None

    def connect(
        self,
        plugin: str,
        address: str,
        handler: object,
        timeout: float,
        tls: ssl.SSLContext | None,
        server_name: str | None,
    ) -> ConnectAttempt:
        """Begin to connect for a plugin, at the end of the reactor's turn.

        Raises:
            ValueError: the address or the timeout is invalid.
            TypeError: the handler has none of the methods, or one that cannot be called as its hook is.
            ConnectFailedError: the worker is exiting.
        """
        far_end = _far_end(address, tls, server_name)
        if not timeout > 0:
            raise ValueError(f"a timeout must be positive, not {timeout!r} seconds")
        checked = handlers.check(plugin, handler)
        if (checked.awaits or checked.failed_awaits) and self.context.hook_queues is None:
            raise TypeError(
                f"the handler {handler!r} has async methods, and no plugin of this worker has an async hook; "
                "make worker_start async, for example"
            )
        if self._state is OutboundState.LEFT:
            raise ConnectFailedError(far_end.name, "the worker is exiting")
        pending = _PendingConnection(self, plugin, checked, far_end, timeout)
        if self._state is OutboundState.LEAVING:
            # Cancelled as those that were pending when it began to leave; no handler is called.
            pending.attempt.cancel()
        else:
            self._pending.add(pending)
            self.context.reactor.call_soon(pending.begin)
        return pending.attempt

    def transports(self) -> Iterator[StreamTransport | ConnectedTransport]:
        """Return the transports of the open connections."""
        return iter(self._open)

    # The end of the worker.

    def leave(self, seconds: float) -> None:
        """Cancel what is pending, call every handler's `drain`, and close every connection within `seconds`."""
        if self._state is not OutboundState.OPEN:
            return
        self._cancel_pending()
        # A copy, as below: a method of a handler may close connections.
        for transport in tuple(self._open):
            transport.context.draining = True
            transport.context.drain(transport)
        self._close_all(seconds, busy=False)
        # One whose async `drain` still runs may send until half of the time is over.
        self.context.reactor.call_later(seconds / 2, self._close_all, seconds / 2, True)

    def abort(self) -> None:
        """Cancel what is pending, and reset every connection."""
        self._cancel_pending()
        for transport in tuple(self._open):
            # First, for its reason: `abort` alone would report `local`, the plugin's own.
            transport.close_for(CloseReason.SHUTDOWN)
            transport.abort()

    def when_left(self, callback: Callable[[], object]) -> None:
        """Call `callback` once no connection is left, which may be now."""
        self._on_left = callback
        self._check_left()

    def _cancel_pending(self) -> None:
        self._state = OutboundState.LEAVING
        self._ended.draining = True
        for pending in tuple(self._pending):
            pending.attempt.cancel()

    def _close_all(self, seconds: float, busy: bool) -> None:
        for transport in tuple(self._open):
            if busy or not (transport.owed or transport.context.drain_runs(transport.connection)):
                transport.close_for(CloseReason.SHUTDOWN, seconds)

    def _check_left(self) -> None:
        if self._on_left is not None and not self._open:
            self._state = OutboundState.LEFT
            callback, self._on_left = self._on_left, None
            callback()

    # The end of a pending connection.

    def discard(self, pending: _PendingConnection) -> None:
        """Forget a pending connection."""
        self._pending.discard(pending)

    def serve(
        self, pending: _PendingConnection, sock: StreamSocket, peer: Any, tls: TlsFacts | None
    ) -> StreamTransport | ConnectedTransport:
        """Serve a connected socket with the handler, beginning with its `connect`."""
        scheme = pending.far_end.address.scheme
        context = ServiceContext(pending.far_end.name, self.context, self.limits, pending.handler.chain)
        context.variables = pending.variables
        context.on_closed = self._closed
        number = next(self.context.ids)
        transport: StreamTransport | ConnectedTransport
        if scheme == "udp":
            transport = ConnectedTransport(context, sock, peer, number)
        else:
            context.tls_role = self.dialer.tls_role(pending.far_end)
            if scheme == "unix":
                context.credentials = {}
            transport = StreamTransport(context, sock, peer, number, tls)
            if pending.framing is not None:
                transport.framing = pending.framing
        self._open.add(transport)
        if context.loop_thread.has_others:
            context.loop_thread.check_sends(transport.connection)
        transport.open()
        return transport

    def _closed(self, transport: StreamTransport | ConnectedTransport) -> None:
        self._open.discard(transport)
        transport.context.groups.ended(transport.connection)
        transport.context.drop_hooks()
        transport.release(self._ended)
        self._check_left()

    def report_failure(self, pending: _PendingConnection, error: ConnectFailedError) -> None:
        """Raise a failure where it is awaited, and call the handler's `failed`; if there is neither, log it."""
        awaited = pending.attempt.set_exception(error)
        plugin, failed, awaits = pending.plugin, pending.handler.failed, pending.handler.failed_awaits
        if failed is None:
            if not awaited and self._failure_lines.admits(lines="connect_failed", plugin=plugin):
                self.context.log.warning("connect_failed", plugin=plugin, address=error.address, reason=error.reason)
            return
        guard = guarded(plugin, "failed", failed, self._hook_failed, awaits=awaits)
        called = pending.variables.run(guard, error)
        if not awaits:
            return
        import asyncio

        from reactorhost.plugins.host_task import HostTask

        task = HostTask(called, loop=asyncio.get_running_loop(), context=pending.variables)
        self._failed_hooks.add(task)
        task.add_done_callback(self._failed_hooks.discard)

    def _hook_failed(self, plugin: str, hook: str, _error: object, raised: Exception) -> None:
        self.context.hook_failed(plugin, hook, None, raised)


class _PendingConnection:
    """A connection that is being established for a plugin, within a deadline."""

    def __init__(
        self, outbound: OutboundConnections, plugin: str, handler: Handler, far_end: FarEnd, timeout: float
    ) -> None:
        self.plugin = plugin
        self.handler = handler
        # What the handler sees: a copy, as for `asyncio.create_task`, of the context of the hook that connects.
        self.variables = copy_context()
        self.far_end = far_end
        self.attempt = ConnectAttempt(far_end.name, self._cancelled)
        framing = handler.new_framing(far_end.name)
        if framing is not None and far_end.address.scheme == "udp":
            raise TypeError(f"the handler has a framing, but what {far_end.address} sends are messages already")
        # Here: only the plugin that connects can handle it.
        self.framing = None if framing is None else replaceable(framing)
        self._outbound = outbound
        self._timeout = timeout
        self._dial: Dial | None = None
        self._deadline: TimerHandle | None = None

    def begin(self) -> None:
        if self.attempt.state is TaskState.CANCELLED:
            return
        self._deadline = self._outbound.context.reactor.call_later(self._timeout, self._timed_out)
        self._dial = self._outbound.dialer.dial(self.far_end, self._connected, self._failed)
        self._dial.start()

    def _connected(self, sock: StreamSocket, peer: Any, tls: TlsFacts | None) -> StreamTransport | ConnectedTransport:
        self._end()
        # The handler's `connect` is called before the attempt has its result, and may cancel the attempt.
        self.attempt.commit()
        transport = self._outbound.serve(self, sock, peer, tls)
        self.attempt.set_result(transport.connection)
        return transport

    def _timed_out(self) -> None:
        dial = self._dial
        assert dial is not None
        dial.cancel()
        self._failed(f"{dial.step} within {self._timeout:g} s")

    def _failed(self, reason: str) -> None:
        self._cancel_deadline()
        # Reported in the next turn. A handler that connects again at once would otherwise never let this turn end, and
        # an async hook has not come to its `await` yet when an address fails at once.
        error = ConnectFailedError(self.attempt.address, reason)
        self._outbound.context.reactor.call_soon(self._report, error)

    def _report(self, error: ConnectFailedError) -> None:
        # It may have been cancelled since.
        if self.attempt.state is TaskState.PENDING:
            self._end()
            self._outbound.report_failure(self, error)

    def _cancelled(self) -> None:
        if self._dial is not None:
            self._dial.cancel()
        self._end()

    def _end(self) -> None:
        # It refers to this.
        self._dial = None
        self._cancel_deadline()
        self._outbound.discard(self)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()


def _far_end(address: str, tls: ssl.SSLContext | None, server_name: str | None) -> FarEnd:
    if tls is None and server_name is None:
        return _plain_far_end(address)
    parsed = _parsed(address)
    if parsed.scheme != "tls":
        raise ValueError(f"{parsed} does not use TLS: tls and server_name are for tls://HOST:PORT")
    return FarEnd(parsed, tls, server_name)


@functools.lru_cache(maxsize=256)
def _plain_far_end(address: str) -> FarEnd:
    # A relay connects to few addresses again and again.
    return FarEnd(_parsed(address))


def _parsed(address: str) -> Address:
    try:
        parsed = parse(address)
    except UsageError as error:
        hint = f"; {error.hint}" if error.hint else ""
        raise ValueError(f"{error.what}{hint}") from None
    if parsed.scheme != "unix" and not (parsed.host and parsed.port):
        raise ValueError(f"cannot connect to {parsed}: it needs a host and a port")
    return parsed
