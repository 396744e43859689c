"""Outbound connections: what plugins of this worker have connected to other hosts, or are about to.

Each connection has a service of its own, whose chain is the handler's methods. So it is served by the transport that
serves clients, and neither knows which it is. Its bytes are not counted among those of clients.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reactorhost.address import Address, parse
from reactorhost.api.connect_attempt import AttemptState, ConnectAttempt, ConnectFailedError
from reactorhost.api.connection import CloseReason, TlsFacts
from reactorhost.errors import UsageError
from reactorhost.ipc.scoreboard import Counters
from reactorhost.plugins import handlers
from reactorhost.plugins.guard import guarded
from reactorhost.plugins.handlers import Handler
from reactorhost.reactor import Timer
from reactorhost.worker.context import Limits, WorkerContext
from reactorhost.worker.outbound.dialer import Dial, Dialer, FarEnd
from reactorhost.worker.service import RunningService
from reactorhost.worker.stream.dispatch import Dispatcher
from reactorhost.worker.stream.socket import StreamSocket
from reactorhost.worker.stream.transport import StreamTransport

if TYPE_CHECKING:
    import asyncio
    import ssl


class OutboundState(enum.Enum):
    """Whether new connections are made."""

    OPEN = 1
    CLOSING = 2
    CLOSED = 3


class OutboundConnections:
    """The outbound connections of one worker; each is held to `limits`.

    Attributes:
        services: those of the connections that are open, one each.
    """

    def __init__(self, context: WorkerContext, limits: Limits, dialer: Dialer) -> None:
        self.limits = limits
        self.dialer = dialer
        counters = Counters()
        self.context = replace(context, counters=counters, dispatcher=Dispatcher(context.reactor, counters))
        self._attempts: set[_Attempt] = set()
        self.services: set[RunningService] = set()
        self._tasks: set[asyncio.Future[object]] = set()
        self._door = OutboundState.OPEN
        self._on_left: Callable[[], object] | None = None

    def connect(
        self,
        plugin: str,
        address: str | Address,
        handler: object,
        timeout: float,
        tls: ssl.SSLContext | None,
        server_name: str | None,
    ) -> ConnectAttempt:
        """Begin to connect for a plugin, once whoever is at work has finished.

        Raises:
            ValueError: there is nothing to connect to at such an address, or the timeout is not positive.
            TypeError: the handler cannot be called.
            ConnectFailedError: the worker has left, and calls nobody any more.
        """
        far_end = _far_end(address, tls, server_name)
        if not timeout > 0:
            raise ValueError(f"a timeout must be positive, not {timeout!r} seconds")
        found = handlers.check(plugin, handler)
        if (found.awaits or found.failed_awaits) and self.context.hook_queues is None:
            raise TypeError(
                f"the handler {handler!r} has async methods, and no plugin of this worker has an async hook; "
                "make worker_start async, for one"
            )
        if self._door is OutboundState.CLOSED:
            raise ConnectFailedError(str(far_end.address), "the worker has left")
        attempt = _Attempt(self, plugin, found, far_end, timeout)
        if self._door is OutboundState.CLOSING:
            # As those that were on their way when it began to leave.
            attempt.connecting.cancel()
            return attempt.connecting
        self._attempts.add(attempt)
        self.context.reactor.call_soon(attempt.begin)
        return attempt.connecting

    def transports(self) -> Iterator[StreamTransport]:
        """Yield the transports of the connections that are open."""
        return (transport for service in self.services for transport in service.transports)

    def leave(self, seconds: float) -> None:
        """Connect no more, tell every handler by `drain`, and close what is left, within some seconds."""
        if self._door is not OutboundState.OPEN:
            return
        self._door = OutboundState.CLOSING
        for attempt in tuple(self._attempts):
            attempt.connecting.cancel()
        for service in tuple(self.services):
            service.drain()
        self._close_all(seconds, busy=False)
        # What still answers its `drain` by an async method has half of the time for it.
        self.context.reactor.call_later(seconds / 2, self._close_all, seconds / 2, True)

    def abort(self) -> None:
        """End everything now."""
        self._door = OutboundState.CLOSING
        for attempt in tuple(self._attempts):
            attempt.connecting.cancel()
        for transport in tuple(self.transports()):
            transport.close_for(CloseReason.SHUTDOWN)
            transport.abort()

    def when_left(self, tell: Callable[[], object]) -> None:
        """Call `tell` once no connection is left, at once if none is."""
        self._on_left = tell
        self._tell_if_left()

    def _close_all(self, seconds: float, busy: bool) -> None:
        for transport in tuple(self.transports()):
            if busy or not transport.owed:
                transport.close_for(CloseReason.SHUTDOWN, seconds)

    # What an attempt comes to.

    def over(self, attempt: _Attempt) -> None:
        """Forget an attempt."""
        self._attempts.discard(attempt)

    def serve(self, attempt: _Attempt, sock: StreamSocket, peer: Any, tls: TlsFacts | None) -> StreamTransport:
        """Serve a connected socket by the attempt's handler, from its `connect` on."""
        handler = attempt.handler
        service = RunningService(
            str(attempt.far_end.address),
            self.context,
            self.limits,
            handler.chain,
            attempt.new_framing,
        )
        self.services.add(service)

        def ended() -> None:
            self.services.discard(service)
            self._tell_if_left()

        service.on_ended = ended
        return service.begin(sock, peer, tls)

    def tell_failure(self, attempt: _Attempt, error: ConnectFailedError) -> None:
        """Tell whoever waits, and the handler; or else the log."""
        awaited = attempt.connecting.fail(error)
        if attempt.handler.failed is not None:
            self._call_failed(attempt.plugin, attempt.handler, error)
        elif not awaited:
            self.context.log.warning(
                "connect_failed", plugin=attempt.plugin, address=error.address, reason=error.reason
            )

    def _call_failed(self, plugin: str, handler: Handler, error: ConnectFailedError) -> None:
        assert handler.failed is not None
        if not handler.failed_awaits:
            guarded(plugin, "failed", handler.failed, self._hook_failed)(error)
            return
        import asyncio

        from reactorhost.plugins import async_calls

        told = async_calls.guarded(plugin, "failed", handler.failed, self._hook_failed)(error)
        task = asyncio.ensure_future(told)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _hook_failed(self, plugin: str, hook: str, _subject: object, error: Exception) -> None:
        self.context.hook_failed(plugin, hook, None, error)

    def _tell_if_left(self) -> None:
        if self._on_left is not None and not self.services:
            self._door = OutboundState.CLOSED
            tell, self._on_left = self._on_left, None
            tell()


class _Attempt:
    """One connection that a plugin asked for and does not have yet."""

    def __init__(
        self, outbound: OutboundConnections, plugin: str, handler: Handler, far_end: FarEnd, timeout: float
    ) -> None:
        self.plugin = plugin
        self.handler = handler
        self.far_end = far_end
        self.connecting = ConnectAttempt(str(far_end.address), self._give_up)
        framing = handler.new_framing(str(far_end.address))
        self.new_framing = None if framing is None else lambda: framing
        self._outbound = outbound
        self._timeout = timeout
        self._dial: Dial | None = None
        self._deadline: Timer | None = None

    def begin(self) -> None:
        if self.connecting.outcome is AttemptState.CANCELLED:
            return
        self._deadline = self._outbound.context.reactor.call_later(self._timeout, self._out_of_time)
        self._dial = self._outbound.dialer.dial(self.far_end, self._connected, self._failed)
        self._dial.start()

    def _connected(self, sock: StreamSocket, peer: Any, tls: TlsFacts | None) -> StreamTransport:
        self._over()
        # Too late to be cancelled, by the handler's own `connect` for one.
        self.connecting.outcome = AttemptState.CONNECTED
        transport = self._outbound.serve(self, sock, peer, tls)
        self.connecting.succeed(transport.connection)
        return transport

    def _failed(self, reason: str) -> None:
        self._stop()
        # In a turn of its own: one that tries again at once keeps nobody waiting, one that awaits has begun to.
        error = ConnectFailedError(self.connecting.address, reason)
        self._outbound.context.reactor.call_soon(self._tell, error)

    def _out_of_time(self) -> None:
        assert self._dial is not None
        self._dial.cancel()
        self._failed(f"{self._dial.step} within {self._timeout:g} s")

    def _tell(self, error: ConnectFailedError) -> None:
        if self.connecting.outcome is AttemptState.OPEN:
            self._over()
            self._outbound.tell_failure(self, error)

    def _give_up(self) -> None:
        if self._dial is not None:
            self._dial.cancel()
        self._over()

    def _over(self) -> None:
        self._stop()
        self._outbound.over(self)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()


def _far_end(address: str | Address, tls: ssl.SSLContext | None, server_name: str | None) -> FarEnd:
    try:
        parsed = parse(address) if isinstance(address, str) else address
    except UsageError as error:
        hint = f"; {error.hint}" if error.hint else ""
        raise ValueError(f"{error.what}{hint}") from None
    if parsed.scheme == "udp":
        raise ValueError(f"{parsed} cannot be connected to: it has no connections; use tcp://, tls:// or unix://")
    if parsed.scheme != "unix" and not (parsed.host and parsed.port):
        raise ValueError(f"{parsed} cannot be connected to: it needs a host and a port")
    if parsed.scheme != "tls" and (tls is not None or server_name is not None):
        raise ValueError(f"{parsed} does not speak TLS: tls and server_name are for tls://HOST:PORT")
    return FarEnd(parsed, tls, server_name)
