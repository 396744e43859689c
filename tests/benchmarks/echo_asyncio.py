"""The other yardstick: an asyncio protocol that echoes. Prints its port, serves until killed.

`echo_asyncio.py [CERTIFICATE KEY]`; with the two it speaks TLS.
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


async def main(files: list[str]) -> None:
    """Serve on a free port."""
    context = None
    if files:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0, backlog=1024, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
