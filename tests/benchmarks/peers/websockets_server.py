"""The server of the `websockets` library: `websockets_server.py echo|broadcast`. Prints its port."""

from __future__ import annotations

import asyncio
import sys

from websockets.asyncio.server import ServerConnection, broadcast, serve

from peer import BACKLOG, allow_many_clients, print_port

room: set[ServerConnection] = set()


async def echo(client: ServerConnection) -> None:
    """Send each message back."""
    async for message in client:
        await client.send(message)


async def share(client: ServerConnection) -> None:
    """Send each message to all clients."""
    room.add(client)
    try:
        async for message in client:
            broadcast(room, message)
    finally:
        room.discard(client)


async def main(job: str) -> None:
    """Serve on a free port."""
    handler = share if job == "broadcast" else echo
    async with serve(handler, "127.0.0.1", 0, backlog=BACKLOG, compression=None) as server:
        print_port(next(iter(server.sockets)).getsockname()[1])
        await server.serve_forever()


if __name__ == "__main__":
    allow_many_clients()
    asyncio.run(main(sys.argv[1]))
