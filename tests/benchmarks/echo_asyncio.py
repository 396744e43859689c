"""The other yardstick: an asyncio protocol that echoes. Prints its port, serves until killed."""

from __future__ import annotations

import asyncio
from typing import cast


class Echo(asyncio.Protocol):
    """One client."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Send the bytes back."""
        self.transport.write(data)


async def main() -> None:
    """Serve on a free port."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
