"""Outbound connections: what plugins of this worker have connected to other hosts.

    connect() -> pending (a dial and a deadline) -> open (a service with one transport) -> ended

Each open connection has a service of its own, whose chain is the handler's methods. So the transport that serves
clients serves it too, without knowing the difference; UDP has a transport and a service for outbound connections only.
Their bytes and messages go to separate counters, because those of the worker are about clients.

When the worker leaves, outbound connections outlive its clients, whose last answers may need them:

    OPEN -> leave() -> LEAVING: pending ones are cancelled, open ones get `drain` and are closed
         -> the last one has ended -> LEFT: connect() raises, because nothing calls a handler any more
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from contextvars import copy_context
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reactorhost.address import parse
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
from reactorhost.worker.context import Limits, WorkerContext
from reactorhost.worker.limited_lines import LimitedLines
from reactorhost.worker.outbound.datagram_service import DatagramService
from reactorhost.worker.outbound.dialer import Dial, Dialer, FarEnd
from reactorhost.worker.service import LoadedService, RunningService
from reactorhost.worker.stream.dispatch import Dispatcher
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
        context: that of the worker, with counters and a dispatcher of its own.
        services: those of the open connections, one each.
    """

    def __init__(self, context: WorkerContext, limits: Limits, dialer: Dialer) -> None:
        self.limits = limits
        self.dialer = dialer
        counters = Counters()
        self.context = replace(context, counters=counters, dispatcher=Dispatcher(context.reactor, counters))
        self.services: set[RunningService | DatagramService] = set()
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
            raise ConnectFailedError(str(far_end.address), "the worker is exiting")
        pending = _PendingConnection(self, plugin, checked, far_end, timeout)
        if self._state is OutboundState.LEAVING:
            # Cancelled as those that were pending when it began to leave; no handler is called.
            pending.attempt.cancel()
        else:
            self._pending.add(pending)
            self.context.reactor.call_soon(pending.begin)
        return pending.attempt

    def transports(self) -> Iterator[StreamTransport | ConnectedTransport]:
        """Yield the transports of the open connections."""
        return (transport for service in self.services for transport in service.transports)

    # The end of the worker.

    def leave(self, seconds: float) -> None:
        """Cancel what is pending, call every handler's `drain`, and close every connection within `seconds`."""
        if self._state is not OutboundState.OPEN:
            return
        self._cancel_pending()
        for service in tuple(self.services):
            service.drain()
        self._close_all(seconds, busy=False)
        # One whose async `drain` still runs may send until half of the time is over.
        self.context.reactor.call_later(seconds / 2, self._close_all, seconds / 2, True)

    def abort(self) -> None:
        """Cancel what is pending, and reset every connection."""
        self._cancel_pending()
        for transport in tuple(self.transports()):
            # First, for its reason: `abort` alone would report `local`, the plugin's own.
            transport.close_for(CloseReason.SHUTDOWN)
            transport.abort()

    def when_left(self, callback: Callable[[], object]) -> None:
        """Call `callback` once no connection is left, which may be now."""
        self._on_left = callback
        self._check_left()

    def _cancel_pending(self) -> None:
        self._state = OutboundState.LEAVING
        for pending in tuple(self._pending):
            pending.attempt.cancel()

    def _close_all(self, seconds: float, busy: bool) -> None:
        for transport in tuple(self.transports()):
            if busy or not (transport.owed or transport.context.drain_runs(transport.connection)):
                transport.close_for(CloseReason.SHUTDOWN, seconds)

    def _check_left(self) -> None:
        if self._on_left is not None and not self.services:
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

        def ended() -> None:
            self.services.discard(service)
            self._check_left()

        service: RunningService | DatagramService
        name, scheme = str(pending.far_end.address), pending.far_end.address.scheme
        context = replace(self.context, variables=pending.variables)
        if scheme == "udp":
            service = DatagramService(name, context, self.limits, pending.handler.chain, ended)
            self.services.add(service)
            return service.begin(sock, peer)
        role = self.dialer.tls_role(pending.far_end)
        loaded = LoadedService(name, (), self.limits, pending.new_framing, tls_role=role)
        service = RunningService(loaded, context, ended, pending.handler.chain)
        if scheme == "unix":
            service.keep_credentials()
        self.services.add(service)
        return service.begin(sock, peer, tls)

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
        self.attempt = ConnectAttempt(str(far_end.address), self._cancelled)
        framing = handler.new_framing(str(far_end.address))
        if framing is not None and far_end.address.scheme == "udp":
            raise TypeError(f"the handler has a framing, but what {far_end.address} sends are messages already")
        self.new_framing = None if framing is None else lambda: framing
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
        assert self._dial is not None
        self._dial.cancel()
        self._failed(f"{self._dial.step} within {self._timeout:g} s")

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
        self._cancel_deadline()
        self._outbound.discard(self)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()


def _far_end(address: str, tls: ssl.SSLContext | None, server_name: str | None) -> FarEnd:
    try:
        parsed = parse(address)
    except UsageError as error:
        hint = f"; {error.hint}" if error.hint else ""
        raise ValueError(f"{error.what}{hint}") from None
    if parsed.scheme != "unix" and not (parsed.host and parsed.port):
        raise ValueError(f"cannot connect to {parsed}: it needs a host and a port")
    if parsed.scheme != "tls" and (tls is not None or server_name is not None):
        raise ValueError(f"{parsed} does not use TLS: tls and server_name are for tls://HOST:PORT")
    return FarEnd(parsed, tls, server_name)
