"""The adapter: serves the connections of a service with protocols of asyncio.

Theory of operation. `ProtocolAdapter.hooks` are plain hooks that stand in the place of their plugin in the service's
chain. So accepting, TLS, the order of plugins, guards, timing and the close of a connection are those of any other
plugin, and a message costs the protocol's own method and one lookup. No task and no queue is involved, unless another
plugin of the service has an async hook.

Three events are not hooks. `worker.stream.ending` notifies the adapter of them:

- The client's end. It becomes `eof_received` once everything before it was delivered, at the end of the turn: the
  protocol may be at work on this connection further up the stack. If the protocol wants to go on, the connection stays
  open until the protocol closes it.
- A failed send, which `connection_lost` reports as a reset. What the client had sent before is still delivered.
- The last byte before a close was passed to the kernel. `connection_lost` is called then, as asyncio does, and the
  host waits for the client's end by itself: the `close` hooks of plugins come after that. If a connection ends in any
  other way, the adapter's `close` calls `connection_lost`.

Exceptions of a protocol are caught here and reported under the plugin that has returned it. Its code is in most cases
a library's, of which no file belongs to the plugin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactorhost.api.close_reason import CloseReason
from reactorhost.api.connection import Connection, transport_of
from reactorhost.plugins.contract import HOOKS, UNMARKED, Hook
from reactorhost.plugins.guard import as_error
from reactorhost.plugins.protocols import ServingHandler, ServingPlugin, async_method
from reactorhost.worker.adapter.stream_handler import HandlerProtocol
from reactorhost.worker.adapter.transport import AsyncioTransport
from reactorhost.worker.stream.closing import OPEN, CloseEvent
from reactorhost.worker.stream.states import BROKEN, PLUGIN
from reactorhost.worker.stream.transport import StreamTransport


class ProtocolAdapter:
    """The protocols of the connections of one service.

    Attributes:
        plugin: the plugin that has the protocol.
    """

    def __init__(self, serving: ServingPlugin) -> None:
        self.plugin = serving.plugin
        self._serving = serving
        self._transports: dict[Connection, AsyncioTransport] = {}
        self._checked: set[type] = set()

    def hooks(self) -> list[Hook]:
        """Return what is called in place of the hooks that the plugin does not need."""
        methods: tuple[Callable[..., object], ...] = (self.connect, self.receive, self.close, self.drain)
        return [Hook(method.__name__, method, HOOKS[method.__name__], UNMARKED) for method in methods]

    def calls(self) -> list[Hook]:
        """Return the same, and under the names of the protocol's methods what calls these without a hook."""
        ends = Hook("eof_received", self._end_input, (), UNMARKED), Hook("connection_lost", self._lose, (), UNMARKED)
        return [*self.hooks(), *ends]

    # In the chain of the service.

    def connect(self, connection: Connection) -> None:
        """Make the protocol of a client, and pass it its transport, unless an earlier plugin has refused the client."""
        stream = transport_of(connection)
        if not isinstance(stream, StreamTransport) or not stream.is_open:
            return
        try:
            transport = AsyncioTransport(stream, self._new_protocol(), self.failed)
        except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
            stream.context.hook_failed(self.plugin.name, "protocol", connection, as_error(raised))
            return
        self._transports[connection] = transport
        # Read now, for `get_extra_info`: a socket that is closed has none, and asyncio's transports still know it then.
        stream.local  # noqa: B018
        transport.call("connection_made", transport)

    def _new_protocol(self) -> Any:
        if isinstance(self._serving, ServingHandler):
            return HandlerProtocol(self._serving.stream_handler, self.failed)
        protocol = self._serving.new_protocol()
        kind = type(protocol)
        if kind not in self._checked:
            self._check(protocol)
            self._checked.add(kind)
        return protocol

    def _check(self, protocol: Any) -> None:
        """Raise a TypeError for what asyncio would fail to call, or call without any effect."""
        name = type(protocol).__name__
        if not callable(getattr(protocol, "connection_made", None)):
            raise TypeError(f"the factory has returned {name}, which has no connection_made and so is not a protocol")
        method = async_method(protocol)
        if method is not None:
            raise TypeError(f"{name}.{method} is async, but a protocol's methods are not awaited")

    def receive(self, connection: Connection, data: bytes) -> bool | None:
        """Pass input to the protocol."""
        transport = self._transports.get(connection)
        # A framing may have an empty message, which would be the end of input for some protocols.
        if transport is None or not data:
            return None
        try:
            # Looked up for each piece: protocols replace this method to change their state.
            if transport.is_buffered:
                transport.fill(data)
            else:
                transport.protocol.data_received(data)
        except BaseException as raised:  # noqa: BLE001  a plugin may raise anything
            self.failed(transport, "buffer_updated" if transport.is_buffered else "data_received", raised)
        return True

    def close(self, connection: Connection, reason: CloseReason) -> None:
        """Call `connection_lost`, if it was not called when the last byte was sent."""
        transport = self._transports.get(connection)
        if transport is not None:
            transport.lose(reason)

    def drain(self, connection: Connection) -> None:
        """Call the protocol's own `drain_requested`, if it has one."""
        transport = self._transports.get(connection)
        if transport is not None and callable(getattr(transport.protocol, "drain_requested", None)):
            transport.call("drain_requested")

    # What `worker.stream.ending` notifies of; see `worker.context_protocols.ProtocolEvents`.

    def peer_ended(self, stream: StreamTransport) -> None:
        """Call `eof_received` at the end of the turn."""
        transport = self._transports.get(stream.connection)
        if transport is None:
            stream.advance(CloseEvent.SERVED)
        else:
            stream.context.reactor.call_soon(stream.variables.run, self._end_input, stream, transport)

    def _end_input(self, stream: StreamTransport, transport: AsyncioTransport) -> None:
        # Both are looked at again when they end.
        if stream.close_state is not OPEN or stream.held & PLUGIN or stream.owed:
            return
        stays_open = transport.end_input()
        if stream.close_state is OPEN and (not stays_open or stream.send_state is BROKEN):
            stream.close_for(CloseReason.PEER)

    def send_failed(self, stream: StreamTransport) -> None:
        """Note that the client has broken the connection."""
        transport = self._transports.get(stream.connection)
        if transport is not None:
            transport.was_reset = True

    def flushed(self, stream: StreamTransport) -> None:
        """Call `connection_lost` at the end of the turn."""
        transport = self._transports.get(stream.connection)
        if transport is not None and stream.progress is not None:
            stream.context.reactor.call_soon(stream.variables.run, self._lose, transport, stream.progress.reason)

    def _lose(self, transport: AsyncioTransport, reason: CloseReason) -> None:
        if reason is CloseReason.PEER:
            # A framing with a session has an end before that of the stream, and the connection is closed for it.
            transport.end_input()
        transport.lose(reason)

    def protocol_of(self, connection: Connection) -> object | None:
        """Return the protocol of a connection."""
        transport = self._transports.get(connection)
        return None if transport is None else transport.protocol

    def holds_input(self, connection: Connection) -> bool:
        """Return whether the reader of a stream handler has bytes that were not read."""
        # Names of asyncio's streams that are not public, and in all versions so far.
        reader = getattr(self.protocol_of(connection), "_stream_reader", None)
        return bool(getattr(reader, "_buffer", None))

    def forget(self, connection: Connection) -> None:
        """Release the transport of a connection that has ended."""
        transport = self._transports.pop(connection, None)
        if transport is not None:
            # Each refers to the other. As asyncio does, so that both go with the last reference.
            transport.protocol = None

    def failed(self, transport: AsyncioTransport, method: str, raised: BaseException) -> None:
        """Report what a method of a protocol has raised, and close the connection."""
        error = as_error(raised)
        if transport.error is None:
            transport.error = error
        stream = transport.stream
        stream.context.hook_failed(self.plugin.name, method, stream.connection, error)
