"""Let asyncio's selector loop make the transports of the host's protocol adapter in place of its own.

`install` replaces the class of stream transports in `asyncio.selector_events`. Everything above it stays asyncio's:
`create_server`, `create_connection`, the streams, `SSLProtocol`. So both ends of a connection are served as a client of
a host is: by a service whose plugin has the hook `protocol`, on a reactor that the asyncio bridge turns in the same
loop.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import socket
import ssl
import weakref
from asyncio import selector_events
from collections.abc import Callable
from typing import Any

from reactorhost import CloseReason, hookimpl
from reactorhost.api.connection import Connection
from reactorhost.plugins import protocols
from reactorhost.plugins.loading import load_object
from reactorhost.reactor import Reactor, new_poller
from reactorhost.tls.socket import TlsSocket
from reactorhost.worker.adapter.loop_methods import accept_own_transports
from reactorhost.worker.adapter.transport import AsyncioTransport
from reactorhost.worker.aio.event_loop import AsyncioBridge
from reactorhost.worker.builder import WorkerBuilder
from reactorhost.worker.context import Limits
from reactorhost.worker.service import LoadedService, RunningService

_LIMITS = Limits(max_send_buffer=1 << 40)


class Served:
    """A plugin that serves its clients with one protocol."""

    def __init__(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    @hookimpl
    def protocol(self, service: str) -> Callable[[], asyncio.BaseProtocol]:
        """Return what returns the protocol."""
        # Kept by its transport only, as with asyncio: some tests check what is left.
        return lambda: self.__dict__.pop("_protocol")


class ContextTls:
    """Makes TLS sockets with a context, in place of the certificate files of a `ServerTls`."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def wrap(self, reactor: Reactor, sock: socket.socket, on_broken: Callable[[str], object]) -> TlsSocket:
        """Return our end of a session."""
        return TlsSocket(reactor, sock, self._context, on_broken)


class AdapterWorker:
    """The worker that serves the sockets of one loop, with these plugins before the one with the protocol.

    With a context the clients begin with a TLS handshake.

    Attributes:
        made: how many transports it has made.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *others: object, context: ssl.SSLContext | None = None) -> None:
        self.made = 0
        self._context = context
        self._others = [load_object(each, "other") for each in others]
        self._loop = loop
        self._reactor = Reactor(new_poller("epoll"))
        bridge = AsyncioBridge(self._reactor, loop)
        # As the loop of a worker does.
        accept_own_transports(loop)
        # As `AsyncioBridge.run`, but the tests run the loop.
        self._turning = bridge._reactor_turning()
        self._turning.__enter__()
        builder = WorkerBuilder(reactor=self._reactor, hook_failed=self._hook_failed, new_bridge=lambda reactor: bridge)
        self._parts = builder.build([self._loaded(asyncio.Protocol())], _LIMITS)

    def make_transport(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        protocol: asyncio.BaseProtocol,
        waiter: asyncio.Future[None] | None = None,
    ) -> Any:
        """Serve a connected socket, as the constructor of asyncio's own transport does."""
        self.made += 1
        service = RunningService(self._loaded(protocol), self._parts.context, lambda: None)
        if self._context is not None:
            service.acceptor("tls")(sock, sock.getpeername())
            return None
        transport = service.accept(sock, sock.getpeername())
        if waiter is not None:
            loop.call_soon(_set_result_unless_done, waiter)
        adapter: Any = service.context.protocols
        # None if its `connect` waits in a queue of hooks.
        return adapter._transports.get(transport.connection)

    def _loaded(self, protocol: asyncio.BaseProtocol) -> LoadedService:
        plugins = [*self._others, load_object(Served(protocol), "served")]
        tls: Any = None if self._context is None else ContextTls(self._context)
        return LoadedService("cpython", plugins, _LIMITS, tls=tls, serving=protocols.from_plugins("cpython", plugins))

    def _hook_failed(self, plugin: str, hook: str, connection: Connection | None, error: Exception) -> None:
        # The words that asyncio has for it.
        message = f"Fatal error: protocol.{hook}() call failed."
        self._loop.call_exception_handler({"message": message, "exception": error})

    def close(self) -> None:
        """Stop turning; what is still connected stays so, as with asyncio's own transports."""
        self._turning.__exit__(None, None, None)
        self._reactor.close()


def _set_result_unless_done(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


# Replacing asyncio's own.

_workers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, AdapterWorker] = weakref.WeakKeyDictionary()
_servers: weakref.WeakKeyDictionary[AsyncioTransport, Any] = weakref.WeakKeyDictionary()
_made_before: list[int] = []
# Some versions of CPython count the connections of a server, others keep them.
_COUNTED = len(inspect.signature(asyncio.Server._attach).parameters) == 1  # type: ignore[attr-defined]


def transports_made() -> int:
    """Return how many transports of the adapter were made so far."""
    return sum(_made_before) + sum(worker.made for worker in _workers.values())


def install() -> None:
    """Replace the transports of every selector loop of this process."""
    module: Any = selector_events
    module._SelectorSocketTransport = _new_transport
    module.BaseSelectorEventLoop.close = functools.partialmethod(_close, module.BaseSelectorEventLoop.close)
    transport: Any = AsyncioTransport
    transport.lose = functools.partialmethod(_lose, transport.lose)


def _new_transport(
    loop: asyncio.AbstractEventLoop,
    sock: socket.socket,
    protocol: asyncio.BaseProtocol,
    waiter: asyncio.Future[None] | None = None,
    extra: object = None,
    server: Any = None,
) -> Any:
    if loop not in _workers:
        _workers[loop] = AdapterWorker(loop)
    transport = _workers[loop].make_transport(loop, sock, protocol, waiter)
    if server is not None and not transport._is_lost:
        server._attach(*_named(transport))
        _servers[transport] = server
    return transport


def _close(loop: asyncio.AbstractEventLoop, close: Callable[[Any], None]) -> None:
    worker = _workers.pop(loop, None)
    if worker is not None:
        _made_before.append(worker.made)
        worker.close()
    close(loop)


def _lose(transport: AsyncioTransport, lose: Callable[[Any, CloseReason], None], reason: CloseReason) -> None:
    lose(transport, reason)
    server = _servers.pop(transport, None)
    if server is not None:
        server._detach(*_named(transport))


def _named(transport: AsyncioTransport) -> tuple[AsyncioTransport, ...]:
    return () if _COUNTED else (transport,)
