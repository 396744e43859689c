"""asyncio as in its documentation: `asyncio_echo.py protocol|streams|tls CERTIFICATE KEY [--uvloop]`.

`tls` is the protocol behind TLS. Prints its port, serves until killed.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
from typing import cast

from peer import BACKLOG, allow_many_clients, print_port


class Echo(asyncio.Protocol):
    """One client."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Send the bytes back."""
        self.transport.write(data)


async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one client."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


def tls_context(files: list[str]) -> ssl.SSLContext | None:
    """Return the TLS context, None without certificate and key."""
    if not files:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


async def main(options: argparse.Namespace) -> None:
    """Serve on a free port."""
    if options.style == "streams":
        server = await asyncio.start_server(stream, "127.0.0.1", 0, backlog=BACKLOG)
    else:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Echo, "127.0.0.1", 0, backlog=BACKLOG, ssl=tls_context(options.files))
    print_port(server.sockets[0].getsockname()[1])
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("style", choices=("protocol", "streams", "tls"))
    parser.add_argument("files", nargs="*")
    parser.add_argument("--uvloop", action="store_true")
    chosen = parser.parse_args()
    allow_many_clients()
    if chosen.uvloop:
        import uvloop

        uvloop.run(main(chosen))
    else:
        asyncio.run(main(chosen))
