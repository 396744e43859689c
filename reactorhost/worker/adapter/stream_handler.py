"""Serve a client with a `stream_handler`: asyncio's streams over the transport of a protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from reactorhost.plugins.host_task import HostTask, is_host_cancellation
from reactorhost.worker.adapter.transport import AsyncioTransport, Failed

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, object]]


class HandlerProtocol(asyncio.StreamReaderProtocol):
    """The protocol of one client; it calls the handler in a task of its own."""

    def __init__(self, handler: Handler, failed: Failed) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(asyncio.StreamReader(loop=loop), self._start, loop=loop)
        self._handler = handler
        self._failed = failed
        self._served: AsyncioTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handler."""
        assert isinstance(transport, AsyncioTransport)
        self._served = transport
        super().connection_made(transport)

    def eof_received(self) -> bool:
        """End the reader, and stay open for the handler's answers."""
        super().eof_received()
        # asyncio ends a TLS connection here, because its own TLS cannot end one half only.
        return True

    def _start(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._served is not None
        # A HostTask and not what asyncio makes of a coroutine: it knows whether the host has cancelled it.
        self._served.task = HostTask(self._serve(self._served, reader, writer), loop=asyncio.get_running_loop())

    async def _serve(
        self, served: AsyncioTransport, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            await self._handler(reader, writer)
        except BaseException as raised:
            if is_host_cancellation(raised):
                raise
            if not (isinstance(raised, ConnectionError) and served.is_closing()):
                self._failed(served, "stream_handler", raised)
        finally:
            writer.close()
