"""The other end of a connection whose transport is tested: a plain socket, or one that speaks TLS."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
import struct

import trustme

DEADLINE_SECONDS = 30.0


class Peer:
    """The other end."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        sock.setblocking(False)
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        await asyncio.wait_for(self._loop.sock_sendall(self.socket, data), DEADLINE_SECONDS)

    async def receive(self, size: int) -> bytes:
        """Return what comes next; empty at the end."""
        return await asyncio.wait_for(self._loop.sock_recv(self.socket, size), DEADLINE_SECONDS)

    async def read(self, size: int) -> bytes:
        """Read so many bytes, or fewer if the connection ends."""
        data = bytearray()
        while len(data) < size:
            more = await self.receive(size - len(data))
            if not more:
                break
            data += more
        return bytes(data)

    async def read_all(self) -> tuple[int, str]:
        """Read to the end; returns the number of bytes and how it ended."""
        size = 0
        while True:
            try:
                more = await self.receive(65536)
            except ConnectionResetError:
                return size, "reset"
            if not more:
                return size, "eof"
            size += len(more)

    def end(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class TlsPeer(Peer):
    """The client's end of a TLS session; what is sent before the handshake has ended follows it."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = contexts()[1].wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self._early: list[bytes] = []
        self._begun = asyncio.create_task(self._begin())
        self._ended: asyncio.Task[None] | None = None

    async def _begin(self) -> None:
        while True:
            try:
                self._session.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self._flush()
                self._incoming.write(await super().receive(16384))
        await self._flush()
        while self._early:
            self._session.write(self._early.pop(0))
            await self._flush()

    async def _flush(self) -> None:
        await super().send(self._outgoing.read())

    async def send(self, data: bytes) -> None:
        if not self._begun.done():
            self._early.append(data)
            return
        self._session.write(data)
        await self._flush()

    async def receive(self, size: int) -> bytes:
        await self._begun
        while True:
            try:
                return self._session.read(size)
            except ssl.SSLWantReadError:
                more = await super().receive(65536)
                if not more:
                    return more
                self._incoming.write(more)
            except ssl.SSLZeroReturnError:
                return b""

    def end(self) -> None:
        self._ended = asyncio.create_task(self._end())

    async def _end(self) -> None:
        await self._begun
        try:
            self._session.unwrap()
        except ssl.SSLWantReadError:
            await self._flush()
        super().end()


@functools.cache
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the contexts of a server and of its clients."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client
