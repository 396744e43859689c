"""A relay with asyncio's protocols: connects each client to the given port, passes bytes and ends on."""

from __future__ import annotations

import asyncio
import sys
from typing import cast


class Side(asyncio.Protocol):
    """One connection of a pair."""

    def __init__(self, other: Side | None) -> None:
        self.other = other
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect a client to the server."""
        self.transport = cast("asyncio.Transport", transport)
        if self.other is None:
            self.transport.pause_reading()
            self.connecting = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        _, self.other = await loop.create_connection(lambda: Side(self), "127.0.0.1", int(sys.argv[1]))
        assert self.transport
        self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Pass bytes on."""
        assert self.other
        assert self.other.transport
        self.other.transport.write(data)

    def eof_received(self) -> bool:
        """Pass the end on."""
        if self.other and self.other.transport:
            self.other.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        """Read no more from the other side."""
        if self.other and self.other.transport:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read from the other side again."""
        if self.other and self.other.transport:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the other side too."""
        if self.other and self.other.transport:
            self.other.transport.close()


async def main() -> None:
    """Serve until the process is ended."""
    server = await asyncio.get_running_loop().create_server(lambda: Side(None), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
