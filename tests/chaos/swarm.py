"""Clients of many kinds against a host, in a process of their own, which reports every one that fails.

Each client connects, reads the line `pid N`, sends numbered lines and checks every byte of their echo. A line `drain`
asks it to finish. The program reads orders, a JSON object per line, from standard input, and writes reports likewise:

    {"pause": true}   ends all clients, then reports {"paused": COUNTS}
    {"resume": true}
    {"stop": true}    ends all of them, then reports {"stopped": COUNTS}
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import ssl
import sys
from collections import Counter
from typing import Any

from swarm_client import COURSES, Client, Course, Target, write

_UDP_PATIENCE_SECONDS = 3.0


class Swarm:
    """Keeps a number of clients busy until it is stopped."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.patience: float = task["patience"]
        self.context = ssl.create_default_context(cafile=task["authority"])
        self.counts: Counter[str] = Counter()
        self.failed = 0
        self.pausing = asyncio.Event()
        self._targets = [Target(*each) for each in task["targets"]]
        self._datagrams = tuple(task["datagrams"])
        self._random = random.Random(task["seed"])
        self._running = asyncio.Event()
        self._running.set()
        self._stopping = False
        self._most = asyncio.Semaphore(task["in_flight"])
        self._in_flight: int = task["in_flight"]

    async def run(self) -> None:
        """Work until an order, or the end of standard input, ends it."""
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send_clients(tasks))
            tasks.create_task(self._send_datagrams())
            while order := await reader.readline():
                match json.loads(order):
                    case {"pause": _}:
                        await self._finish()
                        write({"paused": self._state()})
                    case {"resume": _}:
                        self.pausing.clear()
                        self._running.set()
                    case {"stop": _}:
                        await self._finish()
                        break
            self._stopping = True
            self._running.set()
        write({"stopped": self._state()})

    def _state(self) -> dict[str, Any]:
        return {"answered": self.counts.total(), "failed": self.failed, "kinds": dict(sorted(self.counts.items()))}

    async def _finish(self) -> None:
        self._running.clear()
        self.pausing.set()
        for _ in range(self._in_flight):
            await self._most.acquire()
        for _ in range(self._in_flight):
            self._most.release()

    async def _send_clients(self, tasks: asyncio.TaskGroup) -> None:
        kinds = list(COURSES)
        while True:
            await self._running.wait()
            if self._stopping:
                return
            await self._most.acquire()
            if not self._running.is_set():
                self._most.release()
                continue
            kind = self._random.choice(kinds)
            tasks.create_task(self._send_one(Client(self, self._random.choice(self._targets), kind), COURSES[kind]))

    async def _send_one(self, client: Client, course: Course) -> None:
        try:
            await client.run(course)
        finally:
            self._most.release()

    async def _send_datagrams(self) -> None:
        """Count datagrams that are answered and those that are not: the kernel may drop any of them."""
        loop = asyncio.get_running_loop()
        while not self._stopping:
            await self._running.wait()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
                sock.connect(self._datagrams)
                for number in range(10):
                    data = b"%d" % number
                    try:
                        await loop.sock_sendall(sock, data)
                        async with asyncio.timeout(_UDP_PATIENCE_SECONDS):
                            if await loop.sock_recv(sock, 100) != data:
                                write({"failure": {"target": "datagrams", "kind": "datagram", "error": "wrong"}})
                    except (TimeoutError, ConnectionRefusedError):
                        self.counts["datagrams unanswered"] += 1
                        break
                    self.counts["datagrams answered"] += 1
                    await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(Swarm(json.loads(sys.argv[1])).run())
