"""The room of `plugins/room.py` on asyncio and Redis: each process publishes there and forwards what it gets."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable

import redis.asyncio

from redis_workers import run

BURST = 100


class Room:
    """The members in one process."""

    def __init__(self, number: int, url: str) -> None:
        self.number = number
        self.redis = redis.asyncio.from_url(url)
        self.members: set[asyncio.Transport] = set()
        self.subscriber: asyncio.Transport | None = None
        self.arrived = 0
        self.lines: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen(self, ready: Callable[[], object]) -> None:
        """Forward what is published."""
        listening = self.redis.pubsub(ignore_subscribe_messages=True)
        await listening.subscribe("room", "burst")
        await listening.get_message(timeout=5)
        ready()
        async for message in listening.listen():
            if message["channel"] == b"room":
                for member in self.members:
                    member.write(message["data"])
            elif self.subscriber is not None:
                self.arrived += 1
                if self.arrived == BURST:
                    self.arrived = 0
                    self.subscriber.write(message["data"])

    async def publish(self) -> None:
        """Publish lines in their order; those that wait go out in one piece."""
        while True:
            waiting = [await self.lines.get()]
            while not self.lines.empty():
                waiting.append(self.lines.get_nowait())
            async with self.redis.pipeline(transaction=False) as pipe:
                for each in waiting:
                    if each[:1] == b"M":
                        pipe.publish("room", each)
                    else:
                        for _ in range(BURST):
                            pipe.publish("burst", each)
                await pipe.execute()


class Client(asyncio.Protocol):
    """One client."""

    transport: asyncio.Transport

    def __init__(self, room: Room) -> None:
        self.room = room
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the number of the process."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(b"%d\n" % self.room.number)

    def data_received(self, data: bytes) -> None:
        """Do what the first letter of each line says."""
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            if line[:1] == b"J":
                self.room.members.add(self.transport)
                self.transport.write(b"joined\n")
            elif line[:1] == b"S":
                self.room.subscriber = self.transport
                self.transport.write(b"joined\n")
            else:
                self.room.lines.put_nowait(line + b"\n")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a member."""
        self.room.members.discard(self.transport)


async def serve(number: int, listener: socket.socket, url: str, ready: Callable[[], object]) -> None:
    """Serve as one of the processes."""
    room = Room(number, url)
    await asyncio.get_running_loop().create_server(lambda: Client(room), sock=listener)
    await asyncio.gather(room.listen(ready), room.publish())


if __name__ == "__main__":
    run(int(sys.argv[1]), sys.argv[2], serve)
