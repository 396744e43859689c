"""The other yardstick: an asyncio server that echoes, by a protocol, or by streams when called with `streams`.

Prints its port, serves until killed.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast


class Echo(asyncio.Protocol):
    """One client."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Send the bytes back."""
        self.transport.write(data)


async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one client as the documentation of asyncio does."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def main() -> None:
    """Serve on a free port."""
    if sys.argv[1:] == ["streams"]:
        server = await asyncio.start_server(stream, "127.0.0.1", 0, backlog=1024)
    else:
        server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
