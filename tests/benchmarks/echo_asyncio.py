"""The other yardstick: an asyncio server that echoes, by a protocol, or by streams when called with `streams`.

Prints its port, serves until killed.

`echo_asyncio.py [streams | CERTIFICATE KEY]`; with the two files the protocol speaks TLS.
"""

from __future__ import annotations

import asyncio
import ssl
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


def tls_context(files: list[str]) -> ssl.SSLContext | None:
    """Return what TLS is spoken with, None without certificate and key."""
    if not files:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


async def main(arguments: list[str]) -> None:
    """Serve on a free port."""
    if arguments == ["streams"]:
        server = await asyncio.start_server(stream, "127.0.0.1", 0, backlog=1024)
    else:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Echo, "127.0.0.1", 0, backlog=1024, ssl=tls_context(arguments))
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
